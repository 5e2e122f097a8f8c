"""What is known after a run, from witnesses that do not talk to each other."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from paysaga.database.engine import create_engine
from paysaga.database.rows import payment_state
from paysaga.database.saved_methods import saved_method
from paysaga.database.tables import (
    ATTEMPTS,
    EVENTS,
    PAYMENT_METHODS,
    PAYMENTS,
    STATUS_HISTORY,
    TRANSFERS,
    WEBHOOK_EVENTS,
)
from paysaga.domain.payment import PaymentState
from paysaga.domain.saved_method import SavedMethod
from workflows import addresses

Row = dict[str, Any]

APPEND_ONLY: Final = (STATUS_HISTORY, TRANSFERS, EVENTS)
_AT_ONCE: Final = 16


@dataclass(frozen=True)
class Run:
    """How a workflow run stands, and what it answered with."""

    status: str
    result: PaymentState | None = None
    failure: str | None = None


@dataclass(frozen=True)
class Answer:
    """What a customer asked of the API, and heard."""

    method: str
    path: str
    key: str | None
    status: int
    body: Row

    @property
    def is_good(self) -> bool:
        """Whether it promises something."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True)
class Evidence:
    """All that the checker goes by. Only the product's own tables and runs are ours to write."""

    at: datetime
    # The gateway's book, and its objects as they are now.
    journal: tuple[Row, ...] = ()
    intents: tuple[Row, ...] = ()
    pages: tuple[Row, ...] = ()
    refunds: tuple[Row, ...] = ()
    set_ups: tuple[Row, ...] = ()
    cards: tuple[Row, ...] = ()
    deliveries: tuple[Row, ...] = ()
    gateway_events: tuple[Row, ...] = ()
    # Our database.
    payments: tuple[PaymentState, ...] = ()
    attempts: tuple[Row, ...] = ()
    history: tuple[Row, ...] = ()
    transfers: tuple[Row, ...] = ()
    events: tuple[Row, ...] = ()
    inbox: tuple[Row, ...] = ()
    stored_at_once: frozenset[str] | None = None  # what was there before any sweep
    changeable: tuple[str, ...] = ()  # tables that let a row be changed which must not
    methods: tuple[SavedMethod, ...] = ()
    # Temporal, the order service and the customers.
    runs: Mapping[str, Run] = field(default_factory=dict)
    method_runs: Mapping[str, str] = field(default_factory=dict)  # how each of them stands
    orders: tuple[Row, ...] = ()
    order_moves: tuple[Row, ...] = ()
    answers: tuple[Answer, ...] = ()
    # What somebody heard who followed our events; None if nobody did.
    heard: tuple[Row, ...] | None = None
    # What a sink has handed over to a receiver, as often as it did; None if there was none.
    delivered: tuple[Row, ...] | None = None


async def collected(
    *,
    simulator: Path,
    database_url: str,
    temporal: Client,
    shop: Path,
    answers: Iterable[Answer] = (),
) -> Evidence:
    """Ask all of them, once the run is over."""
    engine = create_engine(database_url)
    try:
        async with engine.connect() as connection:
            ours = {table.name: await _rows(connection, table) for table in _OURS}
            payments = tuple(map(payment_state, await connection.execute(select(PAYMENTS))))
            saved = await connection.execute(select(PAYMENT_METHODS))
            methods = tuple(map(saved_method, saved))
        changeable = [table.name for table in APPEND_ONLY if await _lets_change(engine, table)]
    finally:
        await engine.dispose()
    objects = _read(simulator, "SELECT kind, body FROM objects ORDER BY seq")
    return Evidence(
        at=datetime.now(UTC),
        journal=tuple(map(_entry, _read(simulator, "SELECT * FROM journal ORDER BY seq"))),
        intents=_of_kind("payment_intent", objects),
        pages=_of_kind("checkout.session", objects),
        refunds=_of_kind("refund", objects),
        set_ups=_of_kind("setup_intent", objects),
        cards=_of_kind("payment_method", objects),
        deliveries=_read(simulator, "SELECT * FROM deliveries ORDER BY id"),
        gateway_events=_of_kind("event", objects),
        payments=payments,
        attempts=ours[ATTEMPTS.name],
        history=ours[STATUS_HISTORY.name],
        transfers=ours[TRANSFERS.name],
        events=ours[EVENTS.name],
        inbox=ours[WEBHOOK_EVENTS.name],
        changeable=tuple(changeable),
        methods=methods,
        runs=await _runs(temporal, [payment.id for payment in payments]),
        method_runs=await _method_runs(temporal, [method.id for method in methods]),
        orders=_read(shop, "SELECT * FROM orders"),
        order_moves=_read(shop, "SELECT * FROM moves ORDER BY rowid"),
        answers=tuple(answers),
    )


def about(evidence: Evidence, payment_id: str, *, is_repaired: bool = False) -> Evidence:
    """What concerns one payment. If it was to be repaired, the repair's run has the last word."""

    def named(rows: Iterable[Row], *names: str) -> tuple[Row, ...]:
        return tuple(row for row in rows if payment_id in (row.get(name) for name in names))

    def marked(rows: Iterable[Row]) -> tuple[Row, ...]:
        return tuple(
            row
            for row in rows
            if (row.get("metadata") or {}).get("payment_id") == payment_id
            or str(row.get("idempotency_key")).startswith(payment_id)
        )

    intents, pages = marked(evidence.intents), marked(evidence.pages)
    chains = {thing["id"] for thing in (*intents, *pages)}
    inbox = named(evidence.inbox, "payment_id")
    deliveries = [row for row in evidence.deliveries if row["chain"].partition("/")[0] in chains]
    known = {row["event"] for row in deliveries}
    return replace(
        evidence,
        journal=marked(evidence.journal),
        intents=intents,
        pages=pages,
        refunds=marked(evidence.refunds),
        deliveries=tuple(deliveries),
        gateway_events=tuple(event for event in evidence.gateway_events if event["id"] in known),
        payments=tuple(payment for payment in evidence.payments if payment.id == payment_id),
        attempts=named(evidence.attempts, "payment_id"),
        history=named(evidence.history, "payment_id"),
        transfers=named(evidence.transfers, "payment_id"),
        events=named(evidence.events, "object_id"),
        inbox=tuple(row for row in evidence.inbox if row["id"] in known) or inbox,
        runs=_runs_about(evidence.runs, payment_id, is_repaired=is_repaired),
        orders=named(evidence.orders, "payment_id"),
        order_moves=named(evidence.order_moves, "payment_id"),
        methods=(),
        set_ups=(),
        method_runs={},
        answers=(),
    )


def _runs_about(runs: Mapping[str, Run], payment_id: str, *, is_repaired: bool) -> dict[str, Run]:
    found = {run_id: run for run_id, run in runs.items() if run_id.endswith(payment_id)}
    if is_repaired:
        found[payment_id] = found.pop(addresses.repair_id(payment_id), Run("MISSING"))
    return found


_OURS: Final = (ATTEMPTS, STATUS_HISTORY, TRANSFERS, EVENTS, WEBHOOK_EVENTS)


async def _rows(connection: AsyncConnection, table: Table) -> tuple[Row, ...]:
    found = await connection.execute(select(table).order_by(*table.primary_key))
    return tuple(row._asdict() for row in found)


async def _lets_change(engine: AsyncEngine, table: Table) -> bool:
    """Try it, and take it back: the database itself must refuse. An empty table cannot tell."""
    same = list(table.c)[-1]
    async with engine.connect() as connection:
        if (await connection.execute(select(same).limit(1))).first() is None:
            return False
        try:
            await connection.execute(update(table).values({same.name: same}))
        except IntegrityError:
            return False
        finally:
            await connection.rollback()
    return True


async def _runs(temporal: Client, known: Iterable[str]) -> dict[str, Run]:
    """Every run of ours. The list may lag behind, the rows' own ids do not."""
    ids = set(known) | {run async for run in _listed(temporal)}
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(run_id: str) -> tuple[str, Run]:
        async with gate:
            return run_id, await _run(temporal, run_id)

    return dict(await asyncio.gather(*map(one, sorted(ids))))


async def _method_runs(temporal: Client, known: Iterable[str]) -> dict[str, str]:
    """How the runs stand that save, look at or remove methods."""
    stand: dict[str, str] = {}
    for run_id in known:
        run = await temporal.get_workflow_handle(run_id).describe()
        stand[run_id] = run.status.name if run.status else "UNKNOWN"
    async for listed in temporal.list_workflows(
        "WorkflowType IN ('RemoveMethodWorkflow', 'LookAtMethodWorkflow')"
    ):
        stand[listed.id] = listed.status.name if listed.status else "UNKNOWN"
    return stand


async def _listed(temporal: Client) -> AsyncIterator[str]:
    async for run in temporal.list_workflows(
        "WorkflowType IN ('PaymentWorkflow', 'RepairWorkflow')"
    ):
        yield run.id


async def _run(temporal: Client, run_id: str) -> Run:
    handle = temporal.get_workflow_handle(run_id, result_type=PaymentState)
    try:
        status = (await handle.describe()).status
    except RPCError as error:
        return Run(error.status.name)
    if status is WorkflowExecutionStatus.COMPLETED:
        return Run(status.name, result=await handle.result())
    if status is WorkflowExecutionStatus.FAILED:
        try:
            await handle.result()
        except WorkflowFailureError as failure:
            cause = failure.cause
            kind = cause.type if isinstance(cause, ApplicationError) else type(cause).__name__
            return Run(status.name, failure=kind)
    return Run(status.name if status else "UNKNOWN")


def pages_of(simulator: Path, payment_id: str) -> list[str]:
    """The payment's pages at the gateway, the newest last, whoever knows of them."""
    objects = _read(simulator, "SELECT kind, body FROM objects ORDER BY seq")
    pages = _of_kind("checkout.session", objects)
    return [page["id"] for page in pages if page["metadata"].get("payment_id") == payment_id]


def _read(path: Path, query: str) -> tuple[Row, ...]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        return tuple(dict(row) for row in connection.execute(query))


def _entry(row: Row) -> Row:
    return {"seq": row["seq"], "at": row["at"], "kind": row["kind"], **json.loads(row["entry"])}


def _of_kind(kind: str, objects: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(json.loads(thing["body"]) for thing in objects if thing["kind"] == kind)
