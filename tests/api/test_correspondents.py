"""Customers say where, in what language and about what they are written to."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from paysaga.auth import AuthService
from paysaga.database.engine import create_engine
from paysaga.events.mail.kinds import CustomerMail
from paysaga.tokens import Role
from tests.api.world import Api, a_customer

ALL = dict.fromkeys(CustomerMail, True)


async def told(api: Api, customer: str) -> dict[str, Any]:
    """What the customer reads of themselves."""
    return dict((await api.as_(Role.CUSTOMER, customer).get(f"/customers/{customer}")).json())


class TestReading:
    async def test_who_has_said_nothing_gets_everything(self, api: Api) -> None:
        """Every mail is wanted until it is switched off; there is no address yet."""
        customer = str((await api.shop.pay())["customer_id"])

        assert {"customer_id": customer, "email": None, "language": None, "mails": ALL} == (
            await told(api, customer)
        )

    async def test_who_is_not_known_is_missing(self, api: Api) -> None:
        """Nothing is made up about somebody of whom nothing was heard."""
        assert 404 == (await api.shop.get(f"/customers/{a_customer()}")).status_code

    @pytest.mark.parametrize("path", ["/customers/ada", "/customers/cst_", "/customers/cst_%00"])
    async def test_what_is_no_id_is_missing(self, api: Api, path: str) -> None:
        """Whatever stands in the path, it is told as missing."""
        assert 404 == (await api.shop.get(path)).status_code


class TestChanging:
    async def test_the_shop_introduces_a_customer(self, api: Api) -> None:
        """Before they have bought anything; a repeat changes nothing."""
        customer = a_customer()
        body = {"email": "ada@example.com", "language": "de-AT", "mails": {"retry": False}}

        answers = [await api.shop.patch(f"/customers/{customer}", body) for _ in range(2)]

        expected = {"customer_id": customer, **body, "mails": ALL | {"retry": False}}
        assert [(200, expected)] * 2 == [(one.status_code, one.json()) for one in answers]
        assert expected == await told(api, customer)

    async def test_what_is_left_out_stays(self, api: Api) -> None:
        """`null` forgets; nothing else does."""
        customer = a_customer()
        them = api.as_(Role.CUSTOMER, customer)
        url = f"/customers/{customer}"
        await them.patch(url, {"email": "ada@example.com", "language": "de"})

        await them.patch(url, {"mails": {"receipt": False, "refund": False}})
        await them.patch(url, {"mails": {"receipt": True}})
        kept = await told(api, customer)
        await them.patch(url, {"email": None})
        left = await told(api, customer)

        assert ("ada@example.com", "de") == (kept["email"], kept["language"])
        assert ALL | {"refund": False} == kept["mails"] == left["mails"]
        assert (None, "de") == (left["email"], left["language"])

    async def test_the_payment_page_knows_the_address(self, api: Api) -> None:
        """It is the one address of the customer, whoever told it."""
        customer = a_customer()
        await api.shop.patch(f"/customers/{customer}", {"email": "ada@example.com"})

        assert "ada@example.com" == await api.app.state.connections.customers.email(customer)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"email": "ada"}, "email"),
            ({"email": "ada,eve@example.com"}, "email"),
            ({"email": "ada@example.com\r\nBcc: eve@example.com"}, "email"),
            ({"email": "a" * 250 + "@example.com"}, "email"),
            ({"email": ""}, "email"),
            ({"language": "german!"}, "language"),
            ({"language": ""}, "language"),
            ({"mails": {"receipt": "no"}}, "mails.receipt"),
            ({"mails": {"receipt": None}}, "mails.receipt"),
            ({"mails": {"needs_operator": True}}, "mails.needs_operator"),
            ({"mails": {"newsletter": True}}, "mails.newsletter"),
            ({"name": "Ada"}, "name"),
        ],
    )
    async def test_what_is_wrong_is_named(self, api: Api, body: dict[str, Any], field: str) -> None:
        """Nothing is half taken, and nobody switches off what operations need."""
        customer = a_customer()

        answer = await api.shop.patch(f"/customers/{customer}", body)

        assert 422 == answer.status_code
        assert answer.json()["errors"][0]["field"].startswith(field)
        assert 404 == (await api.shop.get(f"/customers/{customer}")).status_code

    async def test_whom_the_auth_service_does_not_know(self, api: Api) -> None:
        """Where it is to be asked, nobody is introduced whom it has not heard of."""

        def nobody(_: httpx.Request) -> httpx.Response:
            return httpx.Response(404)

        connections = api.app.state.connections
        transport = httpx.MockTransport(nobody)
        async with httpx.AsyncClient(transport=transport, base_url="http://auth") as http:
            api.app.state.connections = replace(
                connections,
                auth=AuthService(http),
                settings=connections.settings.model_copy(
                    update={"auth_service_knows_customers": True}
                ),
            )
            answer = await api.shop.patch(f"/customers/{a_customer()}", {"language": "de"})
        api.app.state.connections = connections

        assert 422 == answer.status_code

    async def test_the_address_is_nowhere_else(self, api: Api) -> None:
        """A payment of the customer's tells nobody where they live."""
        customer = a_customer()
        await api.shop.patch(f"/customers/{customer}", {"email": "ada.hidden@example.com"})
        payment = await api.shop.pay(customer_id=customer)
        engine = create_engine(api.settings.database_url)

        async with engine.connect() as connection:
            events = (await connection.execute(text("SELECT data FROM events"))).all()
        await engine.dispose()

        assert "ada.hidden" not in f"{payment} {events}"
