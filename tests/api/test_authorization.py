"""Who may do what. A route without a row here fails the suite."""

from functools import cache
from typing import Final

import httpx
import pytest

from api.app import create_app
from paysaga.settings import Settings
from paysaga.tokens import Role
from tests.api.events import an_event, send
from tests.api.test_checkout import an_order_on_the_page
from tests.api.world import (
    SHOP_PAGE,
    Api,
    Caller,
    World,
    a_customer,
    an_order,
    without_sinks,
)

CALLERS: Final = ("nobody", "foreign", "owner", "support", "finance", "admin", "service")


NOBODY: Final = "rcn_" + "a" * 26


def row(*statuses: int) -> dict[str, int]:
    return dict(zip(CALLERS, statuses, strict=True))


#                            nobody foreign owner support finance admin service
MATRIX: Final = {
    "start_payment": row(401, 403, 201, 403, 403, 403, 201),
    "start_checkout": row(401, 403, 201, 403, 403, 403, 201),
    "list_payments": row(401, 200, 200, 200, 200, 200, 200),
    "get_payment": row(401, 404, 200, 200, 200, 200, 200),
    "get_payment_status": row(401, 404, 200, 200, 200, 200, 200),
    "get_payment_history": row(401, 404, 200, 200, 200, 200, 200),
    "quote_refund": row(401, 404, 200, 200, 200, 200, 200),
    "retry_payment": row(401, 404, 402, 403, 403, 403, 402),
    "capture_payment": row(401, 403, 403, 403, 409, 409, 409),  # nothing is held
    "cancel_payment": row(401, 404, 200, 200, 200, 200, 200),
    "refresh_payment": row(401, 404, 200, 200, 200, 200, 200),
    "return_from_gateway": row(303, 303, 303, 303, 303, 303, 303),
    "get_order_payment": row(401, 404, 200, 200, 200, 200, 200),
    "get_order_payment_status": row(401, 404, 200, 200, 200, 200, 200),
    "retry_order_payment": row(401, 404, 402, 403, 403, 403, 402),
    "save_payment_method": row(401, 403, 201, 403, 403, 403, 201),
    "list_payment_methods": row(401, 200, 200, 200, 200, 200, 200),
    "get_payment_method": row(401, 404, 200, 200, 200, 200, 200),
    "refresh_payment_method": row(401, 404, 200, 200, 200, 200, 200),
    "return_from_set_up": row(303, 303, 303, 303, 303, 303, 303),
    "change_payment_method": row(401, 404, 200, 403, 403, 403, 200),
    "remove_payment_method": row(401, 404, 200, 403, 403, 403, 200),
    "get_customer": row(401, 404, 200, 200, 403, 200, 200),
    "change_customer": row(401, 404, 200, 200, 403, 200, 200),
    "start_reconciliation": row(401, 403, 403, 403, 202, 202, 403),
    "get_reconciliation": row(401, 403, 403, 403, 404, 404, 403),
    "list_balances": row(401, 403, 403, 403, 200, 200, 403),
    "list_events": row(401, 403, 403, 403, 403, 200, 200),
    "get_event_schema": row(200, 200, 200, 200, 200, 200, 200),
    "create_sink": row(401, 403, 403, 403, 403, 201, 201),
    "list_sinks": row(401, 403, 403, 403, 403, 200, 200),
    "get_sink": row(401, 403, 403, 403, 403, 200, 200),
    "change_sink": row(401, 403, 403, 403, 403, 200, 200),
    "remove_sink": row(401, 403, 403, 403, 403, 200, 200),
    "replay_sink": row(401, 403, 403, 403, 403, 200, 200),
    "roll_sink_secret": row(401, 403, 403, 403, 403, 200, 200),
    "list_dead_letters": row(401, 403, 403, 403, 403, 200, 200),
    "receive_stripe_event": row(401, 401, 401, 401, 401, 401, 401),  # it is the signature's to say
    "list_webhooks": row(401, 403, 403, 403, 403, 200, 403),
    "get_webhook": row(401, 403, 403, 403, 403, 200, 403),
    "replay_webhook": row(401, 403, 403, 403, 403, 200, 403),
    "explain_payment": row(401, 403, 403, 403, 403, 200, 403),
    "repair_payment": row(401, 403, 403, 403, 403, 409, 403),  # it needs no operator
    "approve_repair": row(401, 403, 403, 403, 403, 409, 403),
    "get_health": row(200, 200, 200, 200, 200, 200, 200),
    "get_readiness": row(200, 200, 200, 200, 200, 200, 200),
}

BODIES: Final = {
    "start_reconciliation": {"since": "2012-01-01T00:00:00Z", "until": "2012-01-02T00:00:00Z"},
    "repair_payment": {"kind": "abandon", "why": "nobody waits for it"},
    "approve_repair": {"why": "I agree", "proposal": 3},
    "change_payment_method": {"is_default": True},
    "create_sink": {"kind": "http", "url": "https://shop.example/events"},
    "change_sink": {"status": "paused"},
    "replay_sink": {"dead_letters": True},
    "change_customer": {"language": "de"},
}


@cache
def operations() -> dict[str, tuple[str, str]]:
    """Method and path of every operation in the document."""
    paths = create_app(Settings()).openapi()["paths"]
    return {
        operation["operationId"]: (method, path)
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_every_route_has_a_row() -> None:
    """Nobody adds a route without saying who may use it."""
    assert set(MATRIX) == set(operations())


def test_every_route_is_in_the_document() -> None:
    """A route that the document does not know would be in nobody's sight."""
    app = create_app(Settings())
    pages = {"/docs", "/docs/oauth2-redirect", "/openapi.json", "/static-offline-docs"}

    routes = {path for route in app.routes if (path := getattr(route, "path", None))} - pages

    assert routes <= set(app.openapi()["paths"])


class TestMatrix:
    @pytest.mark.parametrize("name", CALLERS)
    @pytest.mark.parametrize("operation", MATRIX)
    async def test_row(self, ordered: Api, world: World, operation: str, name: str) -> None:
        """Each caller gets what the matrix says."""
        customer = a_customer()
        order_id = world.shop.has(f"matrix-{customer}", customer)
        caller = caller_of(ordered, name, customer)
        method, path = operations()[operation]
        payment_id, event_id, method_id, sink_id = "", "", "", ""
        if "{event_id}" in path:
            event = an_event(type="customer.created")
            await send(ordered, event)
            event_id = event["id"]
        elif "{sink_id}" in path:
            sink_id = (await ordered.shop.post("/sinks", BODIES["create_sink"])).json()["id"]
        elif "{method_id}" in path:
            method_id = (await ordered.shop.save(customer_id=customer))["id"]
        elif "{" in path:
            paid = await ordered.shop.pay("pm_lost_card", order_id=order_id, customer_id=customer)
            payment_id = paid["id"]
        names = {
            "payment_id": payment_id,
            "order_id": order_id,
            "event_id": event_id,
            "reconciliation_id": NOBODY,
            "method_id": method_id,
            "sink_id": sink_id,
            "customer_id": customer,
        }
        url = "http://api.example" + path.format(**names)

        ours = {"order_id": order_id, "customer_id": customer}
        bodies = BODIES | {
            "start_payment": an_order(**ours),
            "start_checkout": an_order_on_the_page(**ours),
            "save_payment_method": {
                "payment_method_id": "pm_succeeded",
                "return_url": SHOP_PAGE,
                "customer_id": customer,
            },
        }
        answer = await asked(caller, method, url, bodies.get(operation, {}))

        await without_sinks(ordered)
        assert MATRIX[operation][name] == answer.status_code, answer.text

    async def test_a_customers_list_is_their_own(self, api: Api) -> None:
        """A stranger's list does not hold the payment."""
        payment = await api.shop.pay()

        answer = await api.as_(Role.CUSTOMER, a_customer()).get(
            "/payments", order_id=payment["order_id"]
        )

        assert [] == answer.json()["items"]


class TestForeignIsMissing:
    @pytest.mark.parametrize(
        "operation",
        [name for name, statuses in MATRIX.items() if statuses["foreign"] == 404],
    )
    async def test_both_answers_are_equal(self, api: Api, operation: str) -> None:
        """Somebody else's payment and none at all are told alike, byte by byte."""
        payment = await api.shop.pay("pm_lost_card")
        stranger = api.as_(Role.CUSTOMER, a_customer())
        method, path = operations()[operation]
        saved = await api.shop.save(customer_id=a_customer())
        names = [
            {
                "payment_id": payment["id"],
                "order_id": payment["order_id"],
                "method_id": saved["id"],
                "customer_id": payment["customer_id"],
            },
            {
                "payment_id": "pay_" + "a" * 26,
                "order_id": "order-unknown",
                "method_id": "mtd_" + "a" * 26,
                "customer_id": "cst_unknown",
            },
        ]
        answers = []
        for name in names:
            url = path.format(**name)
            answer = await asked(
                stranger, method, f"http://api.example{url}", BODIES.get(operation)
            )
            answers.append((answer.status_code, answer.text.replace(url, "PATH")))

        assert 404 == answers[0][0]
        assert answers[0] == answers[1]


async def asked(caller: Caller, method: str, url: str, body: object) -> httpx.Response:
    match method:
        case "get":
            return await caller.get(url)
        case "patch":
            return await caller.patch(url, body)
        case "delete":
            return await caller.delete(url)
        case _:
            return await caller.post(url, body)


def caller_of(api: Api, name: str, customer: str) -> Caller:
    match name:
        case "nobody":
            return api.nobody
        case "foreign":
            return api.as_(Role.CUSTOMER, a_customer())
        case "owner":
            return api.as_(Role.CUSTOMER, customer)
        case _:
            return api.as_(Role(name))
