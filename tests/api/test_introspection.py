"""The shop's auth service: it tells whose a token is, and whether a customer is there."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import AnyHttpUrl

from api.identity import TokenCheck
from api.introspection import GOOD_FOR_SECONDS, Introspection
from paysaga.auth import AuthService
from paysaga.settings import Settings
from tests.api.world import Api, Caller, World, a_customer, an_order, serving

TOKEN = "opaque-token-of-the-shop"


class Door:
    """An auth service that knows these tokens and users, and remembers what it was asked."""

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, Any]] = {TOKEN: {"sub": "shop", "role": "service"}}
        self.users: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.answer: httpx.Response | None = None
        self.now = 1000.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if self.answer is not None:
            return self.answer
        if request.url.path == "/introspect":
            [token] = parse_qs(request.content.decode())["token"]
            claims = self.tokens.get(token)
            return httpx.Response(200, json={"active": claims is not None, **(claims or {})})
        user = self.users.get(request.url.path.removeprefix("/users/"))
        return httpx.Response(200, json=user) if user else httpx.Response(404)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def guarded(world: World, door: Door) -> AsyncIterator[Api]:
    """A deployment that asks the auth service about tokens and customers."""
    address = {"auth_service_url": AnyHttpUrl("http://auth.example")}
    known = {**address, "jwt_secret": None, "auth_service_knows_customers": True}
    settings = world.settings.model_copy(update=known)
    base = "http://auth.example"
    async with (
        serving(settings) as served,
        httpx.AsyncClient(base_url=base, transport=httpx.MockTransport(door)) as http,
    ):
        auth = AuthService(http)
        tokens = TokenCheck(settings, Introspection(auth, lambda: door.now))
        connections = replace(served.app.state.connections, auth=auth, tokens=tokens)
        served.app.state.connections = connections
        yield served


def bearer(api: Api, token: str = TOKEN) -> Caller:
    return Caller(api.http, {"Authorization": f"Bearer {token}"})


class TestTokens:
    async def test_its_yes_lets_in_for_a_moment(self, guarded: Api, door: Door) -> None:
        """One question for many requests; later it is asked again."""
        for _ in range(3):
            assert 200 == (await bearer(guarded).get("/payments")).status_code
        door.now += GOOD_FOR_SECONDS
        await bearer(guarded).get("/payments")

        assert ["/introspect"] * 2 == door.asked

    async def test_a_revoked_token_is_out_soon(self, guarded: Api, door: Door) -> None:
        """What was good is not good for ever."""
        await bearer(guarded).get("/payments")
        del door.tokens[TOKEN]
        door.now += GOOD_FOR_SECONDS

        answer = await bearer(guarded).get("/payments")

        assert (401, "invalid_token") == (answer.status_code, answer.json()["code"])

    @pytest.mark.parametrize(
        "claims",
        [
            {},
            {"sub": "shop"},
            {"role": "service"},
            {"sub": "shop", "role": "king"},
            {"sub": 7, "role": "service"},
            {"sub": "not-a-customer", "role": "customer"},
            {"sub": "shop", "role": "service", "aud": "others"},
            {"sub": "shop", "role": "service", "aud": ["others"]},
            {"sub": "shop", "role": "service", "iss": "others"},
            {"sub": "shop", "role": "service", "exp": 1},
            {"sub": "shop", "role": "service", "exp": "tomorrow"},
        ],
    )
    async def test_what_is_not_as_agreed_is_401(
        self, guarded: Api, door: Door, claims: dict[str, Any]
    ) -> None:
        """Active is not enough: it must be somebody, with a role of ours, for us, and now."""
        door.tokens["strange"] = claims

        answer = await bearer(guarded, "strange").get("/payments")

        assert (401, "invalid_token") == (answer.status_code, answer.json()["code"])

    async def test_all_that_it_may_say(self, guarded: Api, door: Door) -> None:
        """A token with everything as it should be."""
        full = {"iss": "paysaga", "aud": ["shop", "paysaga"], "exp": int(time.time()) + 60}
        door.tokens["full"] = {"sub": "cst_1", "role": "customer", **full}

        assert 200 == (await bearer(guarded, "full").get("/payments")).status_code

    @pytest.mark.parametrize(
        "answer",
        [
            httpx.Response(500),
            httpx.Response(403),
            httpx.Response(200, text="yes"),
            httpx.Response(200, json=["yes"]),
            httpx.Response(200, json={"active": "yes"}),
        ],
    )
    async def test_nobody_knows(self, guarded: Api, door: Door, answer: httpx.Response) -> None:
        """An auth service in trouble is 503, never a yes and never a no."""
        door.answer = answer

        told = await bearer(guarded).get("/payments")

        assert (503, "tokens_unchecked") == (told.status_code, told.json()["code"])

    async def test_readiness_names_it(self, guarded: Api, door: Door) -> None:
        """Without it nobody is let in: it is needed."""
        door.answer = httpx.Response(502)

        answer = await guarded.http.get("http://api.example/health/ready")

        found = answer.json()["dependencies"]["auth_service"]
        assert (503, {"up": False, "needed": True}) == (answer.status_code, found)


class TestCustomers:
    async def test_a_customer_who_is_there_pays(self, guarded: Api, door: Door) -> None:
        """Looked up once, at the start."""
        customer = a_customer()
        door.users[customer] = {"id": customer, "email": "ada@example.org", "name": "Ada"}

        answer = await bearer(guarded).post("/payments", an_order(customer_id=customer))

        assert 201 == answer.status_code
        assert 1 == door.asked.count(f"/users/{customer}")
        assert "ada@example.org" not in answer.text

    @pytest.mark.parametrize("user", [None, {"id": "cst_x", "active": False}])
    async def test_who_is_not_there_does_not(
        self, guarded: Api, door: Door, user: dict[str, Any] | None
    ) -> None:
        """The field is named, and no payment begins."""
        customer = a_customer()
        door.users |= {customer: user} if user else {}

        answer = await bearer(guarded).post("/payments", an_order(customer_id=customer))

        told = answer.json()
        assert (422, "customer_id") == (answer.status_code, told["errors"][0]["field"])
        page = await bearer(guarded).get("/payments", customer_id=customer)
        assert [] == page.json()["items"]

    @pytest.mark.parametrize("answer", [httpx.Response(500), httpx.Response(200, text="Ada")])
    async def test_nobody_knows(self, guarded: Api, door: Door, answer: httpx.Response) -> None:
        """A repeat with the same key is safe."""
        await bearer(guarded).get("/payments")
        door.answer = answer

        told = await bearer(guarded).post("/payments", an_order())

        assert (503, "auth_service_unavailable") == (told.status_code, told.json()["code"])


class TestSettings:
    def test_customers_need_a_service(self) -> None:
        """Who is to be asked must be known."""
        with pytest.raises(ValueError, match="AUTH_SERVICE_URL"):
            Settings(auth_service_knows_customers=True)

    def test_keys_come_first(self) -> None:
        """With keys of its own each token is checked here, and nobody is asked."""
        address = AnyHttpUrl("http://auth.example")
        keys = AnyHttpUrl("http://auth.example/jwks")

        asks = Settings(auth_service_url=address, jwt_secret=None)
        checks = Settings(
            auth_service_url=address, jwt_jwks_url=keys, jwt_algorithms=("RS256",), jwt_secret=None
        )

        assert (True, False) == (asks.introspects, checks.introspects)
