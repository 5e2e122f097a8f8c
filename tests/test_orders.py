"""The client of the order service against every answer that a shop may give."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date

import httpx
import pytest
import pytest_asyncio

from paysaga.domain.money import Money
from paysaga.orders import REFUSALS, Order, OrderService, OrderServiceUnavailable, OrderStatus

ORDER = {
    "order_id": "order-1",
    "customer_id": "cst_1",
    "amount": 1250,
    "currency": "eur",
    "status": "reserved",
    "payment_id": "pay_1",
    "shelf": "what we do not know is ignored",
}

Ask = Callable[[OrderService], Awaitable[Order | None]]
QUESTIONS: dict[str, Ask] = {
    "GET /orders/order-1": lambda service: service.look("order-1"),
    "POST /orders/order-1/reserve": lambda service: service.reserve("order-1", "pay_1"),
    "POST /orders/order-1/confirm": lambda service: service.confirm("order-1", "pay_1"),
    "POST /orders/order-1/release": lambda service: service.release("order-1", "pay_1"),
}


class Shop:
    """An order service that gives one answer and remembers the questions."""

    def __init__(self) -> None:
        self.answer: httpx.Response | Exception | int = 200
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        if isinstance(self.answer, int):
            status = "paid" if request.url.path.endswith("/confirm") else "reserved"
            return httpx.Response(self.answer, json=ORDER | {"status": status})
        return self.answer

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest_asyncio.fixture(loop_scope="session")
async def service(shop: Shop) -> AsyncIterator[OrderService]:
    async with httpx.AsyncClient(
        transport=httpx.MockTransport(shop), base_url="https://orders.example"
    ) as http:
        yield OrderService(http)


@pytest.fixture(params=QUESTIONS)
def question(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class TestYes:
    async def test_order_is_told_as_it_stands(
        self, service: OrderService, shop: Shop, question: str
    ) -> None:
        """Each question goes to its own address and is answered with the order."""
        order = await QUESTIONS[question](service)

        assert [question] == shop.asked
        assert order is not None
        status = OrderStatus.PAID if "confirm" in question else OrderStatus.RESERVED
        assert (Money(minor=1250, currency="EUR"), status, "pay_1") == (
            order.money,
            order.status,
            order.payment_id,
        )

    async def test_changes_carry_our_payment_id(self, service: OrderService, shop: Shop) -> None:
        """The payment's id makes a repeated change the same change; a look changes nothing."""
        for ask in QUESTIONS.values():
            await ask(service)

        bodies = [request.content for request in shop.requests]
        assert b"" == bodies[0]
        assert [{"payment_id": "pay_1"}] * 3 == [json.loads(body) for body in bodies[1:]]

    async def test_any_2xx_is_a_yes(self, service: OrderService, shop: Shop, question: str) -> None:
        """Created and accepted are as good as OK."""
        shop.answer = 201

        assert await QUESTIONS[question](service) is not None

    @pytest.mark.parametrize("fact", [{"status": "canceled"}, {"payment_id": "pay_2"}])
    async def test_yes_to_a_paid_order_must_show_it(
        self, service: OrderService, shop: Shop, fact: dict[str, str]
    ) -> None:
        """A 2xx with an order that is not paid by us is no yes: somebody must look at the shop."""
        shop.answer = httpx.Response(200, json=ORDER | {"status": "paid"} | fact)

        with pytest.raises(OrderServiceUnavailable, match="was confirmed, but is"):
            await service.confirm("order-1", "pay_1")


class TestNo:
    @pytest.mark.parametrize("status", sorted(REFUSALS))
    async def test_documented_no_is_an_answer(
        self, service: OrderService, shop: Shop, question: str, status: int
    ) -> None:
        """Unknown, taken and gone are the shop's decision, not a failure."""
        shop.answer = httpx.Response(status, json={"error": "no"})

        assert await QUESTIONS[question](service) is None

    def test_there_are_three(self) -> None:
        """Any other 4xx may be our own mistake, and must not cancel a payment."""
        assert {404, 409, 410} == REFUSALS


class TestAskAgain:
    @pytest.mark.parametrize("status", [301, 304, 400, 401, 403, 422, 429, 500, 502, 503, 504])
    async def test_every_other_status_means_later(
        self, service: OrderService, shop: Shop, question: str, status: int
    ) -> None:
        """Neither a yes nor a no: the call is made again."""
        shop.answer = httpx.Response(status, headers={"location": "https://elsewhere.example"})

        with pytest.raises(OrderServiceUnavailable, match=f"{status} to {question}"):
            await QUESTIONS[question](service)

    @pytest.mark.parametrize(
        "error",
        [
            httpx.ConnectError("refused"),
            httpx.ConnectTimeout("too long"),
            httpx.ReadTimeout("too long"),
            httpx.ReadError("reset"),
            httpx.RemoteProtocolError("half an answer"),
        ],
    )
    async def test_no_answer_means_later(
        self, service: OrderService, shop: Shop, question: str, error: Exception
    ) -> None:
        """What the shop did is unknown: the call is made again, with the same payment id."""
        shop.answer = error

        with pytest.raises(OrderServiceUnavailable, match="no answer") as away:
            await QUESTIONS[question](service)

        assert error is away.value.__cause__

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>welcome</html>",
            b"[]",
            b"{}",
            json.dumps(ORDER | {"amount": 12.5}).encode(),
            json.dumps(ORDER | {"amount": "1250"}).encode(),
            json.dumps(ORDER | {"currency": "XXX"}).encode(),
            json.dumps(ORDER | {"status": "shipped"}).encode(),
            json.dumps({key: ORDER[key] for key in ORDER if key != "customer_id"}).encode(),
        ],
    )
    async def test_garbage_is_no_yes(
        self, service: OrderService, shop: Shop, question: str, body: bytes
    ) -> None:
        """A yes that cannot be read counts for nothing: above all a price is never guessed."""
        shop.answer = httpx.Response(200, content=body)

        with pytest.raises(OrderServiceUnavailable, match="an answer we do not know"):
            await QUESTIONS[question](service)

    async def test_nothing_of_the_answer_is_told(self, service: OrderService, shop: Shop) -> None:
        """The shop's answer may hold personal data: the error names the question alone."""
        shop.answer = httpx.Response(500, text="jane@customer.example")

        with pytest.raises(OrderServiceUnavailable) as away:
            await service.look("order-1")

        assert "500 to GET /orders/order-1" == str(away.value)


class TestDay:
    @pytest.mark.parametrize("told", ["2027-02-01T10:00:00Z", 0, 1801440000, "", "soon"])
    async def test_a_moment_is_no_day(
        self, service: OrderService, shop: Shop, told: object
    ) -> None:
        """Which day a moment is on depends on who reads it: it is refused, by the field's name."""
        shop.answer = httpx.Response(200, json=ORDER | {"service_date": told})

        with pytest.raises(OrderServiceUnavailable, match="service_date"):
            await service.look("order-1")

    async def test_later_it_decides_nothing(self, service: OrderService, shop: Shop) -> None:
        """A shop that says something else once the money has moved is heard all the same."""
        shop.answer = httpx.Response(200, json=ORDER | {"status": "paid", "service_date": "soon"})

        confirmed = await service.confirm("order-1", "pay_1")

        assert confirmed is not None
        assert OrderStatus.PAID is confirmed.status

    async def test_the_order_s_day(self, service: OrderService, shop: Shop) -> None:
        """As it was told; an order without one is for no day."""
        shop.answer = httpx.Response(200, json=ORDER | {"service_date": "2028-02-29"})
        dated = await service.look("order-1")
        shop.answer = 200
        undated = await service.look("order-1")

        assert [date(2028, 2, 29), None] == [it and it.service_date for it in (dated, undated)]
