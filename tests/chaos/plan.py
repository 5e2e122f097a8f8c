"""What happens to whom in a chaos run: all of it follows from the seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any, Final

from paysaga.domain import ids
from paysaga.domain.money import Money
from tests.chaos.shop import REFUSED_AT_CONFIRM

ARMED: Final = 0.25
FIRES: Final = 0.25
# Beyond this many calls of one payment a fault would only be waiting.
_CALLS: Final = 6
# Longer than the worker waits for an answer (25 s), and short enough to be waited for.
_TOO_LATE: Final = 27.0
_SHORT: Final = 2.0


class Kind(StrEnum):
    """What a customer does."""

    PAYS = auto()
    AUTHORIZES = auto()
    AUTHORIZES_AND_LEAVES = auto()
    FAILS_TO_AUTHORIZE = auto()
    ABANDONS = auto()
    PAYS_AT_PAYPAL = auto()
    SECOND_CARD = auto()
    THREE_DECLINES = auto()
    CAPTURES = auto()
    CAPTURES_OR_CANCELS = auto()
    CANCELS = auto()
    ASKS_MANY_TIMES = auto()
    TWO_TABS = auto()
    REFUSED_AT_CONFIRM = auto()
    SHOP_IS_SILENT = auto()
    PAYS_ON_A_PAGE = auto()
    LEAVES_A_PAGE = auto()
    SAVES_A_CARD = auto()


_WEIGHTS: Final = {Kind.PAYS: 5, Kind.CANCELS: 2, Kind.REFUSED_AT_CONFIRM: 2, Kind.SECOND_CARD: 2}
_ORDER_ENDS: Final = {
    Kind.REFUSED_AT_CONFIRM: (REFUSED_AT_CONFIRM,),
    Kind.SHOP_IS_SILENT: ("silent-reserve", "silent-confirm", "lost-reserve", "lost-confirm"),
}

# Every call to the gateway that an activity makes, as the simulator names it.
OPERATIONS: Final = (
    "customers.create",
    "payment_intents.create",
    "payment_intents.confirm",
    "payment_intents.retrieve",
    "payment_intents.capture",
    "payment_intents.cancel",
    "refunds.create",
    "refunds.retrieve",
    "checkout_sessions.create",
    "checkout_sessions.retrieve",
    "checkout_sessions.expire",
)
# Those of who saves a card, too. A card at the gateway has none of our marks, so that a fault of
# one may be another's.
SAVING: Final = (
    "setup_intents.create",
    "setup_intents.retrieve",
    "payment_methods.retrieve",
    "payment_methods.detach",
)
# Each fault as the simulator takes it; `decline` is for the confirm call only.
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "refuse_before"},
    {"kind": "refuse_before", "status": 503},
    {"kind": "effect_reply_lost"},
    {"kind": "effect_reply_late", "seconds": _SHORT},
    {"kind": "effect_reply_late", "seconds": _TOO_LATE},
    {"kind": "hang", "seconds": _SHORT},
    {"kind": "hang", "seconds": _TOO_LATE},
    {"kind": "rate_limit", "retry_after": 1, "times": 3},
    {"kind": "sticky_500", "effect": True},
    {"kind": "sticky_500", "effect": False},
    {"kind": "key_in_use", "times": 2},
    {"kind": "decline", "decline_code": "insufficient_funds"},
)
_ONLY_AT_CONFIRM: Final = {"decline"}


@dataclass(frozen=True)
class Saga:
    """One customer with one order, and what the gateway does to them."""

    number: int
    kind: Kind
    customer_id: str
    order_id: str
    price: Money
    key: str
    delay: float
    faults: tuple[dict[str, Any], ...]

    @property
    def payment_id(self) -> str:
        """The payment's id follows from customer and key."""
        return ids.derived(ids.PAYMENT, self.customer_id, self.key)


class Blow(StrEnum):
    """What is done to a running deployment."""

    KILL_WORKER = auto()
    FREEZE_WORKER = auto()
    KILL_BOTH_WORKERS = auto()
    KILL_API = auto()
    KILL_TEMPORAL = auto()
    KILL_GATEWAY = auto()
    KILL_SHOP = auto()
    DATABASE_GONE = auto()
    DATABASE_SILENT = auto()


_BLOWS: Final = {
    Blow.KILL_WORKER: 6,
    Blow.FREEZE_WORKER: 4,
    Blow.KILL_BOTH_WORKERS: 1,
    Blow.KILL_API: 4,
    Blow.KILL_TEMPORAL: 2,
    Blow.KILL_GATEWAY: 1,
    Blow.KILL_SHOP: 1,
    Blow.DATABASE_GONE: 2,
    Blow.DATABASE_SILENT: 2,
}


@dataclass(frozen=True)
class Strike:
    """One blow: when, after the one before, to which of two, and for how long if it passes."""

    after: float
    blow: Blow
    victim: int
    seconds: float


def sagas(seed: int, count: int) -> list[Saga]:
    """So many customers. The first ones are the same, however many follow."""
    return [_saga(random.Random(f"{seed}:{number}"), seed, number) for number in range(count)]


def strikes(seed: int) -> Iterator[Strike]:
    """Blows without end."""
    chance = random.Random(f"{seed}:strikes")
    while True:
        [blow] = chance.choices(list(_BLOWS), list(_BLOWS.values()))
        # Some frozen workers wake up after the timeout of the call that they were in.
        long = blow is Blow.FREEZE_WORKER and chance.random() < FIRES
        yield Strike(
            after=chance.uniform(1, 6),
            blow=blow,
            victim=chance.randrange(2),
            seconds=33.0 if long else chance.uniform(1, 6),
        )


def _saga(chance: random.Random, seed: int, number: int) -> Saga:
    [kind] = chance.choices(list(Kind), [_WEIGHTS.get(kind, 1) for kind in Kind])
    currency = chance.choice(["EUR", "EUR", "USD", "JPY"])
    name = f"{seed}-{number}"
    saga = Saga(
        number=number,
        kind=kind,
        customer_id=f"cst_chaos-{name}",
        order_id=f"order-{name}-{chance.choice(_ORDER_ENDS.get(kind, ('plain',)))}",
        price=Money(minor=chance.randint(100, 250_000), currency=currency),
        key=f"start-{name}",
        delay=chance.uniform(0, 3),
        faults=(),
    )
    return Saga(**{**vars(saga), "faults": tuple(_faults(chance, saga))})


def _faults(chance: random.Random, saga: Saga) -> Iterator[dict[str, Any]]:
    for operation in (*OPERATIONS, *(SAVING if saga.kind is Kind.SAVES_A_CARD else ())):
        fault = chance.choice(FAULTS)
        is_out_of_place = fault["kind"] in _ONLY_AT_CONFIRM and not operation.endswith("confirm")
        calls = [chance.random() < FIRES for _ in range(_CALLS)]
        if chance.random() < ARMED and any(calls) and not is_out_of_place:
            about = _MARKS.get(operation.partition(".")[0], ("payment_id",))
            marks = {name: getattr(saga, name) for name in about}
            yield {"operation": operation, "skip": calls.index(True), "match": marks, **fault}


# By which of our marks the simulator finds whose call it is.
_MARKS: Final = {
    "customers": ("customer_id",),
    "setup_intents": ("customer_id",),
    "payment_methods": (),
}
