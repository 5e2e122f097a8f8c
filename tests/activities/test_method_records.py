"""Saved methods as rows, on both databases."""

import asyncio

import pytest
from sqlalchemy import func, select
from temporalio.exceptions import ApplicationError

from activities.method_records import ALREADY_SAVED, MethodRecords
from activities.records import NOT_WRITABLE
from paysaga.database.engine import Sessions
from paysaga.database.paging import WrongCursor
from paysaga.database.reads import Reads
from paysaga.database.saved_methods import SavedMethods
from paysaga.database.tables import PAYMENT_METHODS
from paysaga.domain.saved_method import (
    SavedMethod,
    SavedMethodStatus,
    SaveReason,
)
from paysaga.domain.saving import (
    failed,
    removal_requested,
    seen,
    set_up,
)
from tests.fakes import NOON
from tests.saved import WINDOW, attached, processing, saved, setup_in

S = SavedMethodStatus


@pytest.fixture
def records(opened: Sessions) -> MethodRecords:
    return MethodRecords(opened)


@pytest.fixture
def methods(opened: Sessions) -> SavedMethods:
    return SavedMethods(opened)


async def keep(records: MethodRecords, number: int = 1, **changes: object) -> SavedMethod:
    """One more active method of the customer."""
    owner = str(changes.get("customer_id", "cst_1")).replace("cst", "cus")
    setup = setup_in("succeeded", id=f"seti_{number}", method_id=f"pm_{number}", customer_id=owner)
    method = saved(f"mtd_{number}", setup, **changes)
    await records.record_method(processing(f"mtd_{number}", **changes))
    return await records.record_method(method)


class TestSteps:
    async def test_the_row_is_the_method(
        self, records: MethodRecords, methods: SavedMethods
    ) -> None:
        """What is read back is, field by field, what the run holds."""
        declined = set_up(processing(), setup_in("expired_card"), NOON, WINDOW)
        assert declined is not None

        first = await records.record_method(processing())
        second = await records.record_method(declined)

        assert (processing(), declined) == (first, second)
        assert declined == await methods.method("mtd_1")
        assert declined == await records.method_standing("mtd_1")
        assert await records.method_standing("mtd_2") is None

    async def test_a_repeat_changes_nothing(self, records: MethodRecords) -> None:
        """A lost answer, even to the COMMIT, is simply asked again."""
        method = await keep(records)

        assert method == await records.record_method(saved())
        assert method == await records.record_method(processing())

    async def test_the_database_has_the_last_word(self, records: MethodRecords) -> None:
        """A step whose number is taken is not taken again: the answer tells what was."""
        declined = failed(processing(), SaveReason.GATEWAY_REFUSED, NOON)
        assert declined is not None
        await records.record_method(processing())
        await records.record_method(declined)

        assert declined == await records.record_method(saved())

    async def test_a_missing_step_is_a_bug(self, records: MethodRecords) -> None:
        """Nothing is written over a gap."""
        with pytest.raises(ApplicationError) as error:
            await records.record_method(saved())

        assert NOT_WRITABLE == error.value.type

    async def test_what_the_database_never_takes_is_told_without_the_row(
        self, records: MethodRecords
    ) -> None:
        """A bug is told apart from a database that is away, and quotes nothing."""
        wrong = processing().model_copy(update={"return_url": ""})

        with pytest.raises(ApplicationError) as error:
            await records.record_method(wrong)

        assert NOT_WRITABLE == error.value.type
        assert "cst_1" not in str(error.value)

    async def test_the_gateways_customer_is_known_from_then_on(
        self, records: MethodRecords, opened: Sessions
    ) -> None:
        """The next payment of this customer is on the same customer of the gateway."""
        await keep(records)

        assert "cus_1" == await Reads(opened).gateway_customer("cst_1")


class TestOneOfAKind:
    async def test_one_method_is_saved_once(self, records: MethodRecords) -> None:
        """A second active row for the same card of the gateway is refused, and names the first."""
        await keep(records)
        await records.record_method(processing("mtd_2"))

        with pytest.raises(ApplicationError) as error:
            await records.record_method(saved("mtd_2"))

        assert (ALREADY_SAVED, ("mtd_1",)) == (error.value.type, error.value.details)

    async def test_of_two_at_once_one_is_saved(self, records: MethodRecords) -> None:
        """Also when both come to their end at the same moment."""
        for name in ("mtd_1", "mtd_2"):
            await records.record_method(processing(name))

        ends = await asyncio.gather(
            *(records.record_method(saved(name)) for name in ("mtd_1", "mtd_2")),
            return_exceptions=True,
        )

        assert 1 == sum(isinstance(end, SavedMethod) for end in ends), ends
        assert [ALREADY_SAVED] == [e.type for e in ends if isinstance(e, ApplicationError)]

    async def test_what_was_removed_stands_in_nobodys_way(self, records: MethodRecords) -> None:
        """The same token may be tried again, for what the gateway says to it."""
        method = await keep(records)
        gone = seen(method, attached(None), NOON)
        assert gone is not None
        await records.record_method(gone)
        await records.record_method(processing("mtd_2"))

        assert S.ACTIVE is (await records.record_method(saved("mtd_2"))).status


class TestDefault:
    async def defaults(self, opened: Sessions) -> list[str]:
        columns = PAYMENT_METHODS.c
        async with opened() as session:
            found = select(columns.id).where(columns.is_default, columns.status == "active")
            return sorted(await session.scalars(found))

    async def test_new_default_takes_the_place_of_the_old(
        self, records: MethodRecords, opened: Sessions
    ) -> None:
        """A customer has one default at most, from the moment the new one is active."""
        await keep(records, 1, make_default=True)
        await records.record_method(processing("mtd_2", make_default=True))
        before = await self.defaults(opened)

        await keep(records, 2, make_default=True)

        assert (["mtd_1"], ["mtd_2"]) == (before, await self.defaults(opened))

    async def test_it_is_changed_by_hand(
        self, records: MethodRecords, methods: SavedMethods, opened: Sessions
    ) -> None:
        """Of several the customer chooses one; choosing it again changes nothing."""
        await keep(records, 1, make_default=True)
        second = await keep(records, 2)

        once = await methods.make_default(second)
        twice = await methods.make_default(second)

        assert once == twice == second.model_copy(update={"is_default": True})
        assert ["mtd_2"] == await self.defaults(opened)

    async def test_choosing_many_at_once_leaves_one(
        self, records: MethodRecords, methods: SavedMethods, opened: Sessions
    ) -> None:
        """Whoever comes last has it, and nobody is refused."""
        kept = [await keep(records, number) for number in range(1, 6)]

        await asyncio.gather(*(methods.make_default(method) for method in kept))

        assert 1 == len(await self.defaults(opened))

    async def test_late_repeat_does_not_take_it_back(
        self, records: MethodRecords, methods: SavedMethods, opened: Sessions
    ) -> None:
        """A step that was taken long ago is not taken again, nor what belongs to it."""
        await keep(records, 1, make_default=True)
        await methods.make_default(await keep(records, 2))

        await keep(records, 1, make_default=True)

        assert ["mtd_2"] == await self.defaults(opened)

    async def test_step_leaves_it_as_it_is(
        self, records: MethodRecords, methods: SavedMethods
    ) -> None:
        """It is configuration: a run that knows an older row does not change it."""
        method = await keep(records)
        await methods.make_default(method)
        asked = removal_requested(method, NOON)
        assert asked is not None

        stands = await records.record_method(asked)

        assert (SaveReason.REMOVAL_REQUESTED, True) == (stands.reason, stands.is_default)

    async def test_what_is_gone_is_nobodys_default(
        self, records: MethodRecords, methods: SavedMethods
    ) -> None:
        """It cannot be chosen either."""
        method = await keep(records, 1, make_default=True)
        gone = seen(method, attached(None), NOON)
        assert gone is not None

        stands = await records.record_method(gone)

        assert not stands.is_default
        assert stands == await methods.make_default(method)


class TestReads:
    async def test_pages_stand_still(self, records: MethodRecords, methods: SavedMethods) -> None:
        """Going from page to page shows each method once, also while others are added."""
        for number in range(1, 4):
            await keep(records, number)
        await keep(records, 9, customer_id="cst_2")

        first = await methods.methods(customer_id="cst_1", status=S.ACTIVE, limit=2)
        await keep(records, 4)
        rest = await methods.methods(customer_id="cst_1", status=S.ACTIVE, after=first.next)
        everybody = await methods.methods(customer_id=None, status=S.ACTIVE)

        assert [["mtd_3", "mtd_2"], ["mtd_1"]] == [
            [method.id for method in page.methods] for page in (first, rest)
        ]
        assert rest.next is None
        assert 5 == len(everybody.methods)
        with pytest.raises(WrongCursor):
            await methods.methods(customer_id=None, status=S.ACTIVE, after="mtd_1")

    async def test_they_are_found_by_the_gateways_names(
        self, records: MethodRecords, methods: SavedMethods
    ) -> None:
        """An event of the gateway leads to the row that it is about."""
        method = await keep(records)

        assert method == await methods.of_gateway("pm_1") == await methods.of_gateway("seti_1")
        assert method == await methods.saved_as("pm_1")
        assert await methods.of_gateway("pm_9") is None

    async def test_one_row_for_each(self, records: MethodRecords, opened: Sessions) -> None:
        """The same id is the same row, however often it begins."""
        await asyncio.gather(*(records.record_method(processing()) for _ in range(10)))

        async with opened() as session:
            assert 1 == await session.scalar(select(func.count()).select_from(PAYMENT_METHODS))
