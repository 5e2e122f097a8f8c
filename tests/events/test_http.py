"""Webhooks against a real receiver, that Standard Webhooks' own verifier checks."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from starlette.responses import Response

from activities.targets import good_secrets
from paysaga.demo.preflight import free_port
from paysaga.domain.payment import PaymentStatus
from paysaga.events import http as webhooks
from paysaga.events.delivery import Answer, Verdict
from paysaga.events.http import (
    ForbiddenAddress,
    Headers,
    Http,
    Reply,
    WebhookTarget,
    check_url,
    is_public,
)
from paysaga.events.shapes import Event, published
from tests.api.test_views import a_state
from tests.events.test_shapes import kept
from tests.receiving import Hook, receiving
from tests.sinks import NOON, SECRET, a_sink

ANOTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with receiving() as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    made = Http(is_open=True)
    yield made
    await made.close()


@pytest.fixture
async def guarded() -> AsyncIterator[Http]:
    made = Http(is_open=False)
    yield made
    await made.close()


def an_event() -> Event:
    return published(kept(a_state(PaymentStatus.PROCESSING), "payment.processing"))


def answers(status: int, **headers: str) -> Any:
    async def says(_event: dict[str, Any]) -> Response:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return Response("no secrets", status_code=status, headers=told)

    return says


async def handed(http: Http, url: str, secrets: tuple[str, ...] = (SECRET,)) -> Answer:
    return await WebhookTarget(http, url, secrets).deliver(an_event())


class TestSignature:
    async def test_the_librarys_own_verifier_takes_it(self, hook: Hook, http: Http) -> None:
        """The body is the event, as `GET /events` tells it; its id is the message's."""
        answer = await handed(http, hook.url)

        assert Verdict.TAKEN is answer.verdict
        assert [an_event().model_dump(mode="json")] == hook.taken
        assert an_event().id == hook.requests[0].headers["webhook-id"]

    async def test_two_secrets_while_they_are_exchanged(self, hook: Hook, http: Http) -> None:
        """Who knows only the new one, or still only the old one, can check it."""
        await handed(http, hook.url, (ANOTHER_SECRET, SECRET))
        hook.secrets = [ANOTHER_SECRET]
        await handed(http, hook.url, (ANOTHER_SECRET, SECRET))

        assert 2 == len(hook.taken)

    async def test_who_has_another_secret_does_not_believe_it(self, hook: Hook, http: Http) -> None:
        """The signature is of this secret, this body and this time."""
        await handed(http, hook.url)
        body = an_event().model_dump_json()
        headers = dict(hook.requests[0].headers)

        for secret, told in ((ANOTHER_SECRET, body), (SECRET, body.replace("1250", "1"))):
            with pytest.raises(WebhookVerificationError):
                Webhook(secret).verify(told, headers)

    def test_the_old_secret_has_its_time(self) -> None:
        """It signs beside the new one until then, and not longer."""
        sink = a_sink(previous_secret=ANOTHER_SECRET, previous_secret_until=NOON)

        assert [SECRET, ANOTHER_SECRET] == good_secrets(sink, NOON - timedelta(seconds=1))
        assert [SECRET] == good_secrets(sink, NOON)


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "verdict"),
        [
            (200, Verdict.TAKEN),
            (202, Verdict.TAKEN),
            (204, Verdict.TAKEN),
            (400, Verdict.FAILED),
            (401, Verdict.FAILED),
            (404, Verdict.FAILED),
            (500, Verdict.FAILED),
            (302, Verdict.FAILED),
            (410, Verdict.GONE),
            (429, Verdict.AWAY),
            (502, Verdict.AWAY),
            (503, Verdict.AWAY),
            (504, Verdict.AWAY),
        ],
    )
    async def test_what_they_mean(
        self, hook: Hook, http: Http, status: int, verdict: Verdict
    ) -> None:
        """Only a success is one. Of what they say but the status is told."""
        hook.says = answers(status)

        answer = await handed(http, hook.url)

        assert verdict is answer.verdict
        assert answer.told.startswith(str(status))
        assert "secrets" not in answer.told

    async def test_they_may_say_when_to_come_again(self, hook: Hook, http: Http) -> None:
        """In seconds, or as a date; what is neither is not heard."""
        hook.says = answers(429, retry_after="90")
        seconds = await handed(http, hook.url)
        hook.says = answers(
            503, retry_after=format_datetime(datetime.now(UTC) + timedelta(hours=1))
        )
        date = await handed(http, hook.url)
        hook.says = answers(503, retry_after="soon")
        nonsense = await handed(http, hook.url)

        assert timedelta(seconds=90) == seconds.wait
        assert timedelta(minutes=59) < (date.wait or timedelta()) <= timedelta(hours=1)
        assert None is nonsense.wait

    async def test_nobody_listens(self, http: Http) -> None:
        """That is not about the event."""
        answer = await handed(http, f"http://127.0.0.1:{free_port()}/")

        assert (Verdict.AWAY, "no connection: refused") == (answer.verdict, answer.told)

    async def test_who_speaks_no_tls(self, hook: Hook, http: Http) -> None:
        """An https address at a port of plain HTTP: somebody has to mend the address."""
        answer = await handed(http, hook.url.replace("http:", "https:"))

        assert (Verdict.AWAY, "no connection: it does not speak TLS") == (
            answer.verdict,
            answer.told,
        )

    async def test_nobody_has_the_name(self, http: Http) -> None:
        """A name that does not resolve is nobody's fault but theirs: they are away."""
        answer = await handed(http, "http://shop.invalid/events")

        assert (Verdict.AWAY, "no connection: there is no such name") == (
            answer.verdict,
            answer.told,
        )

    async def test_who_is_too_slow_has_not_taken_it(
        self, hook: Hook, http: Http, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever they do with it later: it comes again, with the same id."""
        monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 0.2)
        never = asyncio.Event()

        async def hangs(_event: dict[str, Any]) -> Response:
            await never.wait()
            return Response()

        hook.says = hangs
        answer = await handed(http, hook.url)
        never.set()

        assert Verdict.FAILED is answer.verdict

    async def test_an_answer_without_end_is_not_read_to_it(self, hook: Hook, http: Http) -> None:
        """The status counts; what follows is theirs."""

        async def talks(_event: dict[str, Any]) -> Response:
            return Response(b"x" * 5_000_000, status_code=200)

        hook.says = talks

        assert Verdict.TAKEN is (await handed(http, hook.url)).verdict


class TestRedirects:
    @pytest.mark.parametrize("status", [307, 308])
    async def test_one_that_keeps_the_body_is_followed(
        self, hook: Hook, http: Http, status: int
    ) -> None:
        """The event arrives where it leads."""
        seen: list[str] = []

        async def leads_on(event: dict[str, Any]) -> Response:
            seen.append(event["id"])
            moved = {"location": "/elsewhere"}
            return Response(status_code=status, headers=moved) if len(seen) == 1 else Response()

        hook.says = leads_on

        answer = await handed(http, hook.url)

        assert Verdict.TAKEN is answer.verdict
        assert ["/events", "/elsewhere"] == [request.url.path for request in hook.requests]

    @pytest.mark.parametrize("where", ["http://[", "https://shop.example:99999/", "//"])
    async def test_one_that_leads_nowhere(self, hook: Hook, http: Http, where: str) -> None:
        """It is their fault, and the event's trouble alone."""
        hook.says = answers(307, location=where)

        answer = await handed(http, hook.url)

        assert answer.verdict in {Verdict.FAILED, Verdict.AWAY}

    async def test_a_circle_has_an_end(self, hook: Hook, http: Http) -> None:
        """After a few it has not arrived."""
        hook.says = answers(307, location="/again")

        answer = await handed(http, hook.url)

        assert Verdict.FAILED is answer.verdict
        assert 4 == len(hook.requests)

    async def test_one_that_would_lose_the_body_is_not(self, hook: Hook, http: Http) -> None:
        """A POST that becomes a GET says nothing: the address has to be mended."""
        hook.says = answers(301, location="/elsewhere")

        answer = await handed(http, hook.url)

        assert (Verdict.FAILED, 1) == (answer.verdict, len(hook.requests))


PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "0.0.0.0",
    "100.64.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
    "ff02::1",
    "::",
]


class TestProduction:
    @pytest.mark.parametrize("address", PRIVATE)
    def test_what_is_not_public(self, address: str) -> None:
        """Our own networks, machine and cloud are nobody's to be reached through us."""
        assert not is_public(address)

    @pytest.mark.parametrize("address", ["93.184.215.14", "1.1.1.1", "2606:4700::1111"])
    def test_what_is_public(self, address: str) -> None:
        """The internet is."""
        assert is_public(address)

    @pytest.mark.parametrize(
        "url",
        [
            "http://shop.example/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://169.254.169.254/latest",
            "ftp://shop.example/",
            "https:///events",
            "https://[",
            "https://shop.example:99999/",
            "https://a..b/",
            f"https://{'a' * 70}.example/",
        ],
    )
    def test_an_address_that_shows_it_is_refused(self, url: str) -> None:
        """Before anything is sent."""
        with pytest.raises(ForbiddenAddress):
            check_url(url, is_open=False)

    async def test_a_name_that_leads_home_is_not_called(self, guarded: Http, hook: Hook) -> None:
        """What it resolves to is checked at the connection itself, each time."""
        answer = await handed(guarded, f"https://localhost:{hook.port}/events")

        assert Verdict.AWAY is answer.verdict
        assert "private" in answer.told
        assert [] == hook.requests

    async def test_a_redirect_does_not_lead_home(self) -> None:
        """Each step is held to the same rules as the first."""

        class LedHome(Http):
            async def _post(self, url: str, content: bytes, headers: Headers) -> Reply:
                if url == "https://shop.example/events":
                    return Reply(307, "https://10.0.0.1/", None)
                return await super()._post(url, content, headers)

        guarded = LedHome(is_open=False)

        answer = await handed(guarded, "https://shop.example/events")

        await guarded.close()
        assert (Verdict.AWAY, "a private address is not called") == (answer.verdict, answer.told)
