"""How a payment's words become columns, and columns words again."""

from typing import Any, Final

from sqlalchemy import Row

from paysaga.domain.ids import EVENT, derived
from paysaga.domain.outbox import Before, event_type
from paysaga.domain.payment import Attempt, Change, PaymentState

# A field of the state that is no column of the same name.
_TOLD_APART: Final = frozenset({"money", "metadata", "decline", "method"})


def payment_columns(state: PaymentState) -> dict[str, Any]:
    """The payment's row."""
    decline, method = state.decline, state.method
    return {
        **{field: value for field, value in state if field not in _TOLD_APART},
        "amount": state.money.minor,
        "currency": state.money.currency,
        "metadata": state.metadata,
        "decline_code": decline and decline.code,
        "decline_kind": decline and decline.kind,
        "decline_message": decline and decline.message,
        "method": method and method.model_dump(mode="json"),
    }


def payment_state(row: Row[Any]) -> PaymentState:
    """The payment as its row has it."""
    columns = row._asdict()
    decline = {part: columns[f"decline_{part}"] for part in ("code", "kind", "message")}
    money = {"minor": columns["amount"], "currency": columns["currency"]}
    return PaymentState.model_validate(
        {**columns, "money": money, "decline": decline if decline["code"] is not None else None}
    )


def attempt_columns(payment_id: str, attempt: Attempt) -> dict[str, Any]:
    """The attempt's row."""
    return {"payment_id": payment_id, **dict(attempt)}


def history_columns(change: Change) -> dict[str, Any]:
    """The history's row: numbered as the payment's version."""
    state, request = change.state, change.request
    return {
        "payment_id": state.id,
        "number": state.version,
        "status": state.status,
        "reason": change.reason or state.reason,
        "actor": change.actor,
        "note": change.note,
        "at": state.updated_at,
        "request_key": request and request.key,
        "request_fingerprint": request and request.fingerprint,
    }


def transfer_columns(change: Change) -> list[dict[str, Any]]:
    """The ledger's rows that this step implies."""
    return [
        {
            **dict(transfer),
            "version": change.state.version,
            "position": position,
            "at": change.state.updated_at,
        }
        for position, transfer in enumerate(change.transfers, start=1)
    ]


def event_columns(change: Change, before: Before | None) -> dict[str, Any]:
    """The outbox's row."""
    state = change.state
    return {
        "id": derived(EVENT, state.id, str(state.version)),
        "object_id": state.id,
        "object_type": "payment",
        "type": event_type(state, before),
        "sequence": state.version,
        "data": state.model_dump(mode="json", exclude={"method": {"fingerprint"}}),
        "created_at": state.updated_at,
    }
