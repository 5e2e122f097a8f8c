"""One chaos run: customers in, blows and faults meanwhile, settle, collect, judge."""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from paysaga.demo.trouble import Trouble
from paysaga.demo.world import persistently
from tests.chaos.checker import Broken, judged
from tests.chaos.customer import Customer, Streets, until
from tests.chaos.evidence import Evidence, collected
from tests.chaos.follower import Follower, stopped
from tests.chaos.havoc import Database, Havoc, Locked, line_to
from tests.chaos.plan import Saga, sagas, strikes
from tests.chaos.receiver import Receiver
from tests.chaos.stack import HOLD_SECONDS, Stack, running
from tests.receiving import receiving
from workflows import addresses
from workflows.sweep import SweepWorkflow

AT_ONCE: Final = 40
# After the last customer: the holds end, and what was unknown is settled.
SETTLED_SECONDS: Final = HOLD_SECONDS + 180.0

# Drawn one after the other for each event: 5 % are lost, 20 % come twice, 20 % overtake others.
WEBHOOK_FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "drop", "probability": 0.05},
    {"kind": "double", "probability": 0.21},
    {"kind": "delay", "probability": 0.27, "seconds": 3.0},
)

_OPEN: Final = (
    "ExecutionStatus = 'Running' AND WorkflowType IN ('PaymentWorkflow', 'SavedMethodWorkflow',"
    " 'RemoveMethodWorkflow', 'LookAtMethodWorkflow')"
)

Say = Callable[[int], None]


@dataclass(frozen=True)
class Outcome:
    """What came out of one run: one line of the results."""

    sagas: int
    seed: int
    database: str
    seconds: float
    dealt: Counter[str]
    fired: int
    ends: Counter[str]
    broken: tuple[Broken, ...]
    told: str = ""

    @property
    def line(self) -> str:
        """All of it, with tabs."""
        parts = (
            f"{self.sagas} sagas",
            f"seed {self.seed}",
            self.database,
            f"{self.seconds:.0f} s",
            f"{self.dealt.total()} blows" + _in_words(self.dealt),
            f"{self.fired} faults",
            ", ".join(f"{count} {end}" for end, count in sorted(self.ends.items())),
            f"{len(self.broken)} rules broken",
            *([self.told] if self.told else []),
        )
        return "\t".join(parts)


def _in_words(dealt: Counter[str]) -> str:
    told = ", ".join(f"{blow} {count}" for blow, count in sorted(dealt.items()))
    return f" ({told})" if told else ""


async def chaos(
    count: int,
    seed: int,
    state: Path,
    *,
    postgres_url: str | None = None,
    say: Say = lambda _: None,
) -> Outcome:
    """Play `count` sagas and judge them. `postgres_url` names a server on which to make a database.

    Raises:
        Trouble: A process does not come back.
    """
    began = time.monotonic()
    async with AsyncExitStack() as opened:
        stack, database = await stack_and_database(opened, state, seed, postgres_url)
        streets = Streets(stack.api, stack.gateway)
        receiver = Receiver(await opened.enter_async_context(receiving()), seed)
        sink_id = await receiver.subscribe(stack.api)
        follower = Follower(stack.api)
        following = asyncio.create_task(follower.follow())
        for fault in WEBHOOK_FAULTS:
            await stack.control("POST", "/webhook_faults", {**fault, "times": None})
        plan = sagas(seed, count)
        havoc = Havoc(stack, database, strikes(seed))
        raging = asyncio.create_task(havoc.rage())
        lost = await _played(stack, streets, plan, say)
        havoc.stop.set()
        await raging
        fired = await settle(stack)
        evidence = await evidence_of(stack, streets)
        await stopped(following)
        await follower.has_heard(len(evidence.events), SETTLED_SECONDS)
        await receiver.has_all(stack.api, sink_id, SETTLED_SECONDS)
    evidence = replace(evidence, heard=tuple(follower.heard), delivered=receiver.delivered)
    broken = (*judged(evidence), *lost)
    return Outcome(
        sagas=count,
        seed=seed,
        database="PostgreSQL" if postgres_url else "SQLite",
        seconds=time.monotonic() - began,
        dealt=havoc.dealt,
        fired=fired,
        ends=Counter(payment.status.value for payment in evidence.payments),
        broken=broken,
    )


async def stack_and_database(
    opened: AsyncExitStack, state: Path, seed: int, postgres_url: str | None, **more: str
) -> tuple[Stack, Database]:
    """The deployment, and a hand on its database."""
    await asyncio.to_thread(shutil.rmtree, state, ignore_errors=True)
    log = state / "supervisor.log"
    more |= {"SIMULATOR_SEED": str(seed)}
    if postgres_url is None:
        stack = await opened.enter_async_context(running(state, log, **more))
        return stack, Locked(state / "paysaga.db")
    direct = await _new_database(opened, postgres_url)
    line = line_to(direct)
    port = await opened.enter_async_context(line.open())
    through = make_url(direct).set(host="127.0.0.1", port=port)
    stack = await opened.enter_async_context(
        running(
            state,
            log,
            database_url=through.render_as_string(hide_password=False),
            direct_url=direct,
            **more,
        )
    )
    return stack, line


async def _new_database(opened: AsyncExitStack, server_url: str) -> str:
    name = f"paysaga_chaos_{time.time_ns()}"
    engine = create_async_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)

    async def administer(statement: str) -> None:
        async with engine.connect() as connection:
            await connection.execute(text(statement))

    await administer(f'CREATE DATABASE "{name}"')
    opened.push_async_callback(administer, f'DROP DATABASE "{name}" WITH (FORCE)')
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


async def _played(stack: Stack, streets: Streets, plan: list[Saga], say: Say) -> list[Broken]:
    """Everybody does their part; a customer who is left without an answer is a broken promise."""
    gate, lost, done = asyncio.Semaphore(AT_ONCE), list[Broken](), 0

    async def one(saga: Saga) -> None:
        nonlocal done
        async with gate:
            try:
                stack.book.make(saga.order_id, saga.customer_id, "stoneware-mug", saga.price)
                for fault in saga.faults:
                    await stack.control("POST", "/faults", fault)
                await Customer(streets, saga).acts()
            except (Trouble, TimeoutError, httpx.HTTPError) as error:
                lost.append(Broken(9, f"{saga.kind} {saga.payment_id}: {error!r}"))
            done += 1
            say(done)

    await asyncio.gather(*map(one, plan))
    return lost


async def settle(stack: Stack) -> int:
    """Let everything come to its end, without further misfortune; how many faults had fired."""
    fired = 0
    for path in ("/faults", "/webhook_faults"):
        armed = (await stack.control("GET", path)).json()["data"]
        fired += sum(fault["fired"] for fault in armed)
        await stack.control("DELETE", path)

    async def open_runs() -> int:
        return (await stack.temporal.count_workflows(_OPEN)).count

    async def all_over() -> bool:
        return await persistently(open_runs) == 0

    await until(all_over, SETTLED_SECONDS)
    await stack.control("POST", "/webhooks/flush", {"timeout_seconds": 20.0})
    # What was lost is found in the gateway's list, and what is owed is worked off.
    await persistently(
        lambda: stack.temporal.execute_workflow(
            SweepWorkflow.run, id=f"sweep-{time.time_ns()}", task_queue=addresses.PAYMENTS
        )
    )
    await until(all_over, SETTLED_SECONDS)  # what it has begun
    return fired


async def evidence_of(stack: Stack, streets: Streets) -> Evidence:
    """Ask all witnesses."""
    return await collected(
        simulator=stack.settings.state / "simulator.db",
        database_url=stack.database_url,
        temporal=stack.temporal,
        shop=stack.settings.state / "shop.db",
        answers=streets.answers,
    )
