"""Everything is killed at once under 200 payments: how long until all of them move again?"""

import asyncio
import signal
import time
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from paysaga.database.engine import create_engine
from paysaga.database.tables import PAYMENTS
from tests.chaos.checker import Broken, judged
from tests.chaos.customer import Customer, Streets, until
from tests.chaos.plan import Kind, sagas
from tests.chaos.runner import Outcome, evidence_of, settle, stack_and_database
from tests.chaos.stack import Stack

IN_FLIGHT: Final = 200
MOVES_WITHIN_SECONDS: Final = 60.0
# The gateway answers none of them before the blow falls, however slowly they begin.
_START_SECONDS: Final = 180.0
_SLOW: Final = 200_000


async def outage(
    seed: int,
    state: Path,
    *,
    postgres_url: str | None = None,
    within: float = MOVES_WITHIN_SECONDS,
) -> Outcome:
    """Kill all processes at once; the supervisor starts them again, as any init system does.

    The payments must be at their end `within` so many seconds.
    """
    began = time.monotonic()
    async with AsyncExitStack() as opened:
        stack, _ = await stack_and_database(
            opened, state, seed, postgres_url, PAYMENT_HOLD_SECONDS="600", LOG_LEVEL="WARNING"
        )
        streets = Streets(stack.api, stack.gateway)
        await _turn(stack, _SLOW)
        plan = [saga for saga in sagas(seed, IN_FLIGHT * 10) if saga.kind is Kind.PAYS][:IN_FLIGHT]
        for saga in plan:
            stack.book.make(saga.order_id, saga.customer_id, "stoneware-mug", saga.price)
        customers = [asyncio.create_task(Customer(streets, saga).acts()) for saga in plan]
        under_way = await _all_under_way(stack)
        killed = datetime.now(UTC)
        for name in stack.pids:
            stack.signal(name, signal.SIGKILL)
        await _turn(stack, 0)
        await asyncio.gather(*customers)
        await settle(stack)
        evidence = await evidence_of(stack, streets)
    last = max(payment.updated_at for payment in evidence.payments)
    seconds = (last - killed).total_seconds()
    broken = judged(evidence)
    if under_way < IN_FLIGHT or seconds > within:
        broken.append(Broken(3, f"{under_way} in flight, all at their end after {seconds:.0f} s"))
    return Outcome(
        sagas=len(plan),
        seed=seed,
        database="PostgreSQL" if postgres_url else "SQLite",
        seconds=time.monotonic() - began,
        dealt=Counter({"kill_everything": 1}),
        fired=0,
        ends=Counter(payment.status.value for payment in evidence.payments),
        broken=tuple(broken),
        told=f"{under_way} in flight, the last at its end {seconds:.0f} s after the kill",
    )


async def _turn(stack: Stack, milliseconds: int) -> None:
    """Set how long the gateway thinks."""
    knobs = {
        "payment_processing_delay_min": milliseconds,
        "payment_processing_delay_max": milliseconds,
    }
    await stack.control("PATCH", "/knobs", knobs)


async def _all_under_way(stack: Stack) -> int:
    """Wait until all have begun; how many are open then."""
    engine = create_engine(stack.database_url)
    found = 0

    async def begun() -> bool:
        nonlocal found
        async with engine.connect() as connection:
            counted = select(func.count()).where(PAYMENTS.c.status == "processing")
            found = (await connection.execute(counted)).scalar_one()
        return found >= IN_FLIGHT

    await until(begun, _START_SECONDS)
    await engine.dispose()
    return found
