"""The inbox of gateway events, as people look at it: what came, what came of it, and once more.

For admins only: a payload may hold what the customer told the gateway.
"""

from typing import Annotated, Final, Self

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from api.answers import run_address
from api.bodies import PAYMENT_ID_PATTERN, Cursor
from api.connections import Connections, Here
from api.documents import READ, SEEN, problems
from api.identity import allowed
from api.refusals import Missing
from api.views import View
from paysaga.database.inbox import Source
from paysaga.database.inbox_reads import KeptEvent
from paysaga.domain.gateway_event import is_word
from paysaga.tokens import Role

router: Final = APIRouter(
    prefix="/admin/webhooks", tags=["admin"], dependencies=[Depends(allowed(Role.ADMIN))]
)


class EventFilter(BaseModel):
    """Which events a page holds. A misspelt name is refused: it would find everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processed: bool | None = None
    type: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.]{1,255}$")] | None = None
    payment_id: Annotated[str, StringConstraints(pattern=PAYMENT_ID_PATTERN)] | None = None
    flagged: bool | None = None
    after: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class EventView(View):
    """An event, and what came of it. `flagged`: it says something that is not ours."""

    id: str
    type: str
    source: Source
    livemode: bool
    api_version: str | None
    gateway_object_id: str | None
    payment_id: str | None
    received_at: AwareDatetime
    signature_verified: bool
    processed: bool
    processed_at: AwareDatetime | None
    result: str | None
    flagged: bool
    failed_at: AwareDatetime | None
    error: str | None
    run: str | None
    payload_sha256: str

    @classmethod
    def of(cls, here: Connections, event: KeptEvent, **more: str) -> Self:
        """The event, and where the run is that was told."""
        run = run_address(here.settings, event.run_id) if event.run_id else None
        told = {**dict(event), "flagged": event.flagged, "run": run, **more}
        return cls.model_validate({name: told[name] for name in cls.model_fields})


class WholeEventView(EventView):
    """An event with every byte of it."""

    payload: str


class EventPageView(View):
    """Some events, newest first, and the cursor to go on with."""

    items: list[EventView]
    next_after: str | None


async def _kept(here: Here, event_id: Annotated[str, Path(examples=["evt_1"])]) -> KeptEvent:
    found = await here.inbox.event(event_id) if is_word(event_id) else None
    if found is None:
        raise Missing
    return found


Kept = Annotated[KeptEvent, Depends(_kept)]


@router.get("", operation_id="list_webhooks", responses=READ | problems(403))
async def list_webhooks(here: Here, wanted: Annotated[EventFilter, Query()]) -> EventPageView:
    """The events that came, newest first."""
    page = await here.inbox.events(
        processed=wanted.processed,
        kind=wanted.type,
        payment_id=wanted.payment_id,
        flagged=wanted.flagged,
        after=wanted.after,
        limit=wanted.limit,
    )
    items = [EventView.of(here, event) for event in page.events]
    return EventPageView(items=items, next_after=page.next)


@router.get("/{event_id}", operation_id="get_webhook", responses=SEEN | problems(403))
async def get_webhook(here: Here, event: Kept) -> WholeEventView:
    """One event, byte for byte, and what came of it."""
    return WholeEventView.of(here, event, payload=event.payload.decode())


@router.post("/{event_id}/replay", operation_id="replay_webhook", responses=SEEN | problems(403))
async def replay_webhook(here: Here, event: Kept) -> EventView:
    """Process the event once more. A repeat does no harm: whoever is told only looks."""
    await here.incoming.replay(event)
    return EventView.of(here, await here.inbox.event(event.id) or event)
