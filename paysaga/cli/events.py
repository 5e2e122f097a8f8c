"""Our own events: what has changed, and what changes now."""

import json as written
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

from paysaga.cli import api, show
from paysaga.cli.trouble import CannotAsk, NoAnswerYet, WrongUsage
from paysaga.events.shapes import EventType

Kinds = Annotated[list[EventType] | None, typer.Option("--type", help="Only these; repeatable.")]
PaymentId = Annotated[str | None, typer.Option("--payment", help="Only this payment's.")]
Since = Annotated[str | None, typer.Option(help="From then on: 2026-11-01T12:00, or 15m, 3h, 2d.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON: one event a line.")]

_PAUSE_SECONDS: Final = 1.0
_MOST: Final = 100
_AGO: Final = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def install(app: typer.Typer) -> None:
    """Add the commands."""
    events = typer.Typer(help="What has changed: our own events.", no_args_is_help=True)
    events.command("list")(list_events)
    events.command("tail")(tail)
    app.add_typer(events, name="events")


def list_events(
    *,
    kinds: Kinds = None,
    payment: PaymentId = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """The first events since then; without --since, from the beginning."""
    with api.connected() as client:
        page = client.events(**_asked_for(kinds, payment, since), limit=limit)
    _tell(page["items"], json=json)
    if page["has_more"] and not json:
        typer.echo("There are more: narrow the list, or raise --limit.", err=True)


def tail(
    *,
    kinds: Kinds = None,
    payment: PaymentId = None,
    since: Since = None,
    json: Json = False,
) -> None:
    """Every event as it comes, until Ctrl-C; without --since, from now on."""
    wanted = _asked_for(kinds, payment, since or datetime.now(UTC).isoformat())
    with api.connected() as client:
        while True:
            page = _next_page(client, wanted)
            _tell(page["items"], json=json)
            wanted["after"] = page["next_after"]
            if not page["has_more"]:
                time.sleep(_PAUSE_SECONDS)


def _next_page(client: api.PaymentsApi, wanted: dict[str, Any]) -> dict[str, Any]:
    """It goes on where it was when the API is back."""
    is_told = False
    while True:
        try:
            return client.events(**wanted, limit=_MOST)
        except (CannotAsk, NoAnswerYet) as error:
            if not is_told:
                typer.echo(f"{error} It is asked again.", err=True)
            is_told = True
            time.sleep(_PAUSE_SECONDS)


def _asked_for(
    kinds: list[EventType] | None, payment: str | None, since: str | None
) -> dict[str, Any]:
    return {
        "type": [kind.value for kind in kinds or ()],
        "object": payment,
        "since": since and moment(since).isoformat(),
    }


def moment(typed: str) -> datetime:
    """A moment as people type it, in UTC as all that is printed, or so long ago.

    Raises:
        WrongUsage: It is neither.
    """
    if ago := _AGO.fullmatch(typed):
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(typed)
    except ValueError as error:
        raise WrongUsage(f"--since {typed}: type it as 2026-11-01T12:00, or 15m, 3h, 2d") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _tell(events: list[dict[str, Any]], *, json: bool) -> None:
    if json:
        for event in events:
            typer.echo(written.dumps(event, ensure_ascii=False))
    else:
        _show(events)


def _show(events: list[dict[str, Any]]) -> None:
    console = show.new_console()
    for event in events:
        paid = event["data"]
        console.print(
            f"[dim]{show.shown_moment(event['created_at'])}[/]",
            f"{escape(event['type']):<24}",
            f"{escape(event['object_id'])}[dim]#{event['sequence']}[/]",
            show.shown_amount(paid["amount"], paid["currency"]),
            f"[dim]{escape(paid['reason'].replace('_', ' '))}[/]",
            sep="  ",
            soft_wrap=True,
        )
