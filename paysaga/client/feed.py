"""What a service asks to hear of every change."""

from collections.abc import Sequence
from datetime import datetime

from paysaga.client.calls import Call, look
from paysaga.client.events import EventPage
from paysaga.client.exchange import Pause
from paysaga.client.operations import Found, Iteration, Operation, Reading
from paysaga.client.words import EventType


class Feed:
    """Events, for tokens of role service or admin."""

    @Operation
    def list_events(
        self,
        *,
        types: Sequence[EventType | str] = (),
        object_id: str | None = None,
        since: datetime | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Call[EventPage]:
        """One page of events, the first first; `after` is `next_after` of the page before."""
        return _page(types, object_id, since, after, limit)

    @Iteration
    def follow_events(
        self,
        *,
        types: Sequence[EventType | str] = (),
        object_id: str | None = None,
        since: datetime | None = None,
        after: str | None = None,
        pause_seconds: float = 2.0,
    ) -> Reading[EventPage]:
        """Pages with events, without end; when there are no more, ask again after a pause.

        Keep `next_after` of a page when its events are handled, and begin with it (`after`) the
        next time: none is missed, and those of one page may come again.

        Args:
            types: Only these. What is left out leaves gaps in the `sequence`.
            object_id: Only this payment's.
            since: Only what happened then or later.
            after: Where to go on.
            pause_seconds: How long to wait when there are no more.
        """
        while True:
            page: EventPage = yield _page(types, object_id, since, after, 100)
            after = page.next_after
            if page.items:
                yield Found(page)
            if not page.has_more:
                yield Pause(pause_seconds)


def _page(
    types: Sequence[EventType | str],
    object_id: str | None,
    since: datetime | None,
    after: str | None,
    limit: int | None,
) -> Call[EventPage]:
    query = {
        "type": tuple(types),
        "object": object_id,
        "since": since,
        "after": after,
        "limit": limit,
    }
    return look(EventPage, "/events", query)
