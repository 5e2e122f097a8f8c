"""Events: a snapshot of an object at the moment something happened to it."""

from paysaga.simulator import deliveries
from paysaga.simulator.calls import DEFAULT_VERSION, Call
from paysaga.simulator.forms import Expandable, Flag
from paysaga.simulator.ids import new_id
from paysaga.simulator.lists import DatedListParams, listed
from paysaga.simulator.storage import Body, Record, dumps

_KEPT_SECONDS = 30 * 24 * 3600
_TYPE_MATCHES = "EXISTS (SELECT 1 FROM json_each(?) WHERE objects.type GLOB value)"
_UNDELIVERED = (
    "EXISTS (SELECT 1 FROM deliveries WHERE event = objects.id AND state != 'delivered') = ?"
)


class ListEvents(DatedListParams):
    """Filters of the event list."""

    type: str | None = None
    types: list[str] | None = None
    delivery_success: Flag | None = None


def emit(call: Call, kind: str, subject: Body, previous: Body | None = None) -> None:
    """Write the event and queue its webhooks, in the transaction of the change itself."""
    data: Body = {"object": subject}
    if previous is not None:
        data["previous_attributes"] = previous
    body: Body = {
        "id": new_id("evt_1"),
        "object": "event",
        "api_version": DEFAULT_VERSION,
        "created": call.now,
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": call.request_id, "idempotency_key": call.idempotency_key},
        "type": kind,
    }
    call.storage.put(Record("event", body))
    deliveries.enqueue(call, body)


def retrieve(call: Call, _params: Expandable) -> Body:
    """Answer with one event as it is now."""
    return _with_pending(call, call.own("event").body)


def list_all(call: Call, params: ListEvents) -> Body:
    """List the events of the last 30 days."""
    wheres: list[tuple[str, object]] = [("created >= ?", call.now - _KEPT_SECONDS)]
    kinds = params.types or ([params.type] if params.type else [])
    if kinds:
        wheres.append((_TYPE_MATCHES, dumps(kinds)))
    if params.delivery_success is not None:
        wheres.append((_UNDELIVERED, int(not params.delivery_success)))
    body, _ = listed(call, "event", "/v1/events", params, wheres=tuple(wheres))
    body["data"] = [_with_pending(call, event) for event in body["data"]]
    return body


def _with_pending(call: Call, body: Body) -> Body:
    return body | {"pending_webhooks": deliveries.pending_of(call.storage, body["id"])}
