from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from paysaga.database.engine import sessions
from paysaga.database.inbox import Inbox, InboxEvent, Result
from paysaga.database.inbox_reads import InboxReads
from paysaga.database.paging import WrongCursor
from paysaga.domain.gateway_event import Flag
from tests.database.payments import NOON

SECOND = timedelta(seconds=1)
RESULTS = (None, "nudged", Flag.OTHER_AMOUNT, None)


@pytest.fixture
async def reads(engine: AsyncEngine) -> InboxReads:
    """Four events, two of them at the same moment."""
    inbox = Inbox(sessions(engine))
    for number, word in enumerate(RESULTS):
        event = InboxEvent(
            id=f"evt_{number}",
            type="refund.failed" if number else "payment_intent.succeeded",
            livemode=False,
            payload=b'{"id": "evt"}',
            signature_verified=True,
            received_at=NOON + (number // 2) * SECOND,
        )
        await inbox.store(event)
        if word:
            await inbox.mark_processed(event.id, Result(word=word, payment_id="pay_1"), NOON)
    return InboxReads(sessions(engine))


class TestEvents:
    async def test_pages_hold_every_event_once(self, reads: InboxReads) -> None:
        """
        Newest first; of two at the same moment the id decides.
        """
        seen: list[str] = []
        after = None
        while True:
            page = await reads.events(after=after, limit=1)
            seen += [event.id for event in page.events]
            after = page.next
            if after is None:
                break

        assert ["evt_3", "evt_2", "evt_1", "evt_0"] == seen

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ({}, "3210"),
            ({"processed": True}, "21"),
            ({"processed": False}, "30"),
            ({"flagged": True}, "2"),
            ({"flagged": False}, "310"),
            ({"kind": "payment_intent.succeeded"}, "0"),
            ({"payment_id": "pay_1"}, "21"),
            ({"payment_id": "pay_1", "flagged": False}, "1"),
        ],
    )
    async def test_filters(self, reads: InboxReads, wanted: dict[str, Any], found: str) -> None:
        """
        Each narrows the list; what is not processed is neither flagged nor lost.
        """
        page = await reads.events(**wanted)

        assert [f"evt_{number}" for number in found] == [event.id for event in page.events]

    async def test_a_list_leaves_the_payloads_out(self, reads: InboxReads) -> None:
        """
        An event may have 256 kB: only one that is looked at alone shows them.
        """
        page = await reads.events()

        assert {b""} == {event.payload for event in page.events}

    async def test_a_cursor_of_nobody(self, reads: InboxReads) -> None:
        """
        A page begins where one of ours ended, or not at all.
        """
        with pytest.raises(WrongCursor):
            await reads.events(after="nonsense")


class TestEvent:
    async def test_one_with_everything(self, reads: InboxReads) -> None:
        """
        As it came, and what came of it.
        """
        event = await reads.event("evt_2")

        assert event is not None
        assert (b'{"id": "evt"}', True, Flag.OTHER_AMOUNT) == (
            event.payload, event.flagged, event.result,
        )  # fmt: skip

    async def test_none(self, reads: InboxReads) -> None:
        """
        No event is no error here.
        """
        assert await reads.event("evt_none") is None
