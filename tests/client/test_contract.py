"""The client says what the API's own document says: neither goes anywhere without the other."""

import inspect
import re
from typing import Any, Final

import pytest
from pydantic import BaseModel

from api.app import create_app
from paysaga.client import AsyncPaysaga, answers, events, orders, words
from paysaga.client.calls import Call, Repeat
from paysaga.client.operations import Iteration, Operation
from paysaga.settings import Settings

DOCUMENT: Final = create_app(Settings()).openapi()
SCHEMAS: Final[dict[str, Any]] = DOCUMENT["components"]["schemas"]

# Staff's routes, Stripe's own, and what probes ask are no shop's.
OF_OTHERS: Final = {"admin", "finance", "webhooks", "sinks", "health"}
NOT_ASKED: Final = {
    "return_from_gateway": "the customer's browser goes there",
    "return_from_set_up": "the customer's browser goes there",
    "get_event_schema": "a receiver that is not in Python reads it",
}
MODELS: Final[dict[str, type[BaseModel]]] = {
    "AttemptView": answers.Attempt,
    "CaptureBody": orders.CaptureOrder,
    "CheckoutOrder": orders.CheckoutOrder,
    "CorrespondentChange": orders.CustomerChange,
    "CorrespondentView": answers.Customer,
    "DeclineTold": events.Decline,
    "Event": events.Event,
    "EventPage": events.EventPage,
    "FieldError": answers.FieldError,
    "HistoryEntry": answers.HistoryEntry,
    "HistoryView": answers.History,
    "Links": answers.Links,
    "Method": answers.MethodDetails,
    "MethodChange": orders.MethodChange,
    "MethodLinks": answers.MethodLinks,
    "MethodView": answers.MethodDetails,
    "NextAction": answers.NextAction,
    "PaymentData": events.PaymentData,
    "PaymentOrder": orders.PaymentOrder,
    "PaymentPage": answers.PaymentPage,
    "PaymentView": answers.Payment,
    "RefundQuoteView": answers.RefundQuote,
    "Problem": answers.Problem,
    "RetryOrder": orders.RetryOrder,
    "SaveOrder": orders.SaveOrder,
    "SavedMethodPage": answers.SavedMethodPage,
    "SavedMethodView": answers.SavedMethod,
    "StatusView": answers.PaymentStanding,
}
# Words by which a shop decides; a reason explains, and new ones come with new features.
WORDS: Final = {
    "Asker": words.Asker,
    "AttemptStatus": words.AttemptStatus,
    "CaptureMethod": words.CaptureMethod,
    "EventType": words.EventType,
    "Fulfillment": words.Fulfillment,
    "PaymentStatus": words.PaymentStatus,
    "SavedMethodStatus": words.SavedMethodStatus,
}
REASONS: Final = {"Reason", "SaveReason", "CustomerMail"}
OWN: Final = {"is_pending"}  # what the client says by itself
RENAMED: Final = {"wait": "wait_seconds", "type": "types", "object": "object_id"}
SAMPLES: Final[dict[str, object]] = {
    "PaymentOrder": orders.PaymentOrder(
        order_id="order-17", payment_method_id="pm_1", return_url="https://shop.example"
    ),
    "CheckoutOrder": orders.CheckoutOrder(
        order_id="order-17", success_url="https://shop.example", cancel_url="https://shop.example"
    ),
    "SaveOrder": orders.SaveOrder(payment_method_id="pm_1", return_url="https://shop.example"),
    "RetryOrder": orders.RetryOrder(),
    "CorrespondentChange": orders.CustomerChange(language="de"),
}


def _operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if not OF_OTHERS & set(operation["tags"]) and operation["operationId"] not in NOT_ASKED
    }


OPERATIONS: Final = _operations()


def _build(operation_id: str) -> Any:
    found = inspect.getattr_static(AsyncPaysaga, operation_id)
    assert isinstance(found, Operation)
    return found.build


def _names(schema: object) -> set[str]:
    """Every schema that a part of the document leads to."""
    return set(re.findall(r"'#/components/schemas/(\w+)'", str(schema)))


def _reached() -> set[str]:
    """Every schema that a shop meets."""
    reached: set[str] = set()
    todo = set().union(*(_names(operation) for _, _, operation in OPERATIONS.values()))
    while todo:
        name = todo.pop()
        reached.add(name)
        todo |= _names(SCHEMAS[name]) - reached
    return reached


def _call(operation_id: str) -> tuple[Call[Any], dict[str, Any]]:
    """What the client sends, with something in each of its arguments."""
    build = _build(operation_id)
    values: dict[str, Any] = {}
    for name, parameter in inspect.signature(build).parameters.items():
        annotation = str(parameter.annotation)
        sample = next(
            (body for body in SAMPLES.values() if type(body) is parameter.annotation), None
        )
        if name == "self":
            continue
        if sample is not None:
            values[name] = sample
        elif name == "since":
            continue
        elif "Sequence" in annotation:
            values[name] = ["payment.succeeded"]
        else:
            values[name] = 1 if "int" in annotation else f"a-{name}"
    return build(None, **values), values


def _kinds(schema: dict[str, Any], names: dict[str, Any]) -> set[str]:
    """What a value may be, in words that both sides' schemas share."""
    if "anyOf" in schema:
        return set().union(*(_kinds(each, names) for each in schema["anyOf"]))
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return {"string"} if "enum" in names[name] else {_model_of(name)}
    if schema.get("type") == "array":
        return {f"list of {kind}" for kind in _kinds(schema["items"], names)}
    if schema.get("format") == "date-time":
        return {"moment"}
    return {str(schema["type"])}


def _model_of(name: str) -> str:
    return MODELS[name].__name__ if name in MODELS else name


class TestRoutes:
    @pytest.mark.parametrize("operation_id", sorted(OPERATIONS))
    def test_each_has_a_method(self, operation_id: str) -> None:
        """Of the route's own name; it asks that route, and expects what is answered there."""
        method, path, operation = OPERATIONS[operation_id]

        call, _ = _call(operation_id)

        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path.removeprefix("/api/v1")))
        good = {
            _model_of(*_names(answer))
            for status, answer in operation["responses"].items()
            if status.startswith("2")
        }
        assert method == call.method
        assert re.fullmatch(pattern, call.path)
        assert {call.answer.__name__} == good

    @pytest.mark.parametrize("operation_id", sorted(OPERATIONS))
    def test_all_that_may_be_told_can_be_told(self, operation_id: str) -> None:
        """Every parameter, every header and every field of the body."""
        _, _, operation = OPERATIONS[operation_id]
        told = {
            kind: {it["name"] for it in operation.get("parameters", []) if it["in"] == kind}
            for kind in ("query", "header")
        }

        call, values = _call(operation_id)

        queried = {name for name, _ in call.query} | ({"since"} & told["query"])
        assert told["query"] == queried
        assert {RENAMED.get(name, name) for name in told["query"]} <= set(values) | {"since"}
        assert told["header"] == set(call.headers) - {"Accept", "Content-Type"}
        assert ("Idempotency-Key" in told["header"]) is (call.repeat is Repeat.SAME_KEY)
        assert (call.body is not None) is ("requestBody" in operation)

    def test_there_is_nothing_else(self) -> None:
        """What the client offers is there; an iteration reads what an operation lists."""
        offered = {
            name
            for name, member in inspect.getmembers_static(AsyncPaysaga)
            if isinstance(member, Operation | Iteration)
        }

        assert offered - set(OPERATIONS) == {"payments", "payment_methods", "follow_events"}

    def test_what_is_left_out_is_still_there(self) -> None:
        """An exception that nobody needs any more is taken off the list."""
        known = {
            operation["operationId"]
            for operations in DOCUMENT["paths"].values()
            for operation in operations.values()
        }

        assert set(NOT_ASKED) <= known


class TestSchemas:
    def test_each_has_its_model(self) -> None:
        """No answer and no body of a shop's routes is without one."""
        assert set(MODELS) | set(WORDS) | REASONS == _reached()

    @pytest.mark.parametrize("name", sorted(MODELS))
    def test_the_fields_are_the_same(self, name: str) -> None:
        """None is missing, none is of another kind, and what may be `null` may be so here."""
        ours = MODELS[name].model_json_schema()
        theirs = SCHEMAS[name]

        for field, schema in theirs["properties"].items():
            assert field in ours["properties"], f"{name}.{field} is missing"
            kinds = _kinds(ours["properties"][field], ours.get("$defs", {}))
            assert _kinds(schema, SCHEMAS) <= kinds, f"{name}.{field} is {kinds}"
        assert set(theirs["properties"]) == set(ours["properties"]) - OWN

    @pytest.mark.parametrize("name", sorted(MODELS))
    def test_nothing_is_needed_that_need_not_be(self, name: str) -> None:
        """What the API may leave out of an answer, or lets a caller leave out, is not needed."""
        ours = MODELS[name].model_json_schema(mode="validation")
        needed = set(SCHEMAS[name].get("required", ()))

        extra = set(ours.get("required", ())) - needed

        # The API always writes it; its document gives it a default.
        assert extra <= {"type"}

    @pytest.mark.parametrize("name", sorted(WORDS))
    def test_the_words_are_the_same(self, name: str) -> None:
        """A shop may decide by each of them."""
        assert set(SCHEMAS[name]["enum"]) == {word.value for word in WORDS[name]}
