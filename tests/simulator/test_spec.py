import json

import httpx
import pytest
import stripe

from tests.simulator.support import Json
from tests.simulator.test_cards import pay
from tests.stripe_spec import Message, Receive, Send, SpecCheck, Specification


@pytest.fixture(scope="module")
def specification(*, in_ci: bool) -> Specification:
    found = Specification.from_environment()
    if not found and in_ci:
        pytest.fail("CI must hold the simulator to Stripe's document: set STRIPE_OPENAPI")
    if not found:
        pytest.skip("not held to Stripe's OpenAPI document: STRIPE_OPENAPI names none")
    return found


async def judged(
    specification: Specification, answer: Json, form: str = "", version: str = "2026-10-28.endive"
) -> list[str]:
    """What the check says of one exchange about a payment intent."""

    async def app(_scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    check = SpecCheck(app, specification)
    transport = httpx.ASGITransport(check)
    async with httpx.AsyncClient(transport=transport, base_url="http://stripe") as http:
        headers = {"stripe-version": version} if version else {}
        await http.post("/v1/payment_intents", content=form, headers=headers)
    return [f"{found.side}: {found.message}" for found in check.violations]


@pytest.fixture
async def good(client: stripe.StripeClient, specification: Specification) -> Json:
    return (await pay(client, "pm_card_visa")).to_dict()


class TestSpecCheck:
    async def test_everything_was_checked(
        self, specification: Specification, good: Json, checked: SpecCheck
    ) -> None:
        """
        The simulator's exchanges were held to the document.
        """
        assert checked.checked > 0

    async def test_good_exchange(self, specification: Specification, good: Json) -> None:
        """
        What is right passes.
        """
        form = "amount=1000&currency=eur&expand[0]=customer&metadata[a]=b"

        assert [] == await judged(specification, good, form)

    @pytest.mark.parametrize(
        "spoil",
        [
            {"status": "paid"},
            {"surprise": 1},
            {"amount": "1999"},
            {"livemode": None},
            {"last_payment_error": {"type": "card_error", "surprise": 1}},
            {"next_action": {"type": "redirect_to_url", "redirect_to_url": {"link": "x"}}},
        ],
    )
    async def test_planted_answer(
        self, specification: Specification, good: Json, spoil: Json
    ) -> None:
        """
        A wrong value, a wrong type or an unknown field in an answer is found at any depth.
        """
        found = await judged(specification, good | spoil, "amount=1000&currency=eur")

        assert ["answer"] == [text.partition(":")[0] for text in found]

    @pytest.mark.parametrize(
        "form",
        [
            "amount=1000",
            "amount=ten&currency=eur",
            "amount=1000&currency=eur&colour=red",
            "amount=1000&currency=eur&shipping[name]=A&shipping[address][planet]=B",
            "amount=1000&currency=eur&payment_method_types[0]=card",
        ],
    )
    async def test_planted_request(
        self, specification: Specification, good: Json, form: str
    ) -> None:
        """
        A request that was accepted although the document, or endive, does not allow it is found.
        """
        found = await judged(specification, good, form)

        assert ["request"] == [text.partition(":")[0] for text in found]

    async def test_older_version(self, specification: Specification, good: Json) -> None:
        """
        A caller without a version may still send the types of methods.
        """
        form = "amount=1000&currency=eur&payment_method_types[0]=card"

        assert [] == await judged(specification, good, form, version="")
