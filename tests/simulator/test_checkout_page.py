from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest
import stripe

from tests.simulator.support import Control, Json
from tests.simulator.test_checkout import CANCEL_URL, TEA, intent_of, pay, read, start

YEAR = datetime.now(UTC).year + 1
CARD = {
    "email": "sam@example.com",
    "number": "4242 4242 4242 4242",
    "expiry": f"12 / {YEAR % 100}",
    "cvc": "123",
    "method": "card",
}


async def submit(
    http: httpx.AsyncClient, session: stripe.checkout.Session, **changes: str
) -> httpx.Response:
    """Press the button of the page, with the card that always works unless told otherwise."""
    return await http.post(str(session.url), data={**CARD, **changes})


def path(response: httpx.Response) -> str:
    return urlsplit(response.headers["location"]).path


class TestShown:
    async def test_order(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        The page shows lines and total, trusts no text, has a form and leads back to the shop.
        """
        evil = {"price_data": {**TEA["price_data"], "product_data": {"name": "<b>"}}, "quantity": 1}
        session = await start(client, line_items=[TEA, evil])

        page = await http.get(str(session.url))

        assert 200 == page.status_code
        for text in ("Tea (2)", "9.00 EUR", "&lt;b&gt;", "13.50 EUR", 'name="number"',
                     'name="expiry"', 'name="cvc"', "PayPal", f'href="{CANCEL_URL}"'):  # fmt: skip
            assert text in page.text

    async def test_known_email(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        An address that the shop knows is filled in and stays.
        """
        session = await start(client, customer_email="jo@example.com")

        page = await http.get(str(session.url))
        await submit(http, session, email="other@example.com")

        paid = await read(client, session.id)
        assert 'value="jo@example.com"' in page.text
        assert paid.customer_details is not None
        assert "jo@example.com" == paid.customer_details.email

    async def test_picked_card(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        A test card is picked from a list, and fills the form in.
        """
        session = await start(client)

        page = await http.get(f"{session.url}?card=4000000000000002")

        assert "?card=4000002760003184" in page.text
        assert 'value="4000000000000002"' in page.text

    async def test_guessed_link(self, http: httpx.AsyncClient) -> None:
        """
        A link that nobody was given leads nowhere.
        """
        answers = [
            await http.get("/c/pay/cs_test_x"),
            await http.post("/c/pay/cs_test_x", data=CARD),
            await http.get("/c/pay/cs_test_x/return"),
        ]

        assert [404, 404, 404] == [answer.status_code for answer in answers]

    async def test_closed(
        self, client: stripe.StripeClient, control: Control, http: httpx.AsyncClient
    ) -> None:
        """
        Once complete or expired the page says so, and takes no payment.
        """
        paid, expired = await start(client), await start(client)
        await pay(control, paid.id)
        await client.v1.checkout.sessions.expire_async(expired.id)

        pages = [await http.get(str(each.url)) for each in (paid, expired)]
        pages += [await submit(http, each) for each in (paid, expired)]

        for page, text in zip(pages, ["complete", "has expired"] * 2, strict=True):
            assert text in page.text
        assert 1 == len(await control.entries("charge.captured"))


class TestCard:
    async def test_paid(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        Who pays goes to the shop, which learns the session and the customer's address.
        """
        session = await start(client)

        answer = await submit(http, session)

        paid = await read(client, session.id)
        assert 303 == answer.status_code
        assert f"https://shop.example/done?session={session.id}" == answer.headers["location"]
        assert paid.customer_details is not None
        assert ("paid", "sam@example.com") == (paid.payment_status, paid.customer_details.email)

    async def test_declined(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, control: Control
    ) -> None:
        """
        A decline is told on the page, keeps what was typed, and the next card pays.
        """
        session = await start(client)

        declined = await submit(http, session, number="4000000000009995")
        between = await read(client, session.id)
        paid = await submit(http, session)

        assert (402, "open", 303) == (declined.status_code, between.status, paid.status_code)
        assert "Your card has insufficient funds." in declined.text
        assert 'value="sam@example.com"' in declined.text
        assert 1 == len(await control.entries("charge.captured"))

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"number": "4242 4242 4242 4241"}, "card number is incorrect"),
            ({"number": ""}, "card number is incorrect"),
            ({"expiry": "soon"}, "expiration date is incomplete"),
            ({"expiry": "13/40"}, "expiration month is invalid"),
            ({"expiry": "01/20"}, "expiration year is invalid"),
            ({"cvc": ""}, "security code is invalid"),
            ({"email": "sam"}, "email is incomplete"),
        ],
    )
    async def test_mistyped(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, changes: Json, words: str
    ) -> None:
        """
        What cannot be right is told on the page, and nothing is tried.
        """
        session = await start(client)

        answer = await submit(http, session, **changes)

        assert words in answer.text
        assert (await read(client, session.id)).payment_intent is None

    @pytest.mark.parametrize(
        ("outcome", "goes_to", "status"),
        [("authorize", "/done", "complete"), ("fail", None, "open")],
    )
    async def test_authentication(
        self,
        client: stripe.StripeClient,
        http: httpx.AsyncClient,
        outcome: str,
        goes_to: str | None,
        status: str,
    ) -> None:
        """
        3-D Secure comes back into the session: on to the shop, or to the page with the reason.
        """
        session = await start(client)

        bank = await submit(http, session, number="4000002760003184")
        back = await http.post(bank.headers["location"], data={"outcome": outcome})
        end = await http.get(back.headers["location"])

        assert path(bank).startswith("/3ds/")
        assert f"/c/pay/{session.id}/return" == path(back)
        assert status == (await read(client, session.id)).status
        if goes_to:
            assert goes_to == path(end)
        else:
            assert "failed authentication" in end.text

    async def test_left_at_the_bank(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, control: Control
    ) -> None:
        """
        Who turns back from the bank pays with another card; the old page decides nothing more.
        """
        session = await start(client)
        bank = await submit(http, session, number="4000002760003184")

        await submit(http, session)
        await http.post(bank.headers["location"], data={"outcome": "authorize"})

        assert "succeeded" == (await intent_of(client, session.id)).status
        assert 1 == len(await control.entries("charge.captured"))

    async def test_expired_at_the_bank(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, control: Control
    ) -> None:
        """
        Who comes back to a session that has expired meanwhile has paid nothing and is told.
        """
        session = await start(client)
        bank = await submit(http, session, number="4000002760003184")
        await client.v1.checkout.sessions.expire_async(session.id)

        back = await http.post(bank.headers["location"], data={"outcome": "authorize"})
        end = await http.get(back.headers["location"])

        assert "has expired" in end.text
        assert [] == await control.entries("charge.captured")

    async def test_broken_line(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, control: Control
    ) -> None:
        """
        A connection that breaks behind the page is told as trouble, and nothing happened.
        """
        await control.knobs(payment_success_rate=0, payment_failure_scenarios=["network_error"])
        session = await start(client)

        answer = await submit(http, session, number="4111 1111 1111 1111")

        assert "An error occurred while processing your card" in answer.text
        assert (await read(client, session.id)).payment_intent is None


class TestPaypal:
    @pytest.mark.parametrize(("outcome", "status"), [("authorize", "complete"), ("fail", "open")])
    async def test_buyer_decides(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, outcome: str, status: str
    ) -> None:
        """
        The PayPal button leads to PayPal's page and back into the session.
        """
        session = await start(client)

        away = await submit(http, session, method="paypal", number="", expiry="", cvc="")
        back = await http.post(away.headers["location"], data={"outcome": outcome})
        await http.get(back.headers["location"])

        assert path(away).startswith("/paypal/")
        assert status == (await read(client, session.id)).status


class TestFree:
    async def test_no_card(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        What costs nothing is completed without a card.
        """
        free = {"price_data": {**TEA["price_data"], "unit_amount": 0}, "quantity": 1}
        session = await start(client, line_items=[free])

        page = await http.get(str(session.url))
        answer = await http.post(str(session.url), data={"email": "sam@example.com"})

        assert "Complete order" in page.text
        assert "Card number" not in page.text
        assert 303 == answer.status_code
