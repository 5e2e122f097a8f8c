"""The checker is worth what it catches: each planted bug is caught, and the product passes."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from tests.chaos import planted
from tests.chaos.checker import judged
from tests.chaos.laboratory import Case, Staff, laboratory
from tests.chaos.shop import REFUSED_AT_CONFIRM
from tests.database.databases import Databases

pytestmark = pytest.mark.full

LOST: Final = {"kind": "effect_reply_lost"}

CREATE_LOST: Final = Case("create-lost", ({"operation": "payment_intents.create", **LOST},))
CREATE_BREAKS: Final = Case(
    "create-breaks", ({"operation": "payment_intents.create", "kind": "sticky_500"},)
)
CONFIRM_LOST: Final = Case("confirm-lost", ({"operation": "payment_intents.confirm", **LOST},))
REFUND_LOST: Final = Case(
    "refund-lost", ({"operation": "refunds.create", **LOST},), order_ends=REFUSED_AT_CONFIRM
)
PLAIN: Final = Case("plain")
REFUSED_ORDER: Final = Case("refused-order", order_ends=REFUSED_AT_CONFIRM)
SILENT_SHOP: Final = Case("silent-shop", order_ends="silent-reserve")
CANCELED: Final = Case("canceled", method="pm_card_authenticationRequired", is_canceled=True)
PAGE_LEFT: Final = Case("page-left", is_hosted=True, is_canceled=True)

# Each bug, the case that brings it out, and the rules that it breaks.
BUGS: Final[dict[str, tuple[Staff, Case, set[int]]]] = {
    "new key per retry": (Staff(calls=planted.NewKeyPerRetry), CREATE_LOST, {4, 11}),
    "webhook acknowledged before stored": (Staff(api=planted.hasty_api), PLAIN, {10}),
    "refund without cap": (Staff(calls=planted.RefundWithoutCap), REFUSED_ORDER, {2}),
    "timeout taken as failure": (Staff(calls=planted.TimeoutIsFailure), CONFIRM_LOST, {4}),
    "blind retry after 500": (Staff(calls=planted.BlindRetryAfter500), CREATE_BREAKS, {4, 11}),
    "float money": (Staff(calls=planted.FloatMoney), PLAIN, {1}),
    "non-atomic ledger": (Staff(records=planted.LedgerApart), PLAIN, {5}),
    "compensation not idempotent": (
        Staff(calls=planted.CompensationTwice),
        REFUND_LOST,
        {11},
    ),
    "cancel without proof": (Staff(calls=planted.CancelWithoutProof), CANCELED, {4, 7}),
    "page left open": (Staff(checkout=planted.PageLeftOpen), PAGE_LEFT, {7}),
    "order not kept": (Staff(orders=planted.OrderNotKept), PLAIN, {6}),
}


class TestPlantedBugs:
    @pytest.mark.parametrize("bug", BUGS)
    async def test_each_is_caught(self, bug: str, tmp_path: Path, databases: Databases) -> None:
        """A worker or an API with this bug breaks the rules of money, and the checker says so."""
        staff, case, rules = BUGS[bug]
        url = await databases.migrated("sqlite")

        async with laboratory(tmp_path, url, staff) as lab:
            await lab.play(case)
            broken = judged(await lab.evidence())

        assert rules <= {complaint.rule for complaint in broken}, broken

    async def test_the_product_passes_where_they_fail(
        self, tmp_path: Path, databases: Databases
    ) -> None:
        """The same cases break nothing when nothing is planted."""
        cases = {case.name: case for _, case, _ in BUGS.values()} | {SILENT_SHOP.name: SILENT_SHOP}
        url = await databases.migrated("sqlite")

        async with laboratory(tmp_path, url) as lab:
            await asyncio.gather(*map(lab.play, cases.values()))
            broken = judged(await lab.evidence())

        assert [] == broken
