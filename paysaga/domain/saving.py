"""What each fact makes of a saved method: the only way that one moves.

Everything here is a pure function of what is known. Each rule answers with the row's next step, or
with `None` if the fact tells nothing new; applied once more to its own answer it tells nothing.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, assert_never

from paysaga.domain.declines import Decline, decline_for
from paysaga.domain.saved_method import (
    MOVES,
    AttachedMethod,
    MethodOrder,
    SavedMethod,
    SavedMethodStatus,
    SaveReason,
    Setup,
    SetupStatus,
)
from paysaga.domain.steps import IllegalMove


def begun(order: MethodOrder, at: datetime) -> SavedMethod:
    """The first row: the gateway has not heard of it yet."""
    return SavedMethod(
        id=order.id,
        version=1,
        customer_id=order.customer_id,
        gateway_customer_id=order.gateway_customer_id,
        status=SavedMethodStatus.PROCESSING,
        reason=SaveReason.STARTED,
        return_url=order.return_url,
        is_default=order.make_default,
        request_fingerprint=order.request.fingerprint,
        correlation_id=order.correlation_id,
        created_at=at,
        updated_at=at,
    )


def noted(method: SavedMethod, reason: SaveReason, at: datetime) -> SavedMethod | None:
    """The status stays, its reason is a new one: the gateway does not answer, say."""
    if method.status is not SavedMethodStatus.PROCESSING or method.reason is reason:
        return None
    return moved(method, method.status, reason, at)


def set_up(
    method: SavedMethod, setup: Setup, at: datetime, action_window: timedelta
) -> SavedMethod | None:
    """What the gateway's word on the SetupIntent means, while the method is being saved.

    One that takes another method again has declined this one: nobody but us could give it one.
    """
    if not method.is_open:
        return None
    match setup.status:
        case SetupStatus.SUCCEEDED:
            return _saved(method, setup, at)
        case SetupStatus.REQUIRES_ACTION:
            return _action_required(method, setup, at, action_window)
        case SetupStatus.PROCESSING:
            return _gateway_processing(method, setup, at)
        case SetupStatus.REQUIRES_PAYMENT_METHOD | SetupStatus.REQUIRES_CONFIRMATION:
            decline = setup.decline or decline_for("payment_method_invalid")
            return failed(method, SaveReason.DECLINED, at, setup=setup, decline=decline)
        case SetupStatus.CANCELED:
            return failed(method, SaveReason.CANCELED_AT_GATEWAY, at, setup=setup)
        case never:
            assert_never(never)


def timed_out(method: SavedMethod, setup: Setup, at: datetime) -> SavedMethod | None:
    """The time for 3DS is over, and the gateway has shown what its cancel has led to."""
    if not method.is_open or setup.status is not SetupStatus.CANCELED:
        return None
    decline = decline_for("authentication_timeout")
    return failed(method, SaveReason.AUTHENTICATION_TIMEOUT, at, setup=setup, decline=decline)


def failed(
    method: SavedMethod,
    reason: SaveReason,
    at: datetime,
    *,
    setup: Setup | None = None,
    decline: Decline | None = None,
) -> SavedMethod | None:
    """It is not saved, and never will be: the next try is a method of its own."""
    if not method.is_open:
        return None
    known = _known_by(method, setup) if setup else method
    return moved(known, SavedMethodStatus.FAILED, reason, at, decline=decline, **_NO_ACTION)


def removal_requested(method: SavedMethod, at: datetime) -> SavedMethod | None:
    """Its customer does not want it any more: written before the gateway hears of it."""
    if not method.can_pay:
        return None
    return moved(method, SavedMethodStatus.ACTIVE, SaveReason.REMOVAL_REQUESTED, at)


def seen(method: SavedMethod, attached: AttachedMethod, at: datetime) -> SavedMethod | None:
    """What the gateway shows of an active method: the card it is now, or that it is gone."""
    if method.status is not SavedMethodStatus.ACTIVE:
        return None
    if attached.customer_id != method.gateway_customer_id:
        ours = method.reason is SaveReason.REMOVAL_REQUESTED
        reason = SaveReason.REMOVED if ours else SaveReason.DETACHED_AT_GATEWAY
        return moved(method, SavedMethodStatus.REMOVED, reason, at, removed_at=at)
    if attached.facts is None or attached.facts == method.facts:
        return None
    is_going = method.reason is SaveReason.REMOVAL_REQUESTED
    reason = method.reason if is_going else SaveReason.UPDATED_AT_GATEWAY
    return moved(method, method.status, reason, at, facts=attached.facts)


def moved(
    method: SavedMethod,
    status: SavedMethodStatus,
    reason: SaveReason,
    at: datetime,
    **changes: object,
) -> SavedMethod:
    """The method after its next step.

    Raises:
        IllegalMove: No way leads from its status to this one.
    """
    if status is not method.status and status not in MOVES[method.status]:
        raise IllegalMove(f"{method.id} cannot go from {method.status} to {status}")
    return method.model_copy(
        update={
            **changes,
            "status": status,
            "reason": reason,
            "version": method.version + 1,
            "updated_at": at,
        }
    )


_NO_ACTION: Final[Mapping[str, None]] = {"action_url": None, "action_until": None}


def _saved(method: SavedMethod, setup: Setup, at: datetime) -> SavedMethod:
    known = _known_by(method, setup)
    return moved(known, SavedMethodStatus.ACTIVE, SaveReason.SAVED, at, decline=None, **_NO_ACTION)


def _action_required(
    method: SavedMethod, setup: Setup, at: datetime, action_window: timedelta
) -> SavedMethod | None:
    if method.status is SavedMethodStatus.REQUIRES_ACTION and method.action_url == setup.action_url:
        return None
    return moved(
        _known_by(method, setup),
        SavedMethodStatus.REQUIRES_ACTION,
        SaveReason.AUTHENTICATION_REQUIRED,
        at,
        action_url=setup.action_url,
        action_until=method.action_until or at + action_window,
    )


def _gateway_processing(method: SavedMethod, setup: Setup, at: datetime) -> SavedMethod | None:
    if method.reason is SaveReason.GATEWAY_PROCESSING:
        return None
    known = _known_by(method, setup)
    return moved(
        known, SavedMethodStatus.PROCESSING, SaveReason.GATEWAY_PROCESSING, at, **_NO_ACTION
    )


def _known_by(method: SavedMethod, setup: Setup) -> SavedMethod:
    """The gateway's names for the method and what belongs to it, and what it shows of it."""
    return method.model_copy(
        update={
            "setup_intent_id": setup.id or method.setup_intent_id,
            "gateway_customer_id": setup.customer_id or method.gateway_customer_id,
            "gateway_method_id": setup.method_id or method.gateway_method_id,
            "facts": setup.facts or method.facts,
        }
    )
