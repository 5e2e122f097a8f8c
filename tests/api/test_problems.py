import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from api.middleware import Guarded
from api.problems import PROBLEMS
from paysaga.settings import Settings
from paysaga.tokens import Role
from tests.api.world import Api, World, a_customer, an_order, serving

CARD = "4242 4242 4242 4242"
SHAPE = {"type", "title", "status", "detail", "code", "errors"}


async def post_raw(api: Api, body: bytes, **headers: str) -> httpx.Response:
    return await api.http.post(
        "/payments",
        content=body,
        headers={
            **api.shop.headers,
            "Content-Type": "application/json",
            "Idempotency-Key": "raw",
            **headers,
        },
    )


class TestShape:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/payments/pay_unknown", 404),
            ("GET", "/nothing", 404),
            ("GET", "http://api.example/", 404),
            ("DELETE", "/payments", 405),
            ("PUT", "/payments/pay_x/retry", 405),
            ("GET", "/webhooks/stripe", 405),
            ("GET", "/payments?limit=0", 422),
            ("POST", "/payments", 400),
        ],
    )
    async def test_every_refusal_is_a_problem(
        self, api: Api, method: str, path: str, status: int
    ) -> None:
        """Whatever goes wrong is told in one form (RFC 9457)."""
        answer = await api.http.request(method, path, headers=api.shop.headers)

        told = answer.json()
        assert status == answer.status_code
        assert "application/problem+json" == answer.headers["Content-Type"]
        assert told.keys() >= SHAPE
        assert status == told["status"]
        assert f"urn:paysaga:problem:{told['code']}" == told["type"]

    async def test_a_wrong_method_names_the_right_ones(self, api: Api) -> None:
        """405 says what is allowed, as HTTP wants it."""
        answer = await api.http.delete("/webhooks/stripe")

        assert "POST" == answer.headers["Allow"]

    def test_every_code_is_one_kind(self) -> None:
        """Codes are stable words that callers decide by; each stands for one thing."""
        kinds = {id(kind): kind for kind in PROBLEMS.values()}.values()
        codes = [kind.code for kind in kinds]

        assert len(kinds) == len(set(codes))
        assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)

    async def test_the_query_is_not_repeated(self, api: Api) -> None:
        """An address may hold what is nobody's business."""
        answer = await api.http.get("/payments/pay_x?token=secret", headers=api.shop.headers)

        assert "/api/v1/payments/pay_x" == answer.json()["instance"]
        assert "secret" not in answer.text


class TestMalformed:
    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"\xff",
            b"{'a': 1}",
            b'{"amount": NaN}',
            b'{"order_id": "\\ud800"}',
            b'{"\\ud800": 1}',
            b"[" * 60_000,
            b'{"a":' * 10_000,
            b'"text"',
            b"null",
            b"[]",
            b"",
            b'{"amount": ' + b"9" * 5000 + b"}",
            b'{"amount": 1e400}',
        ],
    )
    async def test_no_body_breaks_us(self, api: Api, body: bytes) -> None:
        """Every nonsense is the caller's mistake, told as such."""
        answer = await post_raw(api, body)

        assert answer.status_code in {400, 422}, answer.text
        assert answer.json().keys() >= SHAPE

    async def test_another_kind_of_content_is_refused(self, api: Api) -> None:
        """A form is no JSON, and whoever forgot to say that it is one is told so."""
        answer = await post_raw(
            api,
            json.dumps(an_order()).encode(),
            **{"Content-Type": "application/x-www-form-urlencoded"},
        )

        assert 422 == answer.status_code
        assert ["Content-Type"] == [error["field"] for error in answer.json()["errors"]]

    async def test_a_list_is_no_object(self, api: Api) -> None:
        """What is wrong with the body as a whole is told of the body."""
        answer = await post_raw(api, json.dumps([an_order()]).encode())

        assert 422 == answer.status_code
        assert ["body"] == [error["field"] for error in answer.json()["errors"]]


class TestCardNumbers:
    @pytest.mark.parametrize(
        "changes",
        [
            {"description": CARD},
            {"metadata": {"card": "4242-4242-4242-4242"}},
            {"metadata": {CARD: "card"}},
            {"order_id": "4242424242424242"},
            {"amount": 4242424242424242},
            {"unknown": {"deep": [CARD]}},
            {"payment_method_id": "378282246310005"},
        ],
    )
    async def test_one_in_the_body_is_refused(self, api: Api, changes: dict[str, Any]) -> None:
        """A card number does not belong here, wherever it stands; it does not come back either."""
        answer = await api.shop.post("/payments", an_order(**changes))

        assert (400, "card_number_refused") == (answer.status_code, answer.json()["code"])
        assert not re.search(r"4242|0005", answer.text)

    async def test_one_behind_escapes_is_refused(self, api: Api) -> None:
        """Spelling the digits in another way hides nothing."""
        escaped = "".join(f"\\u{ord(digit):04x}" for digit in "4242424242424242")
        body = json.dumps(an_order(description="X")).replace("X", escaped)

        answer = await post_raw(api, body.encode())

        assert (400, "card_number_refused") == (answer.status_code, answer.json()["code"])

    async def test_one_in_the_path_query_or_key_is_refused(self, api: Api) -> None:
        """Nor does it stand in an address or a header that we keep."""
        answers = [
            await api.shop.get("/payments/4242424242424242"),
            await api.shop.get("/orders/4242-4242-4242-4242/payment"),
            await api.shop.get("/payments", order_id=CARD),
            await api.shop.get("/payments", **{"4242424242424242": "x"}),
            await api.shop.post("/payments", an_order(), key="4242424242424242"),
        ]

        assert [(400, "card_number_refused")] * 5 == [
            (answer.status_code, answer.json()["code"]) for answer in answers
        ]
        assert not any("4242" in answer.text for answer in answers)

    async def test_one_is_never_logged(self, api: Api) -> None:
        """Neither the request's line nor anything else holds it."""
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            await api.shop.get("/payments/4242424242424242", q=CARD)
            await api.shop.post("/payments", an_order(description=CARD), key="4242424242424242")
            await api.shop.get("/payments")
            await api.http.get("/payments", headers={"X-Correlation-Id": "4242424242424242"})

        assert lines
        assert "4242" not in json.dumps(lines, default=str)


class TestLimits:
    async def test_a_body_within_the_limit_is_read(self, world: World) -> None:
        """The limit itself is allowed."""
        body = json.dumps(an_order()).encode()
        settings = world.settings.model_copy(update={"api_body_limit_bytes": len(body)})
        async with serving(settings) as api:
            fits = await post_raw(api, body)
            too_large = await post_raw(api, body + b" ")

        assert (201, 413) == (fits.status_code, too_large.status_code)
        assert "body_too_large" == too_large.json()["code"]

    async def test_a_stream_is_cut_off(self, api: Api) -> None:
        """A body that does not say its length is not read for ever."""
        read = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal read
            while True:
                read += 1
                yield b" " * 1024

        answer = await api.http.post("/payments", content=endless(), headers=api.shop.headers)

        assert 413 == answer.status_code
        assert 65 == read

    async def test_a_client_that_is_gone_starts_nothing(self) -> None:
        """Half a body is none."""
        reached = False

        async def app(*_: object) -> None:
            nonlocal reached
            reached = True

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        async def send(_: object) -> None:
            raise AssertionError("nobody is there to hear it")

        scope = {"type": "http", "path": "/", "query_string": b"", "headers": []}
        await Guarded(app, Settings())(scope, receive, send)

        assert not reached


class TestHeaders:
    async def test_a_correlation_id_goes_through(self, api: Api) -> None:
        """Who gives a request a name finds it in the answer, and in the logs."""
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            answer = await api.http.get("/payments", headers={"X-Correlation-Id": "basket.17-a_b"})

        assert "basket.17-a_b" == answer.headers["X-Correlation-Id"]
        assert {"basket.17-a_b"} == {line["correlation_id"] for line in lines}

    @pytest.mark.parametrize("told", ["", "a" * 65, "two words", "a;b", "4242424242424242"])
    async def test_a_bad_one_is_replaced(self, api: Api, told: str) -> None:
        """What is not a plain word does not get into logs and metadata."""
        answer = await api.http.get("/payments", headers={"X-Correlation-Id": told})

        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Correlation-Id"])

    async def test_answers_are_not_kept_on_the_way(self, api: Api) -> None:
        """A payment's state is for the one who asked, and for now."""
        answer = await api.shop.get("/payments")

        assert "no-store" == answer.headers["Cache-Control"]
        assert "nosniff" == answer.headers["X-Content-Type-Options"]

    async def test_the_time_is_told(self, api: Api) -> None:
        """How much of the answer's time was Temporal's, and with it the gateway's."""
        answer = await api.shop.post("/payments", an_order())

        assert re.fullmatch(
            r"temporal;dur=[\d.]+, total;dur=[\d.]+", answer.headers["Server-Timing"]
        )

    async def test_only_named_origins_may_read(self, world: World) -> None:
        """A page of the shop may call us, another page's script may not."""
        settings = world.settings.model_copy(update={"cors_origins": ("https://shop.example",)})
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,idempotency-key",
        }
        async with serving(settings) as api:
            answers = [
                await api.http.options("/payments", headers={"Origin": origin, **asked})
                for origin in ("https://shop.example", "https://evil.example")
            ]

        assert [200, 400] == [answer.status_code for answer in answers]
        assert "https://shop.example" == answers[0].headers["Access-Control-Allow-Origin"]
        assert "Access-Control-Allow-Origin" not in answers[1].headers


class TestOurMistakes:
    async def test_an_unexpected_error_tells_nothing_but_where_to_look(self, world: World) -> None:
        """A bug is a 500 with the correlation id; what broke stands in the logs only."""
        async with serving(world.settings) as api:
            api.app.state.connections = None
            with capture_logs() as lines:
                answer = await api.as_(Role.CUSTOMER, a_customer()).get("/payments")

        told = answer.json()
        assert (500, "internal_error") == (answer.status_code, told["code"])
        assert answer.headers["X-Correlation-Id"] == told["correlation_id"]
        assert "NoneType" not in answer.text
        assert "a request broke" in {line["event"] for line in lines}
