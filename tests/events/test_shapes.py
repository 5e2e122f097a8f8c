"""The public form of events: complete, and nothing in it that is ours alone."""

import json

import pytest
from pydantic import ValidationError

from paysaga.domain.intent import MethodFacts
from paysaga.domain.outbox import OutboxEvent, Place, event_type
from paysaga.domain.payment import PaymentState, PaymentStatus
from paysaga.events.shapes import Event, EventType, published
from tests.api.test_views import NOW, a_state

CARD = MethodFacts(kind="card", brand="visa", last4="4242", funding="debit", fingerprint="f1ng3r")


def kept(state: PaymentState, kind: str = "payment.succeeded") -> OutboxEvent:
    """The event as the transaction wrote it down."""
    return OutboxEvent(
        place=Place(position=1),
        id="evt_1",
        type=kind,
        object_id=state.id,
        object_type="payment",
        sequence=state.version,
        created_at=NOW,
        data=json.loads(state.model_dump_json()),
    )


class TestPublished:
    def test_the_whole_payment_is_told(self) -> None:
        """A receiver needs no second question."""
        state = a_state(PaymentStatus.SUCCEEDED, method=CARD, amount_captured=1250, decline=None)

        event = published(kept(state))

        assert ("evt_1", "payment.succeeded", "1", state.id, state.version) == (
            event.id,
            event.type,
            event.api_version,
            event.object_id,
            event.sequence,
        )
        assert (1250, "EUR", 1250, "4242") == (
            event.data.amount,
            event.data.currency,
            event.data.amount_captured,
            event.data.payment_method and event.data.payment_method.last4,
        )

    def test_a_decline_is_told_as_the_customer_hears_it(self) -> None:
        """Its code and message, not what we make of it."""
        event = published(kept(a_state(PaymentStatus.AWAITING_RETRY), "payment.awaiting_retry"))

        assert event.data.decline is not None
        assert {"code", "message"} == set(event.data.decline.model_dump())
        assert "insufficient_funds" == event.data.decline.code

    @pytest.mark.parametrize(
        "ours", ["f1ng3r", "correlation_id", "request_fingerprint", "return_url", "cus_1", "kind_"]
    )
    def test_what_is_ours_is_not_told(self, ours: str) -> None:
        """Neither our marks, nor the gateway's customer, nor what a card could be followed by."""
        state = a_state(PaymentStatus.SUCCEEDED, method=CARD, gateway_customer_id="cus_1")

        assert ours not in published(kept(state)).model_dump_json()

    def test_every_status_has_a_type(self) -> None:
        """No payment comes to stand where the world has no word for it."""
        told = {event_type(a_state(status), None) for status in PaymentStatus}

        assert told | {"payment.refunded", "payment.updated"} == set(EventType)

    def test_an_unknown_type_is_a_bug(self) -> None:
        """What the schema does not have is never sent."""
        with pytest.raises(ValidationError):
            published(kept(a_state(PaymentStatus.SUCCEEDED), "payment.forgotten"))

    def test_it_is_what_its_schema_says(self) -> None:
        """Every field is required, also where it may be null."""
        schema = Event.model_json_schema(mode="serialization")

        assert set(schema["required"]) == set(schema["properties"])
        data = schema["$defs"]["PaymentData"]
        assert set(data["required"]) == set(data["properties"])
