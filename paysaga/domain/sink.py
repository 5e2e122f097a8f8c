"""A sink: where our events go, how far it has come, and when it is tried again."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AwareDatetime, Field, SecretStr

from paysaga.domain.message import Message
from paysaga.domain.outbox import Place


class SinkKind(StrEnum):
    """How events get there."""

    HTTP = "http"
    AMQP = "amqp"
    EMAIL = "email"


# The sinks that the settings make (AMQP_URL, SMTP_URL): one each, by these ids.
CONFIGURED: Final = {"snk_amqp": SinkKind.AMQP, "snk_email": SinkKind.EMAIL}


class SinkStatus(StrEnum):
    """Whether events go there. What is removed is over for good."""

    ACTIVE = "active"
    PAUSED = "paused"
    REMOVED = "removed"


class SinkReason(StrEnum):
    """Why it stands where it stands."""

    CREATED = "created"
    RESUMED = "resumed"
    REQUESTED = "requested"
    GONE = "gone"  # the other side said that it wants no more (410)
    AWAY_TOO_LONG = "away_too_long"  # nobody was there for `PATIENCE`
    REMOVED = "removed"


class DeadLetterReason(StrEnum):
    """Why an event is not tried any more."""

    REFUSED = "refused"  # the other side will never take it
    GAVE_UP = "gave_up"  # it was tried for `PATIENCE`


class Repeat(StrEnum):
    """Whether an event that a sink has in its care may be told by somebody else once more.

    `now`: it was handed over. `later`: it is told when its turn comes, or was and that is not
    written down yet. `never`: nobody is to be told.
    """

    NOW = "now"
    LATER = "later"
    NEVER = "never"


class Sink(Message):
    """A sink as its row has it. The secrets are for signing only, and shown once.

    `types` are the events that it wants, all if there are none. `turn` counts what moves the place:
    who has read an older one must not move it. Last `alive_at` has the other side taken an
    event, or refused one for good.
    """

    id: str
    kind: SinkKind
    status: SinkStatus
    reason: SinkReason
    description: str | None = None
    url: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    must_be_routed: bool = False
    types: tuple[str, ...] = ()
    secret: SecretStr | None = None
    previous_secret: SecretStr | None = None
    previous_secret_until: AwareDatetime | None = None
    place: Place = Place()
    turn: int = 0
    failures: int = 0
    failing_since: AwareDatetime | None = None
    next_try_at: AwareDatetime | None = None
    last_answer: str | None = None
    last_answer_at: AwareDatetime | None = None
    alive_at: AwareDatetime | None = None
    delivered: int = 0
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def name(self) -> str:
        """For people: where it leads, without what may be a key."""
        return sink_name(self.kind, self.description, self.url, self.exchange)

    @property
    def keeps_order(self) -> bool:
        """Whether an object's events must come in their order. Mails are about one event each."""
        return self.kind is not SinkKind.EMAIL

    def wants(self, event_type: str) -> bool:
        """Whether events of this type go there."""
        return not self.types or event_type in self.types


def sink_name(kind: str, description: str | None, url: str | None, exchange: str | None) -> str:
    """For people: what it is, and where it leads, without what may be a key."""
    where = {
        SinkKind.HTTP.value: urlsplit(url or "").hostname or "",
        SinkKind.AMQP.value: f"exchange {exchange}",
    }.get(kind, kind)
    return f"{description} ({where})" if description else where


class Lane(Message):
    """An object whose events wait at a sink: from `sequence` on, as far as the sink has come.

    They go in their own time, so that the events of other objects need not wait for them.
    """

    object_id: str
    sequence: Annotated[int, Field(ge=1)]
    failures: int = 0
    failing_since: AwareDatetime | None = None
    next_try_at: AwareDatetime
    last_answer: str | None = None


class DeadLetter(Message):
    """An event that a sink is not given any more, and why."""

    event_id: str
    object_id: str
    sequence: Annotated[int, Field(ge=1)]
    type: str
    reason: DeadLetterReason
    last_answer: str
    at: AwareDatetime


class Step(Message):
    """What one batch has come to: the sink's new place, and what waits or is given up.

    `lanes` are new, or as they stand now; those of `freed` have caught up, and those of `hurried`
    need not rest any longer. `alive_at` is there if somebody showed life.
    """

    place: Place
    delivered: int = 0
    lanes: tuple[Lane, ...] = ()
    freed: tuple[str, ...] = ()
    hurried: tuple[str, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    paused: SinkReason | None = None
    alive_at: AwareDatetime | None = None
    failures: int = 0
    failing_since: AwareDatetime | None = None
    next_try_at: AwareDatetime | None = None
    last_answer: str | None = None
    at: AwareDatetime


# So long is an event, or a sink where nobody is there, tried again. It is what Standard Webhooks
# proposes.
PATIENCE: Final = timedelta(hours=75)

# Our own workers may have been away for most of that time.
_FEWEST_TRIES: Final = 5

# Between the tries of one event. The last one is repeated.
_FOR_AN_EVENT: Final = (
    *(timedelta(seconds=seconds) for seconds in (5, 30)),
    *(timedelta(minutes=minutes) for minutes in (2, 10, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 4, 8, 12)),
)
# Between the tries of a sink where nobody is there: each is one event, and all others wait for it.
_FOR_A_SINK: Final = (
    *(timedelta(seconds=seconds) for seconds in (1, 5, 15, 30)),
    *(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15)),
)
# What the other side may ask for: a clock of theirs that is wrong must not stop us for years.
LONGEST_WAIT: Final = timedelta(hours=1)


def pause_of_lane(failures: int) -> timedelta:
    """How long an event rests after so many failures in a row, 1 or more."""
    return _at(_FOR_AN_EVENT, failures)


def pause_of_sink(failures: int) -> timedelta:
    """How long all wait after so many failures in a row, 1 or more."""
    return _at(_FOR_A_SINK, failures)


def is_given_up(failing_since: datetime, now: datetime, tries: int) -> bool:
    """Whether it was tried for as long as anything is, and not only a long time ago."""
    return now - failing_since >= PATIENCE and tries >= _FEWEST_TRIES


def asked_wait(wait: timedelta | None) -> timedelta | None:
    """What the other side asked for, within reason."""
    return wait if wait is None else min(max(wait, timedelta()), LONGEST_WAIT)


def _at(pauses: tuple[timedelta, ...], failures: int) -> timedelta:
    return pauses[min(failures, len(pauses)) - 1]
