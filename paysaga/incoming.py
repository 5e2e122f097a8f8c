"""What becomes of a gateway event, however it came: it is kept, and whoever must look is told.

A webhook and the sweep of the gateway's list end here, so an event that comes both ways has one
effect.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from pydantic import ValidationError

from paysaga.database.engine import Sessions
from paysaga.database.inbox import Inbox, InboxEvent, Result, Source
from paysaga.database.reads import Reads
from paysaga.domain.gateway_event import (
    OWN_CALL,
    About,
    Duty,
    Flag,
    GatewayEvent,
    contradicts,
    duty,
    duty_without_run,
    foreign,
    is_word,
)
from paysaga.domain.method_event import LISTENED_FOR, METHOD_NUDGES
from paysaga.domain.payment import PaymentState
from paysaga.incoming_methods import IncomingMethods
from paysaga.nudging import NotTold, Nudging
from paysaga.settings import Settings

_LATER: Final = "the payment's own call is under way: looked at again when it is over"

log: Final = structlog.stdlib.get_logger("incoming")


class NotAGatewayEvent(ValueError):
    """The body is not an event."""


class Incoming:
    """Keeps events and processes them. Both may be repeated at any time."""

    def __init__(self, sessions: Sessions, nudging: Nudging, settings: Settings) -> None:
        self._inbox = Inbox(sessions)
        self._reads = Reads(sessions)
        self._methods = IncomingMethods(sessions, nudging)
        self._nudging = nudging
        self._settings = settings

    async def take(self, payload: bytes) -> str:
        """Keep a signed event and process it at once, unless that was done before.

        Raises:
            NotAGatewayEvent: It is none, and is not kept.
            NotTold: It is kept and owed; it may come again, or is swept.
        """
        event = await self._inbox.store(as_kept(payload, Source.WEBHOOK))
        return await self.process(event) if event else "already_processed"

    async def process(self, kept: InboxEvent) -> str:
        """Tell whoever must look; the word for what came of it."""
        came = await self.attempt(kept)
        if isinstance(came, Exception):
            raise came
        return came

    async def attempt(self, kept: InboxEvent) -> str | Exception:
        """The same; or why nobody could be told, which stands on the event's row, too.

        It raises only if nothing can be written: then no other event can be processed either.
        """
        with _told_in_logs(kept):
            try:
                result = await self._result(kept, datetime.now(UTC) - kept.received_at)
            except Exception as error:  # noqa: BLE001 - the caller's to tell or to raise
                # Also a mistake of ours: it must not keep the others from their turn. What it says
                # may hold a part of the payload.
                why = str(error) if isinstance(error, NotTold) else type(error).__name__
                await self._inbox.mark_failed(kept.id, why, datetime.now(UTC))
                return error
            if result is None:
                await self._inbox.mark_failed(kept.id, _LATER, datetime.now(UTC))
                return "kept_for_later"
            await self._inbox.mark_processed(kept.id, result, datetime.now(UTC))
            _log(result)
            return result.word

    async def replay(self, kept: InboxEvent) -> None:
        """Process an event once more, whatever came of it the first time."""
        with _told_in_logs(kept):
            result = await self._result(kept, OWN_CALL)
            if result is None:
                raise AssertionError("an event of this age is not kept for later")
            await self._inbox.mark_again(kept.id, result, datetime.now(UTC))
            _log(result)

    async def _result(self, kept: InboxEvent, age: timedelta) -> Result | None:
        """What came of it; `None` if it is to be looked at again later."""
        event = read(kept.payload)
        if flag := foreign(event, livemode=self._settings.livemode):
            return Result(word=flag)
        if event.type not in LISTENED_FOR:
            return Result(word="kept")
        if event.about.mark("environment") not in {None, self._settings.environment_name}:
            return Result(word="other_environment")
        if event.type in METHOD_NUDGES:
            return await self._methods.result(event, age)
        payment_id = event.about.mark("payment_id") or await self._owner(event.about)
        state = await self._reads.payment(payment_id) if payment_id else None
        if state is None:
            return Result(word="unknown_payment")
        structlog.contextvars.bind_contextvars(payment_id=state.id)
        if flag := contradicts(event, state):
            return Result(word=flag, payment_id=state.id)
        return await self._told(duty(event, state, age), event, state)

    async def _told(self, whose: Duty, event: GatewayEvent, state: PaymentState) -> Result | None:
        match whose:
            case Duty.LATER:
                return None
            case Duty.NOBODY:
                return Result(word="nothing_to_do", payment_id=state.id)
            case Duty.REPAIR:
                run_id = await self._nudging.repair(state)
                return Result(word="repair_nudged", payment_id=state.id, run_id=run_id)
            case Duty.RUN:
                if await self._nudging.run(state.id):
                    return Result(word="nudged", payment_id=state.id, run_id=state.id)
                # The run is over, perhaps since a moment: what its row says now is what counts.
                now = await self._reads.payment(state.id) or state
                return await self._told(duty_without_run(event, now), event, now)

    async def _owner(self, about: About) -> str | None:
        for gateway_id in about.ids:
            if found := await self._reads.payment_of(gateway_id):
                return found
        return None


def as_kept(payload: bytes, source: Source) -> InboxEvent:
    """The event as the inbox keeps it; one that the gateway's list showed was never signed.

    Raises:
        NotAGatewayEvent: It is none.
    """
    event = read(payload)
    return InboxEvent(
        id=event.id,
        type=event.type,
        api_version=event.api_version,
        livemode=event.livemode,
        gateway_object_id=event.about.id if is_word(event.about.id) else None,
        payment_id=event.about.mark("payment_id"),
        payload=payload,
        signature_verified=source is Source.WEBHOOK,
        source=source,
        received_at=datetime.now(UTC),
    )


def read(payload: bytes) -> GatewayEvent:
    """What we read of an event.

    Raises:
        NotAGatewayEvent: It is none.
    """
    try:
        return GatewayEvent.model_validate_json(payload)
    except ValidationError as error:
        raise NotAGatewayEvent from error


@contextmanager
def _told_in_logs(kept: InboxEvent) -> Iterator[None]:
    """Every line names the event, and the payment as soon as it is known."""
    about = {"event_id": kept.id, "type": kept.type, "payment_id": kept.payment_id}
    with structlog.contextvars.bound_contextvars(**about):
        yield


def _log(result: Result) -> None:
    tell = log.warning if result.word in set(Flag) else log.info
    tell("a gateway event", result=result.word, run=result.run_id)
