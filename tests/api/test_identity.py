import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from pydantic import AnyHttpUrl
from temporalio.client import WorkflowHistory

from api.identity import KEYS_PAUSE_SECONDS, Keys
from api.refusals import TokensUnchecked
from paysaga.settings import DEVELOPMENT_SECRET, Environment, Settings
from paysaga.tokens import NoTokensHere, Role, issue_token
from tests.api.world import HOUR, Api, World, serving


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token claims; `None` leaves a claim out."""
    good = {
        "iss": "paysaga",
        "aud": "paysaga",
        "sub": "jane",
        "role": "support",
        "exp": datetime.now(UTC) + HOUR,
        **changes,
    }
    return {name: value for name, value in good.items() if value is not None}


def signed(secret: str = DEVELOPMENT_SECRET, headers: Any = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, algorithm="HS256", headers=headers)


def encoded(header: dict[str, Any], secret: bytes | None) -> str:
    """A token as no decent library would make it."""
    parts = [json.dumps(part).encode() for part in (header, claims(exp=4_000_000_000))]
    told = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    digest = hmac.digest(secret, told, "sha256") if secret else b""
    return b".".join([told, base64.urlsafe_b64encode(digest).rstrip(b"=")]).decode()


def decoded(run: WorkflowHistory) -> str:
    """All that stands in a run's history, as text."""
    return "".join(event.SerializeToString().decode(errors="replace") for event in run.events)


async def status_of(api: Api, token: str) -> tuple[int, str | None]:
    answer = await api.http.get("/payments", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json().get("code")


class TestSharedSecret:
    @pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
    async def test_a_good_token_is_taken(self, api: Api, kind: str | None) -> None:
        """Both kinds of access token are known."""
        assert (200, None) == await status_of(api, signed(headers={"typ": kind}))

    @pytest.mark.parametrize(
        "token",
        [
            pytest.param(lambda: "not a token", id="no token"),
            pytest.param(lambda: "a.b.c", id="three letters"),
            pytest.param(
                lambda: signed(exp=datetime.now(UTC) - timedelta(minutes=1)), id="expired"
            ),
            pytest.param(lambda: signed(nbf=datetime.now(UTC) + HOUR), id="too early"),
            pytest.param(lambda: signed(iss="somebody"), id="issuer"),
            pytest.param(lambda: signed(aud="somebody"), id="audience"),
            pytest.param(lambda: signed("another-secret" * 3), id="secret"),
            pytest.param(lambda: encoded({"alg": "none"}, None), id="no signature"),
            pytest.param(
                lambda: jwt.encode(claims(), DEVELOPMENT_SECRET * 2, algorithm="HS512"),
                id="algorithm",
            ),
            pytest.param(lambda: signed(headers={"kid": "k1"}), id="unknown kid"),
            pytest.param(lambda: signed(headers={"typ": "dpop+jwt"}), id="type"),
            pytest.param(lambda: signed(exp=None), id="without exp"),
            pytest.param(lambda: signed(iss=None), id="without iss"),
            pytest.param(lambda: signed(aud=None), id="without aud"),
            pytest.param(lambda: signed(sub=None), id="without sub"),
            pytest.param(lambda: signed(role=None), id="without role"),
            pytest.param(lambda: signed(role="root"), id="unknown role"),
            pytest.param(lambda: signed(role=["admin"]), id="roles"),
            pytest.param(lambda: signed(sub=""), id="empty sub"),
            pytest.param(lambda: signed(sub="a" * 101), id="long sub"),
            pytest.param(lambda: signed(sub="jörg"), id="wide sub"),
            pytest.param(lambda: signed(sub="a\nb"), id="sub of two lines"),
            pytest.param(lambda: signed(role="customer", sub="jane"), id="no customer"),
            pytest.param(lambda: signed(role="customer", sub="cst_1\n"), id="no customer's id"),
        ],
    )
    async def test_every_other_token_is_401(self, api: Api, token: Any) -> None:
        """Whatever is wrong with a token, it opens nothing, and why is not told."""
        assert (401, "invalid_token") == await status_of(api, token())

    @pytest.mark.parametrize(
        ("subject", "shown"),
        [
            ("u-17", "u-17"),
            ("auth0|5f7c8ec7c33c6c004bbafe82", "auth0|5f7c8ec7c33c6c004bbafe82"),
            ("248289761001", "248289761001"),
            (
                "jane@shop.example",
                f"sha256-{hashlib.sha256(b'jane@shop.example').hexdigest()[:32]}",
            ),
            ("jane.doe", f"sha256-{hashlib.sha256(b'jane.doe').hexdigest()[:32]}"),
            ("a" * 65, f"sha256-{hashlib.sha256(b'a' * 65).hexdigest()[:32]}"),
        ],
    )
    async def test_only_an_opaque_id_is_kept_of_who_acted(
        self, api: Api, world: World, subject: str, shown: str
    ) -> None:
        """History and run outlive everybody's employment: they hold no address and no name."""
        payment = await api.shop.pay("pm_requires_action")

        await api.as_(Role.SUPPORT, subject).post(f"/payments/{payment['id']}/cancel")

        history = await api.shop.get(f"/payments/{payment['id']}/history")
        run = await world.client.get_workflow_handle(payment["id"]).fetch_history()
        assert f"support:{shown}" == history.json()["entries"][-1]["actor"]
        assert subject == shown or subject not in decoded(run)

    async def test_no_token_is_401(self, api: Api) -> None:
        """The answer says which scheme is needed."""
        answer = await api.nobody.get("/payments")

        assert (401, "not_authenticated") == (answer.status_code, answer.json()["code"])
        assert 'Bearer realm="paysaga"' == answer.headers["WWW-Authenticate"]

    async def test_another_scheme_is_401(self, api: Api) -> None:
        """A password is no token."""
        answer = await api.http.get("/payments", headers={"Authorization": "Basic amFuZTp4"})

        assert 401 == answer.status_code

    async def test_identity_comes_before_the_rest(self, api: Api) -> None:
        """A stranger does not learn what a good body looks like."""
        answer = await api.nobody.post("/payments", {"nonsense": 1}, key=None)

        assert 401 == answer.status_code


class AuthService:
    """The shop's auth service, as far as its keys go."""

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.body: bytes | None = None
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(200)
                self.end_headers()
                self.wfile.write(outer.body if outer.body is not None else outer.key_set())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def key_set(self) -> bytes:
        keys = [
            {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}
            for kid, key in self.keys.items()
        ]
        return json.dumps({"keys": keys}).encode()

    def signs(self, kid: str, **changes: Any) -> str:
        if kid not in self.keys:
            self.keys[kid] = rsa.generate_private_key(65537, 2048)
        return jwt.encode(
            claims(**changes), self.keys[kid], algorithm="RS256", headers={"kid": kid}
        )


@pytest.fixture
def auth_service() -> Iterator[AuthService]:
    service = AuthService()
    yield service
    service.server.shutdown()
    service.server.server_close()


def by_keys(world: World, url: str) -> Settings:
    return world.settings.model_copy(
        update={"jwt_jwks_url": AnyHttpUrl(url), "jwt_algorithms": ("RS256",), "jwt_secret": None}
    )


class TestKeys:
    async def test_a_token_of_a_known_key_is_taken_and_the_keys_are_kept(
        self, world: World, auth_service: AuthService
    ) -> None:
        """The keys are asked for once, not for each request."""
        token = auth_service.signs("k1")
        async with serving(by_keys(world, auth_service.url)) as api:
            answers = [await status_of(api, token) for _ in range(3)]

        assert [(200, None)] * 3 == answers
        assert 1 == auth_service.asked

    async def test_an_unknown_key_is_401(self, world: World, auth_service: AuthService) -> None:
        """A key that the auth service does not publish signs nothing."""
        auth_service.signs("k1")
        stranger = AuthService().signs("k2")
        async with serving(by_keys(world, auth_service.url)) as api:
            assert (401, "invalid_token") == await status_of(api, stranger)

    async def test_a_known_keys_name_does_not_help_a_stranger(
        self, world: World, auth_service: AuthService
    ) -> None:
        """The signature counts, not the name."""
        auth_service.signs("k1")
        stranger = AuthService().signs("k1")
        async with serving(by_keys(world, auth_service.url)) as api:
            assert (401, "invalid_token") == await status_of(api, stranger)

    async def test_a_token_without_a_keys_name_is_401(
        self, world: World, auth_service: AuthService
    ) -> None:
        """No key is guessed."""
        auth_service.signs("k1")
        token = jwt.encode(claims(), auth_service.keys["k1"], algorithm="RS256")
        async with serving(by_keys(world, auth_service.url)) as api:
            assert (401, "invalid_token") == await status_of(api, token)

    async def test_a_public_key_is_no_secret(self, world: World, auth_service: AuthService) -> None:
        """A token that is signed with the published key as a secret is refused."""
        auth_service.signs("k1")
        token = encoded({"alg": "HS256", "kid": "k1"}, auth_service.key_set())
        async with serving(by_keys(world, auth_service.url)) as api:
            assert (401, "invalid_token") == await status_of(api, token)

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"keys": []}', b"{}"])
    async def test_an_auth_service_without_keys_is_503(
        self, world: World, auth_service: AuthService, body: bytes
    ) -> None:
        """It is not the caller's fault that nobody can check their token."""
        token = auth_service.signs("k1")
        auth_service.body = body
        async with serving(by_keys(world, auth_service.url)) as api:
            assert (503, "tokens_unchecked") == await status_of(api, token)

    async def test_an_auth_service_that_is_down_is_503(self, world: World) -> None:
        """Its absence is told as such, and when to come again."""
        async with serving(by_keys(world, "http://127.0.0.1:9/keys")) as api:
            answer = await api.http.get(
                "/payments", headers={"Authorization": f"Bearer {AuthService().signs('k1')}"}
            )

        assert (503, "tokens_unchecked") == (answer.status_code, answer.json()["code"])
        assert answer.headers["Retry-After"]


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class TestAskingForKeys:
    async def test_strangers_do_not_make_us_ask_without_end(
        self, auth_service: AuthService
    ) -> None:
        """However many tokens name keys that do not exist, the auth service is left in peace."""
        auth_service.signs("k1")
        keys = Keys(auth_service.url, Clock())

        found = await asyncio.gather(*(keys.key(f"stranger-{number}") for number in range(50)))

        assert [None] * 50 == found
        assert 1 == auth_service.asked

    async def test_a_new_key_is_found_after_the_pause(self, auth_service: AuthService) -> None:
        """The auth service may change its keys at any time: after seconds we know the new one."""
        auth_service.signs("k1")
        clock = Clock()
        keys = Keys(auth_service.url, clock)
        await keys.key("k1")
        auth_service.signs("k2")

        at_once = await keys.key("k2")
        clock.seconds += KEYS_PAUSE_SECONDS
        later = await keys.key("k2")

        assert at_once is None
        assert later is not None
        assert 2 == auth_service.asked

    async def test_an_auth_service_in_trouble_is_not_asked_by_everybody(
        self, auth_service: AuthService
    ) -> None:
        """While it fails one question in a while is enough, and the first good answer counts."""
        auth_service.signs("k1")
        auth_service.body = b"<html>"
        clock = Clock()
        keys = Keys(auth_service.url, clock)
        for _ in range(20):
            with pytest.raises(TokensUnchecked):
                await keys.key("k1")
        auth_service.body = None
        clock.seconds += KEYS_PAUSE_SECONDS

        found = await keys.key("k1")

        assert found is not None
        assert 2 == auth_service.asked

    async def test_known_keys_are_good_while_it_is_in_trouble(
        self, auth_service: AuthService
    ) -> None:
        """A failed question costs nobody the keys that are known."""
        auth_service.signs("k1")
        clock = Clock()
        keys = Keys(auth_service.url, clock)
        await keys.key("k1")
        auth_service.body = b"<html>"
        clock.seconds += KEYS_PAUSE_SECONDS
        with pytest.raises(TokensUnchecked):
            await keys.key("stranger")

        found = await keys.key("k1")

        assert found is not None
        assert 2 == auth_service.asked


class TestIssuing:
    def test_production_issues_none(self, world: World) -> None:
        """Only the shop's auth service says who somebody is."""
        settings = world.settings.model_copy(update={"environment": Environment.PRODUCTION})

        with pytest.raises(NoTokensHere, match="auth service"):
            issue_token(settings, "jane", Role.ADMIN, HOUR)

    def test_without_the_secret_none_is_issued(self, world: World) -> None:
        """Who has only public keys cannot sign."""
        with pytest.raises(NoTokensHere, match="JWT_JWKS_URL"):
            issue_token(by_keys(world, "http://127.0.0.1:9/"), "jane", Role.ADMIN, HOUR)
