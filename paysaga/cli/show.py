"""Answers of the API as a person reads them, or as a program does."""

import json
from datetime import datetime
from typing import Any

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
    console = _console()
    console.print(f"[bold]{escape(told['id'])}[/]  ", _status(told), end="\n\n")
    for name, value in _facts(told):
        console.print(f"  [dim]{name:<11}[/]{escape(value)}", soft_wrap=True)
    console.print()
    console.print(_history(history["entries"]))
    if history["attempts"]:
        console.print(_attempts(history["attempts"]))
    if run := told["links"]["run"]:
        console.print(f"  [dim]Run        [/]{escape(run)}", soft_wrap=True)


def payments(page: dict[str, Any]) -> None:
    """One line for each payment; two where a line is too short for all that it must say."""
    console = _console()
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
        f"{_amount(told[f'amount_{name}'], told['currency'])} {name.replace('_', ' ')}"
        for name in ("captured", "refunded", "refund_pending")
        if told[f"amount_{name}"]
    ]
    return [
        (name, value)
        for name, value in (
            ("Amount", _amount(told["amount"], told["currency"])),
            ("Money", ", ".join(moved)),
            ("Reason", told["reason"].replace("_", " ")),
            ("Order", _order(told)),
            ("Customer", told["customer_id"]),
            ("Method", card),
            ("Attempts", f"{told['attempts_used']} used, {told['attempts_left']} left"),
            ("Until", _moment(told["retry_until"]) if told["retry_until"] else ""),
            ("Decline", told["decline_code"] or ""),
            ("Gateway", told["gateway_payment_intent_id"] or ""),
        )
        if value
    ]


def _payments(items: list[dict[str, Any]]) -> Table:
    table = _table("Payment", "Status", "Amount", "Order", "Customer", "Since")
    for told in items:
        table.add_row(
            told["id"],
            _status(told),
            _amount(told["amount"], told["currency"]),
            told["order_id"],
            told["customer_id"],
            _moment(told["created_at"]),
        )
    return table


def _print_stacked(console: Console, items: list[dict[str, Any]]) -> None:
    for told in items:
        amount = _amount(told["amount"], told["currency"])
        console.print(escape(told["id"]), _status(told), amount, sep="  ", soft_wrap=True)
        rest = (told["order_id"], told["customer_id"], _moment(told["created_at"]))
        console.print(f"  [dim]{escape('  '.join(rest))}[/]", soft_wrap=True)


def _order(told: dict[str, Any]) -> str:
    if told["fulfillment"] is None:
        return f"{told['order_id']} (no order service)"
    if told["fulfillment"] == Fulfillment.PENDING and told["status"] in WITHOUT_MONEY:
        return str(told["order_id"])  # it was never paid: nobody will ever fulfill it
    return f"{told['order_id']} ({told['fulfillment']})"


def _history(entries: list[dict[str, Any]]) -> Table:
    table = _table("#", "Status", "Reason", "By", "At")
    for entry in entries:
        table.add_row(
            str(entry["number"]),
            _status(entry),
            entry["reason"].replace("_", " "),
            entry["actor"],
            _moment(entry["at"]),
        )
    return table


def _attempts(attempts: list[dict[str, Any]]) -> Table:
    table = _table("Attempt", "Outcome", "Decline", "Began", "Ended")
    for attempt in attempts:
        table.add_row(
            str(attempt["number"]),
            _status(attempt),
            attempt["decline_code"] or "",
            _moment(attempt["started_at"]),
            _moment(attempt["ended_at"]) if attempt["ended_at"] else "",
        )
    return table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _status(told: dict[str, Any]) -> Text:
    status = str(told["status"])
    return Text(status.replace("_", " "), style=_COLORS.get(status, "cyan"))


def _amount(minor: int, currency: str) -> str:
    return f"{Money(minor=minor, currency=currency).major} {currency}"


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH  # cut to 80 columns, an id is of no use
    return console
