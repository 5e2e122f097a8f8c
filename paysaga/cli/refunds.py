"""Money that goes back."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from paysaga.cli import api, show

PaymentId = Annotated[str, typer.Argument(help="The payment, pay_…")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def refund_quote(payment_id: PaymentId, *, json: Json = False) -> None:
    """What goes back if a refund is asked for now, and why."""
    with api.connected() as client:
        told = client.refund_quote(payment_id)
    if json:
        show.as_json(told)
    else:
        _print(told)


def _print(told: dict[str, Any]) -> None:
    console = show.new_console()
    amount = show.shown_amount(told["amount"], told["currency"])
    console.print(f"[bold]{escape(amount)}[/]  {escape(told['why'])}", soft_wrap=True)
    left = show.shown_amount(told["amount_left"], told["currency"])
    for name, value in (
        ("Until", show.shown_moment(told["until"]) if told["until"] else ""),
        ("Terms", told["policy"]),
        ("Left", f"{left} could go back at most" if told["amount_left"] else ""),
    ):
        if value:
            console.print(f"  [dim]{name:<7}[/]{escape(value)}", soft_wrap=True)
