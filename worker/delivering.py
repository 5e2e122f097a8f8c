"""The worker that hands events over: its own queue, its own connections to the outside."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.worker import Worker

from activities.deliveries import Deliveries
from activities.mails import MailTarget
from activities.targets import SinkTargets
from paysaga.database.engine import Sessions
from paysaga.database.outbox import Outbox
from paysaga.database.sink_changes import SinkChanges
from paysaga.database.sinks import Sinks
from paysaga.domain.outbox import Place
from paysaga.domain.sink import CONFIGURED, Sink, SinkKind, SinkReason, SinkStatus
from paysaga.events.broker import Broker
from paysaga.events.http import Http
from paysaga.events.routing import BY_TYPE
from paysaga.settings import Settings
from paysaga.waking import Waking
from workflows import addresses

log: Final = structlog.stdlib.get_logger("worker")

_BY_SETTINGS: Final = "settings"


@asynccontextmanager
async def delivering(client: Client, made: Sessions, settings: Settings) -> AsyncIterator[None]:
    """Hand events over while the context lasts; leaving it lets those under way come to an end."""
    async with AsyncExitStack() as stack:
        http = Http(is_open=not settings.livemode)
        stack.push_async_callback(http.close)
        broker = None
        if settings.amqp_url is not None:
            broker = Broker(settings.amqp_url, "paysaga worker: events")
            stack.push_async_callback(broker.close)
        mails = MailTarget(made, settings) if settings.mail_server is not None else None
        targets = SinkTargets(http, broker, mails, settings.environment_name)
        stack.push_async_callback(targets.close)
        deliveries = Deliveries(made, targets)
        await stack.enter_async_context(
            Worker(
                client,
                task_queue=addresses.DELIVERIES,
                activities=[deliveries.drain],
                graceful_shutdown_timeout=timedelta(seconds=settings.worker_drain_seconds),
            )
        )
        yield


async def keep_configured_sinks(made: Sessions, settings: Settings) -> None:
    """Have the sinks that the settings ask for: each begins with what comes from then on.

    A worker that cannot make them works all the same: the next one to start tries again.
    """
    try:
        if settings.amqp_url is not None:
            await _keep(made, "snk_amqp", settings.amqp_exchange)
        if settings.mail_server is not None:
            await _keep(made, "snk_email", None)
    except Exception as error:
        log.exception("a sink of the settings could not be made", error=type(error).__name__)


async def open_sinks(waking: Waking) -> None:
    """Have a run for each sink. What cannot be done now the clean-up does.

    No trouble with sinks, such as words of a newer release, keeps payments from a worker.
    """
    try:
        await waking.open_all()
    except Exception as error:
        log.exception("not every sink could be told", error=type(error).__name__)


async def _keep(made: Sessions, sink_id: str, exchange: str | None) -> None:
    changing, now = SinkChanges(made), datetime.now(UTC)
    known = await Sinks(made).sink(sink_id)
    if known is None:
        await changing.create(
            _wanted(sink_id, exchange, await Outbox(made).end(), now), _BY_SETTINGS
        )
        return
    if known.status is SinkStatus.REMOVED:
        await changing.begin_again(_wanted(sink_id, exchange, await Outbox(made).end(), now))
        return
    changes: dict[str, object] = {"exchange": exchange} if known.exchange != exchange else {}
    if known.reason is SinkReason.AWAY_TOO_LONG:
        # Its variable may not have been set for a while: whoever starts a worker means to send.
        log.warning("a sink that was given up is tried again", sink_id=sink_id)
        changes |= {"status": SinkStatus.ACTIVE, "reason": SinkReason.RESUMED}
    if changes:
        await changing.change(sink_id, changes, now)


def _wanted(sink_id: str, exchange: str | None, place: Place, now: datetime) -> Sink:
    kind = CONFIGURED[sink_id]
    return Sink(
        id=sink_id,
        kind=kind,
        status=SinkStatus.ACTIVE,
        reason=SinkReason.CREATED,
        exchange=exchange,
        routing_key=BY_TYPE if kind is SinkKind.AMQP else None,
        place=place,
        created_at=now,
        updated_at=now,
    )
