"""Where our events go: looked at, added, paused, sent again."""

import uuid
from typing import Annotated, Any

import typer
from rich.markup import escape

from paysaga.cli import api, show
from paysaga.cli.events import moment
from paysaga.cli.trouble import WrongUsage
from paysaga.events.shapes import EventType

SinkId = Annotated[str, typer.Argument(help="The sink, snk_…")]
Kinds = Annotated[list[EventType] | None, typer.Option("--type", help="Only these; repeatable.")]
About = Annotated[str | None, typer.Option(help="For people: what it is.")]
Since = Annotated[str | None, typer.Option(help="From then on: 2026-11-01T12:00, or 15m, 3h, 2d.")]
Limit = Annotated[int, typer.Option(min=1, max=100, help="At most so many.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def install(app: typer.Typer) -> None:
    """Add the commands."""
    sinks = typer.Typer(help="Where our events go.", no_args_is_help=True)
    sinks.command("list")(list_sinks)
    sinks.command("show")(show_sink)
    sinks.command("add-http")(add_http)
    sinks.command("add-amqp")(add_amqp)
    sinks.command("pause")(pause)
    sinks.command("resume")(resume)
    sinks.command("remove")(remove)
    sinks.command("replay")(replay)
    sinks.command("dead-letters")(dead_letters)
    sinks.command("roll-secret")(roll_secret)
    app.add_typer(sinks, name="sinks")


def list_sinks(*, limit: Limit = 20, json: Json = False) -> None:
    """The newest sinks, and how far each has come."""
    with api.connected() as client:
        page = client.sinks(limit=limit)
    if json:
        show.as_json(page)
        return
    console = show.new_console()
    if not page["items"]:
        console.print("No sinks.")
        return
    table = show.new_table("Sink", "Status", "Behind", "Waiting", "Dead", "Last answer", "Where")
    for told in page["items"]:
        counts = (str(told[name]) for name in ("behind", "waiting", "dead_letters"))
        table.add_row(told["id"], _status(told), *counts, told["last_answer"] or "", _where(told))
    show.print_whole(console, table)


def show_sink(sink_id: SinkId, *, json: Json = False) -> None:
    """One sink: where it leads, how far it has come, what goes wrong."""
    with api.connected() as client:
        _show(client.sink(sink_id), json=json)


def add_http(
    url: Annotated[str, typer.Argument(help="Where the events are posted to.")],
    *,
    kinds: Kinds = None,
    description: About = None,
    since: Since = None,
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="PAYSAGA_SINK_SECRET", help="To sign with, whsec_…; a new one if none is given."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Send events to an HTTP address, from now on or since then. It prints the signing secret."""
    order = {"kind": "http", "url": url} | ({"secret": secret} if secret else {})
    _add(order, kinds, description, since, json=json)


def add_amqp(
    exchange: Annotated[str, typer.Argument(help="The exchange at AMQP_URL.")],
    *,
    routing_key: Annotated[str, typer.Option(help="With {type} and the like.")] = "{type}",
    must_be_routed: Annotated[
        bool, typer.Option("--must-be-routed", help="Fail if no queue is bound.")
    ] = False,
    kinds: Kinds = None,
    description: About = None,
    since: Since = None,
    json: Json = False,
) -> None:
    """Send events to an exchange of the message broker, from now on or since then."""
    order = {"kind": "amqp", "exchange": exchange, "routing_key": routing_key}
    _add(order | {"must_be_routed": must_be_routed}, kinds, description, since, json=json)


def pause(sink_id: SinkId, *, json: Json = False) -> None:
    """Send nothing until it is resumed. What comes meanwhile waits."""
    with api.connected() as client:
        _show(client.change_sink(sink_id, {"status": "paused"}), json=json)


def resume(sink_id: SinkId, *, json: Json = False) -> None:
    """Go on where it stands, at once."""
    with api.connected() as client:
        _show(client.change_sink(sink_id, {"status": "active"}), json=json)


def remove(
    sink_id: SinkId,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Send nothing there any more, for good."""
    with api.connected() as client:
        if not yes:
            typer.confirm(f"Remove {_where(client.sink(sink_id))} for good?", abort=True)
        _show(client.remove_sink(sink_id), json=json)


def replay(
    sink_id: SinkId,
    *,
    since: Since = None,
    after: Annotated[str | None, typer.Option(help="Behind this place.")] = None,
    dead: Annotated[
        bool, typer.Option("--dead-letters", help="Those, and what followed them, in order.")
    ] = False,
    json: Json = False,
) -> None:
    """Send events again: what follows a time or a place, or the dead letters. Ids stay the same."""
    if sum((since is not None, after is not None, dead)) != 1:
        raise WrongUsage("give one of --since, --after and --dead-letters")
    order: dict[str, Any] = {"dead_letters": True}
    if since is not None:
        order = {"since": moment(since).isoformat()}
    elif after is not None:
        order = {"after": after}
    with api.connected() as client:
        _show(client.replay_sink(sink_id, order, key=f"cli-{uuid.uuid4()}"), json=json)


def dead_letters(sink_id: SinkId, *, limit: Limit = 20, json: Json = False) -> None:
    """The newest events that it is not given any more, and why."""
    with api.connected() as client:
        page = client.dead_letters(sink_id, limit=limit)
    if json:
        show.as_json(page)
        return
    console = show.new_console()
    if not page["items"]:
        console.print("No dead letters.")
        return
    table = show.new_table("Event", "Type", "Object", "Reason", "Last answer", "At")
    for told in page["items"]:
        table.add_row(
            told["event_id"],
            told["type"],
            f"{told['object_id']}#{told['sequence']}",
            told["reason"].replace("_", " "),
            told["last_answer"],
            show.shown_moment(told["at"]),
        )
    show.print_whole(console, table)


def roll_secret(
    sink_id: SinkId,
    *,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=168, help="So long the old one signs, too.")
    ] = 24,
    json: Json = False,
) -> None:
    """Sign with a new secret, which it prints; for a while with the old one as well."""
    with api.connected() as client:
        roll = {"overlap_hours": overlap_hours}
        told = client.roll_sink_secret(sink_id, roll, key=f"cli-{uuid.uuid4()}")
    _show(told, json=json)


def _add(
    order: dict[str, Any],
    kinds: list[EventType] | None,
    description: str | None,
    since: str | None,
    *,
    json: bool,
) -> None:
    order = order | {"types": [kind.value for kind in kinds or ()]}
    if description is not None:
        order["description"] = description
    if since is not None:
        order["since"] = moment(since).isoformat()
    with api.connected() as client:
        _show(client.add_sink(order, key=f"cli-{uuid.uuid4()}"), json=json)


def _show(told: dict[str, Any], *, json: bool) -> None:
    if json:
        show.as_json(told)
        return
    console = show.new_console()
    console.print(f"[bold]{escape(told['id'])}[/]  {escape(_status(told))}", end="\n\n")
    for name, value in (
        ("Where", _where(told)),
        ("About", told["description"]),
        ("Types", ", ".join(told["types"]) or "all"),
        ("Behind", f"{told['behind']} events"),
        ("Delivered", str(told["delivered"])),
        ("Waiting", f"{told['waiting']} objects, each for its next try" * bool(told["waiting"])),
        ("Dead", f"{told['dead_letters']} dead letters" * bool(told["dead_letters"])),
        ("Last answer", told["last_answer"]),
        ("Failing", _since(told["failing_since"])),
        ("Next try", told["next_try_at"] and show.shown_moment(told["next_try_at"])),
        ("Secret", told["secret"] and f"{told['secret']}  (told only now)"),
        ("Old secret", _until(told["previous_secret_until"])),
        ("Place", told["after"]),
        ("Run", told["links"]["temporal"]),
    ):
        if value:
            console.print(f"  [dim]{name:<12}[/]{escape(value)}", soft_wrap=True)


def _until(at: str | None) -> str:
    return f"signs, too, until {show.shown_moment(at)}" if at else ""


def _since(at: str | None) -> str:
    return f"since {show.shown_moment(at)}" if at else ""


def _status(told: dict[str, Any]) -> str:
    if told["status"] == "paused":
        return f"paused: {told['reason'].replace('_', ' ')}"
    is_failing = told["status"] == "active" and told["failing_since"]
    return "failing" if is_failing else str(told["status"])


def _where(told: dict[str, Any]) -> str:
    if told["kind"] == "amqp":
        return f"{told['exchange']} / {told['routing_key']}"
    return told["url"] or "e-mail"
