"""Where our events go, over HTTP: the rows are written here, and their runs are told."""

import base64
import re
import secrets
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import SecretStr
from structlog.contextvars import bind_contextvars

from api.answers import REPLAYED
from api.bodies import IdempotencyKey
from api.connections import Connections, Here
from api.documents import READ, SEEN, changed, problems
from api.events import place_of
from api.identity import Caller, allowed
from api.refusals import Invalid, KeyReused, Missing, SinkConfigured
from api.sink_bodies import (
    SINK_ID_PATTERN,
    AmqpSinkOrder,
    HttpSinkOrder,
    Replay,
    SecretRoll,
    SinkChange,
    SinkFilter,
    SinkOrder,
)
from api.sink_views import (
    DeadLetterPageView,
    DeadLetterView,
    SinkLinks,
    SinkPageView,
    SinkView,
)
from paysaga.database.sink_changes import Ahead, OtherRequest, Request
from paysaga.domain import ids
from paysaga.domain.outbox import Place, is_ahead
from paysaga.domain.sink import CONFIGURED, Sink, SinkKind, SinkReason, SinkStatus
from paysaga.events.http import ForbiddenAddress, check_url
from paysaga.tokens import Role

router: Final = APIRouter(prefix="/sinks", tags=["sinks"])

Merchant = Annotated[Caller, Depends(allowed(Role.SERVICE, Role.ADMIN))]
SinkId = Annotated[str, Path(examples=["snk_aaaaaaaaaaaaaaaaaaaaaaaaaa"])]

_MOST_COUNTED: Final = 10_000
_SECRET_BYTES: Final = 32


async def _sink(here: Here, _who: Merchant, sink_id: SinkId) -> Sink:
    if not re.fullmatch(SINK_ID_PATTERN, sink_id):
        raise Missing
    bind_contextvars(sink_id=sink_id)
    return _there(await here.sinks.sink(sink_id))


KnownSink = Annotated[Sink, Depends(_sink)]


@router.post(
    "", operation_id="create_sink", status_code=HTTPStatus.CREATED, responses=changed(SinkView)
)
async def create_sink(
    response: Response, here: Here, who: Merchant, key: IdempotencyKey, order: SinkOrder
) -> SinkView:
    """Send events there from now on, or from where it is told. The secret is told only here."""
    sink_id = ids.derived(ids.SINK, who.actor, key)
    bind_contextvars(sink_id=sink_id)
    mark = _mark(order)
    found = await here.sinks.asked_for(sink_id)
    if found is None:
        sink = await _wanted(here, sink_id, order)
        is_whole = order.after is not None
        found = await here.sink_changes.create(sink, mark, is_whole=is_whole)
    else:
        response.status_code = HTTPStatus.OK
        response.headers[REPLAYED] = "true"
    sink, fingerprint = found
    if fingerprint != mark:
        raise KeyReused
    return _with_secret(await _told(here, sink), sink)


@router.get("", operation_id="list_sinks", responses=READ | problems(403))
async def list_sinks(
    here: Here, _who: Merchant, wanted: Annotated[SinkFilter, Query()]
) -> SinkPageView:
    """All sinks, newest first."""
    page = await here.sinks.page(wanted.after, wanted.limit)
    return SinkPageView(
        items=[await sink_view(here, sink) for sink in page.sinks], next_after=page.next
    )


@router.get("/{sink_id}", operation_id="get_sink", responses=SEEN | problems(403))
async def get_sink(here: Here, sink: KnownSink) -> SinkView:
    """The sink, and how far it has come."""
    return await sink_view(here, sink)


@router.patch("/{sink_id}", operation_id="change_sink", responses=SEEN | problems(403))
async def change_sink(here: Here, sink: KnownSink, change: SinkChange) -> SinkView:
    """Another address or filter; pause it, or go on where it stands. A repeat changes nothing."""
    for field in change.foreign_to(sink.kind):
        raise Invalid(field, f"A sink of kind {sink.kind} has none.")
    columns = change.columns()
    if "url" in columns:
        _check(here, columns["url"])
    if change.status is not None and change.status is not sink.status:
        resumed = change.status is SinkStatus.ACTIVE
        columns["status"] = change.status
        columns["reason"] = SinkReason.RESUMED if resumed else SinkReason.REQUESTED
    if columns or change.status is SinkStatus.ACTIVE:
        sink = _there(await here.sink_changes.change(sink.id, columns, datetime.now(UTC)))
    return await _told(here, sink)


@router.delete("/{sink_id}", operation_id="remove_sink", responses=SEEN | problems(403))
async def remove_sink(here: Here, sink: KnownSink) -> SinkView:
    """Send nothing there any more, for good. One that the settings made must be paused before."""
    if sink.id in CONFIGURED and sink.status is SinkStatus.ACTIVE:
        raise SinkConfigured
    removed = await here.sink_changes.remove(sink.id, datetime.now(UTC))
    return await _told(here, removed or sink)


@router.post(
    "/{sink_id}/replay",
    operation_id="replay_sink",
    responses=changed(SinkView) | problems(404, 410),
)
async def replay_sink(
    here: Here, who: Merchant, sink: KnownSink, key: IdempotencyKey, replay: Replay
) -> SinkView:
    """Send again what follows a place or a time, or give the dead letters another chance.

    Events keep their ids: a receiver that remembers them does nothing twice.
    """
    to = None if replay.dead_letters else await _place(here, replay.after, replay.since)
    request = _request(who, key, replay.fingerprint("replay"))
    try:
        replayed = await here.sink_changes.replay(
            sink.id, to, request, datetime.now(UTC), is_whole=replay.after is not None
        )
    except OtherRequest as other:
        raise KeyReused from other
    except Ahead as error:
        field = "since" if replay.after is None else "after"
        raise Invalid(field, "The sink has not come that far: nothing is passed over.") from error
    return await _told(here, _there(replayed))


@router.post(
    "/{sink_id}/secret",
    operation_id="roll_sink_secret",
    responses=changed(SinkView) | problems(404),
)
async def roll_sink_secret(
    here: Here, who: Merchant, sink: KnownSink, key: IdempotencyKey, roll: SecretRoll
) -> SinkView:
    """Sign with a new secret, which is told only here; for a while with the one before as well."""
    if sink.kind is not SinkKind.HTTP:
        raise Invalid("sink_id", "Only what goes to an HTTP address is signed.")
    now = datetime.now(UTC)
    request = _request(who, key, roll.fingerprint("secret"))
    until = now + roll.overlap
    try:
        rolled = await here.sink_changes.roll_secret(sink.id, _new_secret(), request, until, now)
    except OtherRequest as other:
        raise KeyReused from other
    return _with_secret(await _told(here, _there(rolled)), _there(rolled))


@router.get(
    "/{sink_id}/dead-letters", operation_id="list_dead_letters", responses=SEEN | problems(403)
)
async def list_dead_letters(
    here: Here, sink: KnownSink, wanted: Annotated[SinkFilter, Query()]
) -> DeadLetterPageView:
    """The events that it is not given any more, newest first."""
    page = await here.sinks.dead_letters(sink.id, wanted.after, wanted.limit)
    items = [DeadLetterView.model_validate(dict(letter)) for letter in page.dead_letters]
    return DeadLetterPageView(items=items, next_after=page.next)


async def sink_view(here: Connections, sink: Sink) -> SinkView:
    """The sink as it stands, and what follows its place."""
    settings = here.settings
    waiting = await here.sinks.waiting(sink.id)
    path = f"/api/v1/sinks/{sink.id}"
    ui = str(settings.temporal_ui_url).rstrip("/")
    links = SinkLinks(
        self=path,
        dead_letters=f"{path}/dead-letters",
        temporal=f"{ui}/namespaces/{settings.temporal_namespace}/workflows/{sink.id}",
    )
    return SinkView.of(
        sink,
        links,
        behind=await here.outbox.count_after(sink.place, _MOST_COUNTED),
        waiting=waiting,
    )


async def _told(here: Connections, sink: Sink) -> SinkView:
    """The row is written. If this message is lost, the sweep tells the run."""
    await here.nudging.sink(sink.id, sink.name)
    await here.sink_changes.is_told(sink)
    return await sink_view(here, sink)


def _mark(order: HttpSinkOrder | AmqpSinkOrder) -> str:
    """What the request is told apart by. The secret counts, though it is not shown."""
    secret = order.secret if isinstance(order, HttpSinkOrder) else None
    return order.fingerprint("sink", secret.get_secret_value() if secret else "")


async def _wanted(here: Connections, sink_id: str, order: HttpSinkOrder | AmqpSinkOrder) -> Sink:
    now = datetime.now(UTC)
    own: dict[str, object]
    if isinstance(order, HttpSinkOrder):
        _check(here, order.url)
        own = {"url": order.url, "secret": order.secret or _new_secret()}
    else:
        own = {
            "exchange": order.exchange or here.settings.amqp_exchange,
            "routing_key": order.routing_key,
            "must_be_routed": order.must_be_routed,
        }
    common = {
        "id": sink_id,
        "kind": order.kind,
        "status": SinkStatus.ACTIVE,
        "reason": SinkReason.CREATED,
        "description": order.description or None,
        "types": tuple(kind.value for kind in order.types),
        "place": await _place(here, order.after, order.since),
        "created_at": now,
        "updated_at": now,
    }
    return Sink.model_validate(common | own)


async def _place(here: Connections, after: str | None, since: datetime | None) -> Place:
    """Where it is to go on: behind that event, at that time, or at the end."""
    if since is not None:
        return await here.outbox.place_before(since)
    end, place = await here.outbox.end(), place_of(after)
    if place is None:
        return end
    if is_ahead(place, end):
        raise Invalid("after", "This is not the cursor of an earlier page.")
    return place


def _check(here: Connections, url: str) -> None:
    try:
        check_url(url, is_open=not here.settings.livemode)
    except ForbiddenAddress as error:
        raise Invalid("url", f"{str(error).capitalize()}.") from error


def _request(who: Caller, key: str, fingerprint: str) -> Request:
    return Request(ids.fingerprint(who.actor, key), fingerprint)


def _there(sink: Sink | None) -> Sink:
    if sink is None or sink.status is SinkStatus.REMOVED:
        raise Missing
    return sink


def _new_secret() -> SecretStr:
    return SecretStr("whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode())


def _with_secret(view: SinkView, sink: Sink) -> SinkView:
    secret = sink.secret.get_secret_value() if sink.secret else None
    return view.model_copy(update={"secret": secret})
