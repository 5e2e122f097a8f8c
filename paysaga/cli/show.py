"""Answers of the API as a person reads them, or as a program does."""

import json
from datetime import datetime
from typing import Any, Final

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from paysaga.domain.money import Money
from paysaga.domain.payment import WITHOUT_MONEY, Fulfillment

_COLORS = {"succeeded": "green", "failed": "red", "canceled": "yellow", "expired": "yellow"}
_PIPE_WIDTH = 140
_UNBOUNDED = 1000


def as_json(told: object) -> None:
    """As the API said it."""
    typer.echo(json.dumps(told, indent=2, ensure_ascii=False))


def payment(told: dict[str, Any], history: dict[str, Any]) -> None:
    """One payment with all that happened to it."""
    console = new_console()
    console.print(f"[bold]{escape(told['id'])}[/]  ", _status(told), end="\n\n")
    for name, value in _facts(told):
        console.print(f"  [dim]{name:<11}[/]{escape(value)}", soft_wrap=True)
    console.print()
    console.print(_history(history["entries"]))
    if history["attempts"]:
        console.print(_attempts(history["attempts"]))
    if run := told["links"]["run"]:
        console.print(f"  [dim]Run        [/]{escape(run)}", soft_wrap=True)


def why(told: dict[str, Any]) -> None:
    """Why a payment stands where it stands, and what may be done about it."""
    console = new_console()
    paid = told["payment"]
    console.print(f"[bold]{escape(paid['id'])}[/]  ", _status(paid), end="\n\n")
    for name, value in (
        *_facts(paid),
        ("Next", told["next"].replace("**", "").replace("`", "")),
        ("Evidence", told["evidence"] or ""),
        ("May be done", ", ".join(told["allowed_repairs"])),
        ("Proposed", _proposed(paid["id"], told["proposal"])),
        ("Repair run", told["repair_run"] if told["allowed_repairs"] else ""),
    ):
        if value:
            console.print(f"  [dim]{name:<12}[/]{escape(value)}", soft_wrap=True)
    console.print()
    console.print(_history(told["history"]))
    for entry in told["history"]:
        if entry["note"]:
            console.print(f"  [dim]{entry['number']:>3}[/] {escape(entry['note'])}", soft_wrap=True)


def _proposed(payment_id: str, proposal: dict[str, Any] | None) -> str:
    if proposal is None:
        return ""
    agree = f"payment-cli payments approve {payment_id} {proposal['number']} --why ..."
    return f"{proposal['note']}, by {proposal['by']}. To agree: {agree}"


_OUTCOMES: Final = {
    "done": "Done.",
    "proposed": (
        "Proposed: it is carried out when a second person agrees.\n"
        "They see it, and the command to agree with, in: payment-cli payments why {id}"
    ),
    "under_way": (
        "Under way: the gateway has not answered yet. payment-cli payments why tells the rest."
    ),
}


def repair(told: dict[str, Any]) -> None:
    """What became of a repair."""
    console = new_console()
    paid = told["payment"]
    console.print(_OUTCOMES[told["outcome"]].format(id=paid["id"]))
    console.print(f"[bold]{escape(paid['id'])}[/]  ", _status(paid), f" {_reason(paid)}")


def webhook(told: dict[str, Any]) -> None:
    """One event of the gateway, and what came of it."""
    console = new_console()
    came = f"{shown_moment(told['received_at'])}, by {told['source']}"
    done = (
        f"{told['result']}, {shown_moment(told['processed_at'])}"
        if told["processed"]
        else "not yet"
    )
    console.print(f"[bold]{escape(told['id'])}[/]  {escape(told['type'])}", end="\n\n")
    for name, value in (
        ("Came", came),
        ("Processed", done),
        ("Flagged", "it says something that is not ours: no effect" if told["flagged"] else ""),
        ("Last error", told["error"]),
        ("Payment", told["payment_id"]),
        ("About", told["gateway_object_id"]),
        ("Run", told["run"]),
        ("SHA-256", told["payload_sha256"]),
    ):
        if value:
            console.print(f"  [dim]{name:<11}[/]{escape(value)}", soft_wrap=True)


def webhooks(page: dict[str, Any]) -> None:
    """One line for each event."""
    console = new_console()
    if not page["items"]:
        console.print("No events.")
        return
    table = new_table("Event", "Type", "Result", "Payment", "Came")
    for told in page["items"]:
        result = told["result"] or "owed"
        table.add_row(
            told["id"],
            told["type"],
            Text(result.replace("_", " "), style="red" if told["flagged"] else ""),
            told["payment_id"] or "",
            shown_moment(told["received_at"]),
        )
    print_whole(console, table)
    if page["next_after"]:
        console.print("[dim]There are more: narrow the list, or raise --limit.[/]")


def print_whole(console: Console, table: Table) -> None:
    """Cut nothing: a line that is too long for the terminal goes on in its next one."""
    options = console.options.update(width=_UNBOUNDED)
    console.width = max(console.width, console.measure(table, options=options).maximum)
    console.print(table)


def captured(told: dict[str, Any]) -> None:
    """What has become of a capture."""
    console = new_console()
    amount = shown_amount(told["amount_captured"], told["currency"])
    done = f"captured {amount}" if told["amount_captured"] else "under way: look again in a moment"
    console.print(escape(told["id"]), _status(told), done, sep="  ", soft_wrap=True)


def payments(page: dict[str, Any]) -> None:
    """One line for each payment; two where a line is too short for all that it must say."""
    console = new_console()
    if not page["items"]:
        console.print("No payments.")
        return
    table = _payments(page["items"])
    needed = console.measure(table, options=console.options.update(width=_UNBOUNDED)).maximum
    if not console.is_terminal:
        console.width = max(console.width, needed)
    if needed <= console.width:
        console.print(table)
    else:
        _print_stacked(console, page["items"])
    if page["next_after"]:
        console.print("[dim]There are more: narrow the list, or raise --limit.[/]")


def _facts(told: dict[str, Any]) -> list[tuple[str, str]]:
    method = told["payment_method"] or {}
    card = f"{method.get('brand') or method.get('kind') or ''} {method.get('last4') or ''}".strip()
    moved = [
        f"{shown_amount(told[f'amount_{name}'], told['currency'])} {name.replace('_', ' ')}"
        for name in ("captured", "refunded", "refund_pending")
        if told[f"amount_{name}"]
    ]
    attempts, until = f"{told['attempts_used']} used", None
    if told["status"] != "needs_operator":  # then nothing goes on by itself
        attempts = f"{attempts}, {told['attempts_left']} left"
        until = told["action_until"] or told["retry_until"]
    if told["status"] == "authorized":
        moved.append(f"{shown_amount(told['amount_authorized'], told['currency'])} held")
        until = told["capture_until"]
    elif told["amount_captured"] and told["amount_authorized"] > told["amount_captured"]:
        let_go = told["amount_authorized"] - told["amount_captured"]
        moved.append(f"{shown_amount(let_go, told['currency'])} let go")
    return [
        (name, value)
        for name, value in (
            ("Amount", shown_amount(told["amount"], told["currency"])),
            ("Money", ", ".join(moved)),
            ("Reason", _reason(told)),
            ("Order", _order(told)),
            ("Customer", told["customer_id"]),
            ("Method", card),
            ("Paid", shown_moment(told["paid_at"]) if told["paid_at"] else ""),
            ("For", told["service_date"] or ""),
            ("Attempts", attempts),
            ("Until", shown_moment(until) if until else ""),
            ("Renewed", _renewed(told)),
            ("Decline", told["decline_code"] or ""),
            ("Gateway", told["gateway_payment_intent_id"] or ""),
        )
        if value
    ]


def _renewed(told: dict[str, Any]) -> str:
    until = told["renew_hold_until"]
    return f"until {shown_moment(until)}" if until and told["status"] == "authorized" else ""


def _payments(items: list[dict[str, Any]]) -> Table:
    table = new_table("Payment", "Status", "Amount", "Order", "Customer", "Since")
    for told in items:
        table.add_row(
            told["id"],
            _status(told),
            shown_amount(told["amount"], told["currency"]),
            told["order_id"],
            told["customer_id"],
            shown_moment(told["created_at"]),
        )
    return table


def _print_stacked(console: Console, items: list[dict[str, Any]]) -> None:
    for told in items:
        amount = shown_amount(told["amount"], told["currency"])
        console.print(escape(told["id"]), _status(told), amount, sep="  ", soft_wrap=True)
        rest = (told["order_id"], told["customer_id"], shown_moment(told["created_at"]))
        console.print(f"  [dim]{escape('  '.join(rest))}[/]", soft_wrap=True)


def _order(told: dict[str, Any]) -> str:
    if told["fulfillment"] is None:
        return f"{told['order_id']} (no order service)"
    if told["fulfillment"] == Fulfillment.PENDING and told["status"] in WITHOUT_MONEY:
        return str(told["order_id"])  # it was never paid: nobody will ever fulfill it
    return f"{told['order_id']} ({told['fulfillment']})"


def _history(entries: list[dict[str, Any]]) -> Table:
    table = new_table("#", "Status", "Reason", "By", "At")
    for entry in entries:
        table.add_row(
            str(entry["number"]),
            _status(entry),
            _reason(entry),
            entry["actor"],
            shown_moment(entry["at"]),
        )
    return table


def _attempts(attempts: list[dict[str, Any]]) -> Table:
    table = new_table("Attempt", "Outcome", "Decline", "Began", "Ended")
    for attempt in attempts:
        table.add_row(
            str(attempt["number"]),
            _status(attempt),
            attempt["decline_code"] or "",
            shown_moment(attempt["started_at"]),
            shown_moment(attempt["ended_at"]) if attempt["ended_at"] else "",
        )
    return table


def new_table(*columns: str) -> Table:
    """A table that never cuts an id."""
    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _status(told: dict[str, Any]) -> Text:
    status = str(told["status"])
    return Text(status.replace("_", " "), style=_COLORS.get(status, "cyan"))


def _reason(told: dict[str, Any]) -> str:
    return str(told["reason"]).replace("_", " ")


def shown_amount(minor: int, currency: str) -> str:
    """As people write it."""
    return f"{Money(minor=minor, currency=currency).major} {currency}"


def shown_moment(text: str) -> str:
    """To the second, in the zone that the API told it in: UTC."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"


def new_console() -> Console:
    """Where pages are printed; a pipe has room for whole ids."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH  # cut to 80 columns, an id is of no use
    return console
