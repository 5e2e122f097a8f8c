"""Every call of every activity, with every fault that it may meet: one payment each."""

from dataclasses import dataclass, replace
from typing import Any, Final

from paysaga.domain import ids
from paysaga.domain.payment import PaymentStatus
from tests.chaos.laboratory import Case
from tests.chaos.shop import REFUSED_AT_CONFIRM
from tests.fault_matrix.mortal_worker import POINTS, STOPPED
from tests.fault_matrix.troubled_records import TROUBLES

# Longer than the laboratory's worker waits for an answer (2 s).
TOO_LATE: Final = 3.0

GATEWAY_FAULTS: Final[dict[str, dict[str, Any]]] = {
    "refused before effect": {"kind": "refuse_before"},
    "503 before effect": {"kind": "refuse_before", "status": 503},
    "effect, reply lost": {"kind": "effect_reply_lost"},
    "effect, reply too late": {"kind": "effect_reply_late", "seconds": TOO_LATE},
    "hang": {"kind": "hang", "seconds": TOO_LATE},
    "429 burst": {"kind": "rate_limit", "retry_after": 1, "times": 3},
    "sticky 500 with effect": {"kind": "sticky_500", "effect": True},
    "sticky 500 without effect": {"kind": "sticky_500", "effect": False},
    "409 key in use": {"kind": "key_in_use", "times": 2},
    "parameter mismatch": {"kind": "parameter_mismatch"},
}
ORDER_FAULTS: Final = {"no answer": "silent", "effect, reply lost": "lost", "refused": "refused"}

_S = PaymentStatus


@dataclass(frozen=True)
class Cell:
    """One call, one fault, and how the payment must end all the same."""

    call: str
    fault: str
    case: Case
    ends: PaymentStatus = PaymentStatus.SUCCEEDED

    @property
    def name(self) -> str:
        """As the test's and the page's name."""
        return f"{self.call}: {self.fault}"


_PLAIN: Final = Case("plain")
_AUTHORIZED: Final = Case("authorized", method="pm_card_authenticationRequired", is_authorized=True)
_CANCELED: Final = Case("canceled", method="pm_card_authenticationRequired", is_canceled=True)
_CAPTURED: Final = Case("captured", captures=1000)
_REFUSED: Final = Case("refused", order_ends=REFUSED_AT_CONFIRM)
_SLOWLY_REFUNDED: Final = replace(_REFUSED, method="pm_card_pendingRefund")
_RETRIED: Final = Case("retried", method="pm_card_chargeDeclined", retries=True)
# Only after a 500 does anybody look for an intent that may be there.
_LOOKED_FOR: Final = Case(
    "looked-for",
    ({"operation": "payment_intents.create", "kind": "sticky_500"},),
    is_known=True,
)
_ON_A_PAGE: Final = Case("on-a-page", is_hosted=True)
_PAGE_LEFT: Final = Case("page-left", is_hosted=True, is_canceled=True)
_PAGE_LOOKED_FOR: Final = replace(
    _ON_A_PAGE,
    faults=({"operation": "checkout_sessions.create", "kind": "sticky_500"},),
    is_known=True,
)
_PAGE_LOST: Final = replace(_ON_A_PAGE, is_lost=True, is_known=True, is_compared=True)
_COMPARED: Final = replace(_PLAIN, is_compared=True)
_LOST: Final = replace(_PLAIN, is_known=True, is_compared=True)

# The activity and the call that it makes, and the payment that comes by it.
_CALLS: Final[dict[str, tuple[str, Case, PaymentStatus]]] = {
    "create_intent, customers.create": ("customers.create", _PLAIN, _S.SUCCEEDED),
    "create_intent, payment_intents.create": ("payment_intents.create", _PLAIN, _S.SUCCEEDED),
    "create_intent, payment_intents.list": ("payment_intents.list", _LOOKED_FOR, _S.SUCCEEDED),
    "confirm_intent, payment_intents.confirm": ("payment_intents.confirm", _PLAIN, _S.SUCCEEDED),
    "retrieve_intent, payment_intents.retrieve": (
        "payment_intents.retrieve",
        _AUTHORIZED,
        _S.SUCCEEDED,
    ),
    "capture_intent, payment_intents.retrieve": (
        "payment_intents.retrieve",
        _CAPTURED,
        _S.SUCCEEDED,
    ),
    "capture_intent, payment_intents.capture": (
        "payment_intents.capture",
        _CAPTURED,
        _S.SUCCEEDED,
    ),
    "close_intent, payment_intents.retrieve": ("payment_intents.retrieve", _CANCELED, _S.CANCELED),
    "close_intent, payment_intents.cancel": ("payment_intents.cancel", _CANCELED, _S.CANCELED),
    "refund_intent, refunds.list": ("refunds.list", _REFUSED, _S.SUCCEEDED),
    "refund_intent, refunds.create": ("refunds.create", _REFUSED, _S.SUCCEEDED),
    "retrieve_refund, refunds.retrieve": ("refunds.retrieve", _SLOWLY_REFUNDED, _S.SUCCEEDED),
    "find_intent, payment_intents.list": ("payment_intents.list", _LOST, _S.SUCCEEDED),
    "open_session, customers.create": ("customers.create", _ON_A_PAGE, _S.SUCCEEDED),
    "open_session, customers.update": ("customers.update", _ON_A_PAGE, _S.SUCCEEDED),
    "open_session, checkout_sessions.create": (
        "checkout_sessions.create",
        _ON_A_PAGE,
        _S.SUCCEEDED,
    ),
    "open_session, checkout_sessions.list": (
        "checkout_sessions.list",
        _PAGE_LOOKED_FOR,
        _S.SUCCEEDED,
    ),
    "retrieve_session, checkout_sessions.retrieve": (
        "checkout_sessions.retrieve",
        _ON_A_PAGE,
        _S.SUCCEEDED,
    ),
    "close_session, checkout_sessions.retrieve": (
        "checkout_sessions.retrieve",
        _PAGE_LEFT,
        _S.CANCELED,
    ),
    "close_session, checkout_sessions.expire": (
        "checkout_sessions.expire",
        _PAGE_LEFT,
        _S.CANCELED,
    ),
    "find_session, checkout_sessions.list": ("checkout_sessions.list", _PAGE_LOST, _S.SUCCEEDED),
    "list_refunds, refunds.list": ("refunds.list", _COMPARED, _S.SUCCEEDED),
}
_STEPS: Final[dict[str, tuple[str, Case, PaymentStatus]]] = {
    "reserve": ("reserve", _PLAIN, _S.SUCCEEDED),
    "still_waits": ("look", _RETRIED, _S.SUCCEEDED),
    "confirm": ("confirm", _PLAIN, _S.SUCCEEDED),
    "release": ("release", _CANCELED, _S.CANCELED),
}
# Which of a payment's writes goes wrong: its first row, its outcome, its order's answer; or the
# write of a request, which is an activity from the start.
_WRITES: Final[dict[str, tuple[int, Case]]] = {
    "record, the first row": (1, _PLAIN),
    "record, the outcome": (2, _PLAIN),
    "record, the order's answer": (3, _PLAIN),
    "record, a retry": (3, _RETRIED),
    "record, a capture": (3, _CAPTURED),
}


# The activity during which the worker is killed, and the payment that comes by it.
_WHILE: Final[dict[str, tuple[Case, PaymentStatus]]] = {
    "create_intent": (_PLAIN, _S.SUCCEEDED),
    "confirm_intent": (_PLAIN, _S.SUCCEEDED),
    "retrieve_intent": (_AUTHORIZED, _S.SUCCEEDED),
    "capture_intent": (_CAPTURED, _S.SUCCEEDED),
    "close_intent": (_CANCELED, _S.CANCELED),
    "refund_intent": (_REFUSED, _S.SUCCEEDED),
    "retrieve_refund": (_SLOWLY_REFUNDED, _S.SUCCEEDED),
    "open_session": (_ON_A_PAGE, _S.SUCCEEDED),
    "retrieve_session": (_ON_A_PAGE, _S.SUCCEEDED),
    "close_session": (_PAGE_LEFT, _S.CANCELED),
    "list_refunds": (_COMPARED, _S.SUCCEEDED),
    "record": (_PLAIN, _S.SUCCEEDED),
    "reserve": (_PLAIN, _S.SUCCEEDED),
    "still_waits": (_RETRIED, _S.SUCCEEDED),
    "confirm": (_PLAIN, _S.SUCCEEDED),
    "release": (_CANCELED, _S.CANCELED),
}

# A local activity is over with the workflow task, which is another worker's by then.
_NEVER_STOPPED: Final = frozenset({"record"})


def _gateway_cells() -> list[Cell]:
    cells = [
        _gateway_cell(call, name, fault)
        for call in _CALLS
        for name, fault in GATEWAY_FAULTS.items()
    ]
    decline = {"kind": "decline", "decline_code": "insufficient_funds"}
    declined = _named(_RETRIED, "confirm, decline", ())
    operation = "payment_intents.confirm"
    return [
        *cells,
        Cell(
            f"confirm_intent, {operation}",
            "decline",
            replace(declined, method="pm_card_visa", faults=({"operation": operation, **decline},)),
        ),
    ]


def _gateway_cell(call: str, name: str, fault: dict[str, Any]) -> Cell:
    operation, case, ends = _CALLS[call]
    faults = (*case.faults, {"operation": operation, **fault})
    return Cell(call, name, _named(case, f"{call} {name}", faults), ends)


def _order_cells() -> list[Cell]:
    cells = []
    for call, (step, case, ends) in _STEPS.items():
        for name, mood in ORDER_FAULTS.items():
            refused = mood == "refused" and step in {"reserve", "look"}
            named = _named(case, f"{call} {name}", case.faults)
            case_there = replace(named, order_ends=f"{mood}-{step}")
            cells.append(Cell(call, name, case_there, _S.CANCELED if refused else ends))
    return cells


def _database_cells() -> list[Cell]:
    return [
        Cell(call, trouble, _named(case, f"{call} {trouble} at {number}", case.faults))
        for call, (number, case) in _WRITES.items()
        for trouble in TROUBLES
    ]


def _kill_cells() -> list[Cell]:
    return [
        Cell(activity, point, _named(case, f"{activity} killed {point}", case.faults), ends)
        for activity, (case, ends) in _WHILE.items()
        for point in POINTS
        if point != STOPPED or activity not in _NEVER_STOPPED
    ]


def _named(case: Case, name: str, faults: tuple[dict[str, Any], ...]) -> Case:
    """The same with a name of its own, from which its customer and its order follow."""
    return replace(case, name=ids.fingerprint(name), faults=faults)


GATEWAY: Final = tuple(_gateway_cells())
ORDERS: Final = tuple(_order_cells())
DATABASE: Final = tuple(_database_cells())
CELLS: Final = (*GATEWAY, *ORDERS, *DATABASE)
KILLS: Final = tuple(_kill_cells())
# Whose run is terminated when the gateway has their money, or a page, before anybody else knows.
LOST: Final = frozenset(
    cell.case.payment.id
    for cell in GATEWAY
    if cell.call.startswith(("find_intent", "find_session"))
)
# For the worker: which write of which payment meets what.
DISTURBED: Final = {cell.case.payment.id: (_WRITES[cell.call][0], cell.fault) for cell in DATABASE}
