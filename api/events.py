"""What has changed, for the shop's own services: every change once, in order, to be read again."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from api.bodies import PAYMENT_ID_PATTERN, Cursor
from api.connections import Here
from api.documents import READ, problems
from api.identity import allowed
from api.views import View
from paysaga.database.paging import WrongCursor
from paysaga.domain.outbox import Place
from paysaga.events.shapes import Event, EventType, published
from paysaga.tokens import Role

router: Final = APIRouter(prefix="/events", tags=["events"])


class EventQuestion(BaseModel):
    """Which events a page holds. A misspelt name is refused: it would find everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Annotated[list[EventType], Field(max_length=len(EventType))] = []
    object: Annotated[str, StringConstraints(pattern=PAYMENT_ID_PATTERN)] | None = None
    since: AwareDatetime | None = None
    after: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class EventPage(View):
    """Some events, and the cursor to go on with: also from the last page, when there are more.

    `null` only if no event was there so far, and none was asked for.
    """

    items: list[Event]
    next_after: str | None
    has_more: bool


@router.get(
    "",
    operation_id="list_events",
    responses=READ | problems(410),
    dependencies=[Depends(allowed(Role.SERVICE, Role.ADMIN))],
)
async def list_events(here: Here, wanted: Annotated[EventQuestion, Query()]) -> EventPage:
    """Every change of every payment, the first first; those of one payment by their `sequence`.

    Whoever goes on from `next_after` misses none, whatever is being written meanwhile.
    """
    place = place_of(wanted.after)
    found = await here.outbox.after(
        place,
        wanted.limit + 1,
        types=[kind.value for kind in wanted.type],
        object_id=wanted.object,
        since=wanted.since,
    )
    if place is not None:
        await here.outbox.check_kept(place)
    page = found[: wanted.limit]
    return EventPage(
        items=[published(event) for event in page],
        next_after=page[-1].place.cursor if page else wanted.after,
        has_more=len(found) > len(page),
    )


def place_of(cursor: str | None) -> Place | None:
    """The place that a page has told.

    Raises:
        WrongCursor: None has.
    """
    if cursor is None:
        return None
    place = Place.read(cursor)
    if place is None:
        raise WrongCursor("the cursor is not one of ours: begin with the first page again")
    return place


@router.get("/schema", operation_id="get_event_schema", responses=problems(503))
async def get_event_schema() -> dict[str, Any]:
    """The form of every event, as JSON Schema. It needs no token."""
    return Event.model_json_schema(mode="serialization")
