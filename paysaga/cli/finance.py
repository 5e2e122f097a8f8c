"""The books, and the one command that shows that database, gateway and workflows agree."""

import time
import uuid
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from paysaga.cli import api, ledger_pages, show
from paysaga.cli.trouble import CannotAsk, CliError, Disagree, NoAnswerYet

Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
Moment = Annotated[datetime, typer.Option(help="A day or a moment, in UTC.")]

_PAUSE_SECONDS: Final = 1.0

ledger: Final = typer.Typer(help="Look at the books.", no_args_is_help=True)


def install(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("reconcile")(reconcile)
    app.command("reconciliation")(reconciliation)
    ledger.command("balances")(balances)
    app.add_typer(ledger, name="ledger")


def reconcile(
    *,
    since: Moment,
    until: Annotated[datetime | None, typer.Option(help="Now, unless it is given.")] = None,
    patience: Annotated[
        int, typer.Option(min=1, help="Wait at most so many seconds; the comparison goes on.")
    ] = 3600,
    json: Json = False,
) -> None:
    """Compare database, gateway and workflow results; exit code 3 if they do not all agree."""
    period = {"since": _utc(since)} | ({"until": _utc(until)} if until else {})
    give_up = time.monotonic() + patience
    with api.connected() as client:
        told = client.reconcile(period, key=f"cli-{uuid.uuid4()}")
        if told["status"] == "running":
            typer.echo(f"{told['id']} is under way.", err=True)
            told = _finished(client, told["id"], give_up)
    _show(told, json=json)


def reconciliation(
    reconciliation_id: Annotated[str, typer.Argument(help="The comparison, rcn_…")],
    *,
    json: Json = False,
) -> None:
    """What a comparison has found so far; exit code 3 if not all agrees, 5 if it is not done."""
    with api.connected() as client:
        told = client.reconciliation(reconciliation_id)
    _show(told, json=json)


def balances(
    *,
    as_of: Annotated[
        datetime | None,
        typer.Option(help="The books as of this moment; a date is its beginning, in UTC."),
    ] = None,
    payment: Annotated[str | None, typer.Option(help="Only this payment's, pay_…")] = None,
    json: Json = False,
) -> None:
    """What every account holds, added up from its transfers."""
    with api.connected() as client:
        told = client.balances(as_of=_utc(as_of) if as_of else None, payment_id=payment)
    if json:
        show.as_json(told)
    else:
        ledger_pages.balances(told)


def _finished(client: api.PaymentsApi, reconciliation_id: str, give_up: float) -> api.Answer:
    """The comparison once it is done. It goes on without us: an answer that is lost is no end."""
    missed: CliError | None = None
    look = f"look with payment-cli reconciliation {reconciliation_id}"
    while time.monotonic() <= give_up:
        time.sleep(_PAUSE_SECONDS)
        try:
            told = client.reconciliation(reconciliation_id)
        except (CannotAsk, NoAnswerYet) as error:
            missed = error
            continue
        except CliError as error:
            raise type(error)(f"{error} {reconciliation_id} goes on: {look}.") from error
        missed = None
        if told["status"] != "running":
            return told
    why = f" {missed}" if missed else ""
    raise NoAnswerYet(f"{reconciliation_id} is not known to be done yet: {look}.{why}")


def _show(told: api.Answer, *, json: bool) -> None:
    if json:
        show.as_json(told)
    else:
        ledger_pages.reconciliation(told)
    if told["drifts"]:
        raise Disagree("Database, gateway and workflows do not all agree.")
    if told["status"] == "running":
        raise NoAnswerYet(f"{told['id']} is not done yet.")


def _utc(moment: datetime) -> str:
    return moment.replace(tzinfo=moment.tzinfo or UTC).isoformat()
