"""What callers send of sinks: every field limited, nothing unknown taken."""

import base64
import binascii
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StringConstraints,
    model_validator,
)

from api.bodies import Cursor
from paysaga.domain.sink import SinkStatus
from paysaga.events.routing import checked_template
from paysaga.events.shapes import EventType
from paysaga.starting.orders import Body, WebAddress

SINK_ID_PATTERN: Final = r"^snk_([a-z2-7]{26}|amqp|email)$"

_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what a secret begins with
_SECRET_BYTES: Final = range(24, 65)  # as Standard Webhooks asks for


def _secret(secret: SecretStr) -> SecretStr:
    told = secret.get_secret_value()
    try:
        decoded = base64.b64decode(told.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error:
        decoded = b""
    if not told.startswith(_SECRET_PREFIX) or len(decoded) not in _SECRET_BYTES:
        raise ValueError("whsec_ and 24 to 64 random bytes in base64 are needed")
    return secret


def _each_once(types: tuple[EventType, ...]) -> tuple[EventType, ...]:
    if len(set(types)) != len(types):
        raise ValueError("each type once")
    return types


About = Annotated[
    str, StringConstraints(max_length=255, pattern=r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$")
]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Types = Annotated[
    tuple[EventType, ...],
    Field(max_length=len(EventType), description="Only these; all if there are none"),
    AfterValidator(_each_once),
]
Exchange = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,127}$"),
    Field(examples=["paysaga.events"]),
]
RoutingKey = Annotated[
    str,
    StringConstraints(max_length=255),
    AfterValidator(checked_template),
    Field(description="Each event's, with {type} and the like filled in", examples=["{type}"]),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=120)]


class _Beginning(Body):
    """Where it begins: with what comes from now on, or with something that there is already."""

    description: About | None = None
    types: Types = ()
    after: Cursor | None = None
    since: AwareDatetime | None = None

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if self.after is not None and self.since is not None:
            raise ValueError("give after or since, not both")
        return self


class HttpSinkOrder(_Beginning):
    """Events to an HTTP address. Without a secret a new one is made, and told in the answer."""

    kind: Literal["http"]
    url: WebAddress
    secret: Secret | None = None


class AmqpSinkOrder(_Beginning):
    """Events to an exchange of the message broker; `AMQP_EXCHANGE` if none is named."""

    kind: Literal["amqp"]
    exchange: Exchange | None = None
    routing_key: RoutingKey = "{type}"
    must_be_routed: StrictBool = False


SinkOrder = Annotated[HttpSinkOrder | AmqpSinkOrder, Field(discriminator="kind")]

# What each kind has of its own.
_OWN: Final = {
    "http": frozenset({"url"}),
    "amqp": frozenset({"exchange", "routing_key", "must_be_routed"}),
    "email": frozenset[str](),
}


class SinkChange(Body):
    """What is to be different. What is left out stays."""

    description: About | None = None
    types: Types | None = None
    url: WebAddress | None = None
    exchange: Exchange | None = None
    routing_key: RoutingKey | None = None
    must_be_routed: StrictBool | None = None
    status: Literal[SinkStatus.ACTIVE, SinkStatus.PAUSED] | None = None

    def foreign_to(self, kind: str) -> list[str]:
        """The fields that a sink of this kind does not have."""
        own = frozenset[str]().union(*_OWN.values()) - _OWN[kind]
        return sorted(own & self.model_fields_set)

    def columns(self) -> dict[str, Any]:
        """What was said; `null` takes a description away, and says nothing of anything else."""
        told = self.model_dump(include=self.model_fields_set - {"status", "types"})
        kept = {name: value for name, value in told.items() if value is not None}
        if "description" in self.model_fields_set:
            kept["description"] = self.description or None
        if self.types is not None:
            kept["types"] = [kind.value for kind in self.types]
        return kept


class Replay(Body):
    """Go on from another place, or give every dead letter another chance: one of the three."""

    after: Cursor | None = None
    since: AwareDatetime | None = None
    dead_letters: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if sum(told is not None for told in (self.after, self.since, self.dead_letters)) != 1:
            raise ValueError("give one of after, since and dead_letters")
        return self


class SecretRoll(Body):
    """For so long the secret before signs, too: so long may receivers take to learn the new one."""

    overlap_hours: Annotated[int, Field(strict=True, ge=0, le=168)] = 24

    @property
    def overlap(self) -> timedelta:
        """The same as a time."""
        return timedelta(hours=self.overlap_hours)


class SinkFilter(BaseModel):
    """Which page of sinks, or of dead letters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
