"""What the OpenAPI document says is held against what the API does with whatever it is sent."""

import contextlib
import warnings
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from paysaga.settings import Settings
from tests.api.world import Api, a_customer, without_sinks

QUICK_EXAMPLES: Final = 5
EXAMPLES: Final = 40
LONGEST_WAIT: Final = 30
MODES: Final = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
ID_OF: Final = {
    "payment_id": "id",
    "order_id": "order_id",
    "event_id": "id",
    "reconciliation_id": "id",
    "method_id": "id",
    "sink_id": "id",
    "customer_id": "customer_id",
}
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

SCHEMA: Final = schemathesis.openapi.from_dict(create_app(Settings()).openapi())
OPERATIONS: Final = {
    result.ok().definition.raw["operationId"]: result.ok()
    for result in SCHEMA.get_all_operations()
    if isinstance(result, Ok)
}


class TestDocument:
    def test_it_connects_nowhere(self) -> None:
        """The document can be made without any of the services."""
        document = create_app(Settings()).openapi()

        assert "Paysaga" == document["info"]["title"]

    def test_every_refusal_is_a_problem(self) -> None:
        """No answer is described in a form that is never sent."""
        for path, operations in SCHEMA.raw_schema["paths"].items():
            for operation in operations.values():
                for status, answer in operation["responses"].items():
                    if int(status) >= 400 and path != "/health/ready":
                        assert ["application/problem+json"] == list(answer["content"])

    def test_what_moves_a_state_needs_a_key(self) -> None:
        """The document tells callers which requests carry an Idempotency-Key."""
        keyed = {
            name
            for name, operation in OPERATIONS.items()
            for parameter in operation.definition.raw.get("parameters", [])
            if parameter["name"] == "Idempotency-Key" and parameter["required"]
        }

        assert keyed == {
            "start_payment",
            "start_checkout",
            "retry_payment",
            "cancel_payment",
            "capture_payment",
            "retry_order_payment",
            "repair_payment",
            "approve_repair",
            "start_reconciliation",
            "save_payment_method",
            "remove_payment_method",
            "create_sink",
            "replay_sink",
            "roll_sink_secret",
        }


def cases_of(operation: Any, mode: schemathesis.GenerationMode, count: int) -> list[Any]:
    """The same requests in every run: such as the document allows, or such as it does not."""
    cases: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        cases.append(case)

    # Where everything is allowed there is nothing to do wrong.
    with warnings.catch_warnings(), contextlib.suppress(Unsatisfiable):
        warnings.simplefilter("ignore")
        collect()
    return cases


def hurry(case: Any) -> None:
    """Who would wait long for news of a payment waits a second: there will be none."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        if 1 < int(case.query["wait"]) <= LONGEST_WAIT:
            case.query["wait"] = 1


class TestFuzz:
    @pytest.mark.parametrize(
        "count", [QUICK_EXAMPLES, pytest.param(EXAMPLES, marks=pytest.mark.full)]
    )
    @pytest.mark.parametrize("name", OPERATIONS)
    async def test_no_input_breaks_it(self, api: Api, name: str, count: int) -> None:
        """Whatever is sent, the answer is one that the document names, and never a 5xx."""
        cases = [case for mode in MODES for case in cases_of(OPERATIONS[name], mode, count)]
        known = [await api.shop.pay(method) for method in ("pm_lost_card", "pm_requires_action")]
        saved = [
            await api.shop.save(method, customer_id=a_customer())
            for method in ("pm_succeeded", "pm_requires_action")
        ]
        order = {"kind": "http", "url": "https://shop.example/events"}
        sinks = [(await api.shop.post("/sinks", order)).json() for _ in range(2)]
        owners = {"method_id": saved, "sink_id": sinks}

        for number, case in enumerate(cases):
            for parameter in case.path_parameters or {}:
                if number % 3:  # a third stays as it was made up
                    thing = owners.get(parameter, known)[number % 2]
                    case.path_parameters[parameter] = thing[ID_OF[parameter]]
            hurry(case)
            sent = case.as_transport_kwargs(
                base_url="http://api.example", headers=dict(api.shop.headers)
            )
            sent.pop("cookies", None)  # no operation reads one
            answer = await api.http.request(**sent)
            case.validate_response(answer, checks=CHECKS)

        await without_sinks(api)
        assert cases
