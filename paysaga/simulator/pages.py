"""The pages on which a customer authenticates a card or approves what PayPal asks for."""

import asyncio
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from paysaga.simulator import authentication
from paysaga.simulator.currencies import shown
from paysaga.simulator.delivering import Deliverer
from paysaga.simulator.simulator import Simulator
from paysaga.simulator.storage import Record

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
)
_REDIRECT_STATUS = {
    "succeeded": "succeeded",
    "requires_capture": "succeeded",
    "requires_confirmation": "succeeded",
    "processing": "pending",
}


class Pages:
    """The HTML side of `requires_action`."""

    def __init__(self, simulator: Simulator, deliverer: Deliverer) -> None:
        self._simulator = simulator
        self._deliverer = deliverer

    def routes(self) -> list[Route]:
        """List the routes of both pages."""
        return [
            Route("/{page:str}/{intent}/{token}", self.show, methods=["GET"]),
            Route("/{page:str}/{intent}/{token}", self.decide, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Ask the customer; after the decision, say that it was made."""
        record = self._waiting(request)
        if not record:
            return page("gone.html", 404)
        if not _is_open(record, request):
            return page("done.html", 200, back=_return_url(record))
        body = record.body
        return page(
            f"{request.path_params['page']}.html",
            200,
            amount=shown(body["amount"], body["currency"]).upper() if "amount" in body else "",
            description=body["description"] or "",
        )

    async def decide(self, request: Request) -> Response:
        """Carry out the customer's decision and send them back to the shop."""
        record = self._waiting(request)
        if not record:
            return page("gone.html", 404)
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        outcome = form.get("outcome")
        if outcome not in ("authorize", "fail"):
            return page("gone.html", 400)
        await asyncio.sleep(self._simulator.knobs.delay_seconds(self._simulator.chance))
        record = self._waiting(request) or record
        if _is_open(record, request):
            call = self._simulator.call(target=record.id)
            with call.storage.transaction():
                authentication.act(call, record, "authorize" if outcome == "authorize" else "fail")
            self._deliverer.wake()
        back = _return_url(record)
        return RedirectResponse(back, 303) if back else page("done.html", 200, back=None)

    def _waiting(self, request: Request) -> Record | None:
        identifier = request.path_params["intent"]
        record = self._simulator.storage.get(authentication.kind_of(identifier), identifier)
        visit = record.private.get("visit") if record else None
        if not visit or visit["token"] != request.path_params["token"]:
            return None
        return record if visit["page"] == request.path_params["page"] else None


def page(name: str, status: int, **values: object) -> HTMLResponse:
    """Render a template; pages about money are never kept by a cache."""
    html = _TEMPLATES.get_template(name).render(**values)
    return HTMLResponse(html, status, headers={"cache-control": "no-store"})


def _is_open(record: Record, request: Request) -> bool:
    action = record.private.get("action")
    return action is not None and action["token"] == request.path_params["token"]


def _return_url(record: Record) -> str | None:
    url: str | None = record.private["visit"]["return_url"]
    if not url:
        return None
    parts = urlsplit(url)
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        (record.kind, record.id),
        (f"{record.kind}_client_secret", record.body["client_secret"]),
        ("redirect_status", _REDIRECT_STATUS.get(record.body["status"], "failed")),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))
