"""The gateway's events: what came, what came of it, and once more."""

from typing import Annotated

import typer

from paysaga.cli import api, show

EventId = Annotated[str, typer.Argument(help="The event, evt_…")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def install(app: typer.Typer) -> None:
    """Add the commands."""
    webhooks = typer.Typer(help="Look at the gateway's events.", no_args_is_help=True)
    webhooks.command("list")(list_webhooks)
    webhooks.command("show")(show_webhook)
    webhooks.command("replay")(replay_webhook)
    app.add_typer(webhooks, name="webhooks")


def list_webhooks(
    *,
    processed: Annotated[
        bool | None, typer.Option("--processed/--owed", help="Only these.")
    ] = None,
    flagged: Annotated[
        bool | None,
        typer.Option("--flagged/--not-flagged", help="Those that say what is not ours, or not."),
    ] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    payment: Annotated[str | None, typer.Option(help="Only about this payment.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """The newest events."""
    with api.connected() as client:
        page = client.webhooks(
            processed=processed, flagged=flagged, type=kind, payment_id=payment, limit=limit
        )
    if json:
        show.as_json(page)
    else:
        show.webhooks(page)


def show_webhook(event_id: EventId, *, json: Json = False) -> None:
    """One event, and what came of it; with --json, as it came."""
    with api.connected() as client:
        _show(client.webhook(event_id), json=json)


def replay_webhook(event_id: EventId, *, json: Json = False) -> None:
    """Process an event once more. A repeat does no harm: whoever is told only looks."""
    with api.connected() as client:
        _show(client.replay(event_id), json=json)


def _show(told: api.Answer, *, json: bool) -> None:
    if json:
        show.as_json(told)
    else:
        show.webhook(told)
