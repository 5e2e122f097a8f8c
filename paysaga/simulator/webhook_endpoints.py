"""Webhook endpoints: where events go, and the secret that is shown only once."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from paysaga.simulator import deliveries
from paysaga.simulator.calls import DEFAULT_VERSION, Call
from paysaga.simulator.errors import invalid
from paysaga.simulator.forms import Blankable, Expandable, Flag, Metadata, Params
from paysaga.simulator.ids import letters, new_id
from paysaga.simulator.lists import ListParams, listed
from paysaga.simulator.shapes import changed
from paysaga.simulator.storage import Body, Record, Storage

_SECRET_LETTERS = 32
_MOST = 16
Events = Annotated[list[str], Field(min_length=1)]


class CreateEndpoint(Expandable):
    """Parameters of create."""

    url: str
    enabled_events: Events
    api_version: str | None = None
    description: Blankable = None
    metadata: Metadata = Field(default_factory=dict)


class UpdateEndpoint(Expandable):
    """Parameters of update."""

    url: str | None = None
    enabled_events: Events | None = None
    description: Blankable = None
    disabled: Flag | None = None
    metadata: Metadata = Field(default_factory=dict)


def create(call: Call, params: CreateEndpoint) -> Body:
    """Register an endpoint; the answer alone carries its secret."""
    _check_url(params.url)
    if len(call.storage.page("webhook_endpoint", [], limit=_MOST).records) >= _MOST:
        raise invalid(f"You have reached the maximum of {_MOST} test webhook endpoints.")
    secret = f"whsec_{letters(_SECRET_LETTERS)}"
    return register(call, params, secret).body | {"secret": secret}


def register(call: Call, params: CreateEndpoint, secret: str) -> Record:
    """Keep an endpoint with a secret of the caller's choice."""
    body: Body = {
        "id": new_id("we_1"),
        "object": "webhook_endpoint",
        "api_version": params.api_version,
        "application": None,
        "created": call.now,
        "description": params.description,
        "enabled_events": params.enabled_events,
        "livemode": False,
        "metadata": dict(params.metadata),
        "status": "enabled",
        "url": params.url,
    }
    record = Record("webhook_endpoint", body, {"secret": secret})
    call.storage.put(record)
    return record


def ensure(call: Call, url: str, secret: str) -> None:
    """Register the configured endpoint unless it is there; the configured secret counts."""
    for record in all_of(call.storage):
        if record.body["url"] == url:
            record.private["secret"] = secret
            call.storage.put(record)
            return
    params = CreateEndpoint(url=url, enabled_events=["*"], api_version=DEFAULT_VERSION)
    register(call, params, secret)


def retrieve(call: Call, _params: Expandable) -> Body:
    """Answer with one endpoint, without its secret."""
    return call.own("webhook_endpoint").body


def update(call: Call, params: UpdateEndpoint) -> Body:
    """Change what is given; a disabled endpoint gets nothing new."""
    record = call.own("webhook_endpoint")
    if params.url is not None:
        _check_url(params.url)
        record.body["url"] = params.url
    if params.enabled_events is not None:
        record.body["enabled_events"] = params.enabled_events
    if params.disabled is not None:
        record.body["status"] = "disabled" if params.disabled else "enabled"
    changed(record.body, params, "description")
    call.storage.put(record)
    return record.body


def delete(call: Call, _params: Params) -> Body:
    """Remove the endpoint; what was still to be delivered there is given up."""
    record = call.own("webhook_endpoint")
    deliveries.forget_endpoint(call.storage, record.id)
    body = {"id": record.id, "object": "webhook_endpoint", "deleted": True}
    call.storage.put(Record("deleted_webhook_endpoint", body))
    return body


def list_all(call: Call, params: ListParams) -> Body:
    """List endpoints."""
    body, _ = listed(call, "webhook_endpoint", "/v1/webhook_endpoints", params)
    return body


def all_of(storage: Storage) -> list[Record]:
    """Every endpoint, newest first."""
    return storage.page("webhook_endpoint", [], limit=_MOST).records


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise invalid(
            "Invalid URL: An explicit scheme (such as https) must be provided.",
            code="url_invalid",
            param="url",
        )
