"""Life without webhooks: the gateway's own list of events is read into the inbox, and worked off.

Everything here may be killed anywhere and repeated: an event is stored once, and the place moves
only past what is stored.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Final

import stripe
import structlog
from pydantic import AwareDatetime
from stripe.params import EventListParams
from temporalio import activity

from activities.errors import as_failure
from paysaga.database.engine import Sessions
from paysaga.database.event_sweeps import EventSweeps, Place
from paysaga.database.inbox import Inbox, Source
from paysaga.database.outbox_keeping import OutboxKeeping
from paysaga.domain.message import Message
from paysaga.domain.method_event import LISTENED_FOR
from paysaga.incoming import Incoming, NotAGatewayEvent, as_kept
from paysaga.nudging import NotTold
from paysaga.waking import Waking

# An event may be listed a little later than it says it was made, and clocks differ. Those of this
# time before are read once more; they are known by their ids.
OVERLAP: Final = timedelta(minutes=5)
_PAGE: Final = 100  # the most that Stripe lists
_BATCH: Final = 100
_MANY: Final = 1000
_FORGETTING_SECONDS: Final = 60.0

log: Final = structlog.stdlib.get_logger("sweep")


class PageRead(Message):
    """How many events were new on one page of the list, and whether there are more pages."""

    stored: int
    more: bool


class Moment(Message):
    """Only what came, or was done, before this."""

    before: AwareDatetime


class Batch(Message):
    """How many rows were dealt with, how many of them in vain, and whether there may be more."""

    count: int
    failed: int = 0
    more: bool


class EventList:
    """Reads the gateway's list of events, page by page, from the newest down to what is known."""

    def __init__(
        self, client: stripe.StripeClient, sessions: Sessions, page_size: int = _PAGE
    ) -> None:
        self._events = client.v1.events
        self._page_size = page_size
        self._inbox = Inbox(sessions)
        self._sweeps = EventSweeps(sessions)

    @activity.defn
    async def read_page(self) -> PageRead:
        """Store the next page. The place moves when all of it is stored, never before."""
        place = await self._sweeps.place(datetime.now(UTC))
        try:
            page = await self._events.list_async(_wanted(place, self._page_size))
        except stripe.InvalidRequestError as error:
            if place.after is None or _code(error) != "resource_missing":
                raise as_failure(error) from None
            # The gateway has forgotten the event in whose place we stood: from the top again.
            await self._sweeps.move(place, Place(since=place.since))
            return PageRead(stored=0, more=True)
        except stripe.StripeError as error:
            raise as_failure(error) from None
        stored = await self._store(page.data)
        await self._sweeps.move(place, _next(place, page))
        return PageRead(stored=stored, more=page.has_more)

    async def _store(self, events: list[stripe.Event]) -> int:
        known = await self._inbox.known([event.id for event in events])
        news = [event for event in reversed(events) if event.id not in known]
        for event in news:
            try:
                await self._inbox.store(as_kept(_payload(event), Source.SWEEP))
            except NotAGatewayEvent:
                # Nothing that any run waits for looks like this, and the others go on.
                log.exception("an event cannot be read", event_id=event.id)
        return len(news)


class InboxWork:
    """What the inbox needs beside the webhooks' own work."""

    def __init__(self, sessions: Sessions, incoming: Incoming) -> None:
        self._inbox = Inbox(sessions)
        self._incoming = incoming

    @activity.defn
    async def work_off(self, moment: Moment) -> Batch:
        """Process events that are owed. One that fails is marked, and is the next sweep's.

        Raises:
            NotTold: Temporal is away, for the others as well. A repeat goes on with them.
        """
        owed = await self._inbox.unprocessed(_BATCH, moment.before)
        failed = 0
        for event in owed:
            activity.heartbeat()
            came = await self._incoming.attempt(event)
            if isinstance(came, NotTold):
                raise came
            if isinstance(came, Exception):
                failed += 1
                about = {"event_id": event.id, "payment_id": event.payment_id}
                log.error("an event cannot be processed", exc_info=came, **about)
        return Batch(count=len(owed), failed=failed, more=len(owed) == _BATCH)

    @activity.defn
    async def forget(self, moment: Moment) -> Batch:
        """Delete events that were processed before this moment; what is owed stays."""
        gone = await self._inbox.forget(moment.before, _BATCH)
        return Batch(count=gone, more=gone == _BATCH)


class OutboxWork:
    """What the outbox needs beside its writers and its sinks."""

    def __init__(self, keeping: OutboxKeeping, waking: Waking) -> None:
        self._keeping = keeping
        self._waking = waking

    @activity.defn
    async def wake_overslept(self) -> int:
        """Wake sinks that rest though there are events for them; how many."""
        return await self._waking.wake_overslept()

    @activity.defn
    async def forget_events(self, moment: Moment) -> Batch:
        """Delete events from before this moment, but for what somebody has still to hear."""
        count, place, until = 0, None, time.monotonic() + _FORGETTING_SECONDS
        while True:
            activity.heartbeat()
            gone, place = await self._keeping.forget(moment.before, _MANY, place)
            count += gone
            if gone < _MANY:
                return Batch(count=count, more=False)
            if time.monotonic() > until:
                return Batch(count=count, more=True)

    @activity.defn
    async def open_sinks(self) -> int:
        """Have a run for each sink, also if somebody has ended it; how many."""
        return await self._waking.open_all()


def _wanted(place: Place, page_size: int) -> EventListParams:
    wanted: EventListParams = {
        "types": sorted(LISTENED_FOR),
        "created": {"gte": int((place.since - OVERLAP).timestamp())},
        "limit": page_size,
    }
    if place.after is not None:
        wanted["starting_after"] = place.after
    return wanted


def _next(place: Place, page: stripe.ListObject[stripe.Event]) -> Place:
    """Down the list; from its end back to the top, from where the next reading begins."""
    events = page.data
    until = place.until or (datetime.fromtimestamp(events[0].created, UTC) if events else None)
    if page.has_more and events:
        return Place(since=place.since, until=until, after=events[-1].id)
    return Place(since=max(place.since, until or place.since))


def _payload(event: stripe.Event) -> bytes:
    return json.dumps(event.to_dict(), separators=(",", ":")).encode()


def _code(error: stripe.StripeError) -> str | None:
    return error.error.code if error.error else error.code
