import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from paysaga.database.engine import Sessions
from paysaga.domain.payment import PaymentState
from tests.chaos.checker import judged
from tests.chaos.evidence import Evidence, about
from tests.chaos.laboratory import Staff, laboratory
from tests.database.databases import KINDS, Databases
from tests.fault_matrix.cells import CELLS, DATABASE, DISTURBED, GATEWAY, Cell
from tests.fault_matrix.elsewhere import ELSEWHERE
from tests.fault_matrix.lost_runs import LostPages, LostRuns
from tests.fault_matrix.page import PAGE, number, page
from tests.fault_matrix.troubled_records import TroubledRecords

pytestmark = [
    pytest.mark.timeout(400),
    # The SDK's word for a local activity that ended when it was to be canceled, which is no harm.
    pytest.mark.filterwarnings("ignore:Cannot find activity to cancel:UserWarning"),
]

NAMES: Final = [f"{number(place)} {cell.name}" for place, cell in enumerate(CELLS, start=1)]
# More would wait for the worker, and for the one writer of SQLite.
AT_ONCE: Final = 20


@dataclass(frozen=True)
class Played:
    """All cells, played beside each other, and what was found afterwards."""

    ends: dict[str, PaymentState | BaseException]
    evidence: Evidence
    fired: dict[str, int]
    disturbed: set[str]


# Each half takes some minutes, mostly of waiting: CI plays both.
BOTH: Final = [pytest.param(kind, marks=pytest.mark.full) for kind in KINDS]


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=BOTH)
async def played(
    request: pytest.FixtureRequest,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> Played:
    """One server, simulator and worker for all cells of one database."""
    url = await databases.migrated(request.param)
    made: list[TroubledRecords] = []

    def records(sessions: Sessions) -> TroubledRecords:
        made.append(TroubledRecords(sessions, DISTURBED))
        return made[0]

    gate = asyncio.Semaphore(AT_ONCE)
    async with laboratory(
        tmp_path_factory.mktemp(request.param),
        url,
        Staff(calls=LostRuns, checkout=LostPages, records=records),
    ) as lab:

        async def one(cell: Cell) -> PaymentState:
            async with gate:
                return await lab.play(cell.case)

        ends = await asyncio.gather(*map(one, CELLS), return_exceptions=True)
        armed: list[dict[str, Any]] = (await lab.simulated.control.get("/faults")).json()["data"]
        evidence = await lab.evidence()
    return Played(
        ends={cell.name: end for cell, end in zip(CELLS, ends, strict=True)},
        evidence=evidence,
        fired=_fired(armed),
        disturbed=made[0].disturbed,
    )


def _fired(armed: list[dict[str, Any]]) -> dict[str, int]:
    """How often the faults of each payment, or of its customer, have met a call."""
    fired: dict[str, int] = {}
    for fault in armed:
        [whose] = fault["match"].values()
        fired[whose] = fired.get(whose, 0) + fault["fired"]
    return fired


class TestCells:
    @pytest.mark.parametrize("cell", CELLS, ids=NAMES)
    async def test_the_payment_ends_right(self, played: Played, cell: Cell) -> None:
        """Whatever goes wrong with this call, the payment ends as it must, and no rule breaks."""
        end, payment = played.ends[cell.name], cell.case.payment

        broken = judged(about(played.evidence, payment.id, is_repaired=cell.case.is_compared))

        assert [] == broken
        assert isinstance(end, PaymentState), end
        assert cell.ends is end.status

    @pytest.mark.parametrize("cell", GATEWAY, ids=NAMES[: len(GATEWAY)])
    async def test_the_gateway_did_misbehave(self, played: Played, cell: Cell) -> None:
        """A cell whose fault never fired would prove nothing."""
        payment = cell.case.payment

        fired = played.fired.get(payment.id, 0) + played.fired.get(payment.customer_id, 0)

        assert fired >= len(cell.case.faults)

    async def test_the_database_did_misbehave(self, played: Played) -> None:
        """Nor would one whose write went well."""
        assert {cell.case.payment.id for cell in DATABASE} == played.disturbed


class TestPage:
    def test_the_page_lists_every_cell(self) -> None:
        """`docs/fault-matrix.md` is what `python -m tests.fault_matrix.page` writes."""
        assert page() == Path(PAGE).read_text()

    @pytest.mark.parametrize("fault", ELSEWHERE)
    def test_what_it_says_is_tested_is(self, fault: str) -> None:
        """Each named test is there."""
        module, *names = ELSEWHERE[fault]
        text = (Path(__file__).parents[1] / module).read_text()

        assert all(f"def {name}(" in text for name in names)

    def test_every_cell_is_a_payment_of_its_own(self) -> None:
        """Two cells that shared a payment would hide each other's faults."""
        assert len(CELLS) == len({cell.case.payment.id for cell in CELLS})
        assert len(CELLS) == len(set(NAMES))
