"""Money that is held: taken, in all or in part."""

import uuid
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from paysaga.cli import api, show
from paysaga.cli.trouble import Refused, WrongUsage
from paysaga.domain.money import AmountRefused, Money, from_major

PaymentId = Annotated[str, typer.Argument(help="The payment, pay_…")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def capture(
    payment_id: PaymentId,
    *,
    amount: Annotated[str | None, typer.Option(help="So much of it, 12.50 say.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Take the money that is held, all of it or a part; the rest is let go."""
    with api.connected() as client:
        payment = client.payment(payment_id)
        if payment["status"] != "authorized":
            raise Refused(f"Nothing is held: the payment is {payment['status']}.")
        held = Money(minor=payment["amount_authorized"], currency=payment["currency"])
        wanted = held if amount is None else _typed(amount, payment["currency"])
        if wanted.minor > held.minor:
            raise WrongUsage(f"--amount {amount}: no more than {held} is held")
        if not yes:
            rest = "" if wanted == held else f" The other {held - wanted} are let go."
            typer.confirm(f"Capture {wanted} of {held}?{rest}", abort=True)
        told = client.capture(payment_id, {"amount": wanted.minor}, key=f"cli-{uuid.uuid4()}")
    if json:
        show.as_json(told)
    else:
        show.captured(told)


def _typed(amount: str, currency: str) -> Money:
    try:
        money = from_major(Decimal(amount), currency)
    except InvalidOperation as error:
        raise WrongUsage(f"--amount {amount}: type it as 12.50, without the currency") from error
    except AmountRefused as refused:
        raise WrongUsage(f"--amount {amount}: {refused}") from refused
    if money.minor <= 0:
        raise WrongUsage(f"--amount {amount}: it must be more than nothing")
    return money
