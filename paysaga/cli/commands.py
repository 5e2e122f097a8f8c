"""The commands. What each kind of trouble ends with is in `trouble`."""

import os
import re
import sys
from datetime import timedelta
from typing import Annotated, NoReturn

import typer

from paysaga.cli import (
    api,
    captures,
    events,
    finance,
    refunds,
    repairs,
    show,
    sinks,
    temporal_setup,
    webhooks,
)
from paysaga.cli.trouble import CannotAsk, CliError, Refused, WrongUsage
from paysaga.domain.ids import CUSTOMER_ID_PATTERN
from paysaga.domain.payment import PaymentStatus
from paysaga.settings import Environment, WrongSettings, load_settings
from paysaga.temporal import exit_cleanly
from paysaga.tokens import ISSUED_ELSEWHERE, NoTokensHere, Role, issue_token

LONGEST_HOURS = 24 * 365

app = typer.Typer(
    help="Look at payments, repair them, compare the books; prepare a deployment."
    " PAYSAGA_API_URL and PAYSAGA_TOKEN say where and as whom; beside a running demo neither is"
    " needed. Exit codes: 0 done, 1 refused or not found, 2 wrong usage or no connection,"
    " 3 compared and not agreed, 4 token or role not allowed, 5 no answer yet.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
payments = typer.Typer(
    help="Look at payments, repair them, capture what is held.", no_args_is_help=True
)
temporal = typer.Typer(help="Prepare Temporal.", no_args_is_help=True)
app.add_typer(payments, name="payments")
app.add_typer(temporal, name="temporal")
repairs.install(payments)
finance.install(app)
webhooks.install(app)
events.install(app)
sinks.install(app)

Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def main() -> NoReturn:
    """Run one command; what goes wrong is told in one sentence."""
    exit_cleanly()
    try:
        app()
    except CliError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.exit(0)


@payments.command("show")
def show_payment(
    payment_id: Annotated[str, typer.Argument(help="The payment, pay_…")], *, json: Json = False
) -> None:
    """A payment's status, history and attempts, and its run in the Temporal UI."""
    with api.connected() as client:
        payment = client.payment(payment_id)
        history = client.history(payment_id)
    if json:
        show.as_json({"payment": payment, "history": history})
    else:
        show.payment(payment, history)


@payments.command("list")
def list_payments(
    *,
    status: Annotated[PaymentStatus | None, typer.Option(help="Only these.")] = None,
    order: Annotated[str | None, typer.Option(help="Only this order's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """The newest payments."""
    with api.connected() as client:
        page = client.payments(status=status, order_id=order, limit=limit)
    if json:
        show.as_json(page)
    else:
        show.payments(page)


payments.command("capture")(captures.capture)
payments.command("refund-quote")(refunds.refund_quote)


@app.command("token")
def token(
    role: Annotated[Role, typer.Option(help="What its bearer may do.")],
    subject: Annotated[str, typer.Option(help="Who it is for; a customer's id for customers.")],
    hours: Annotated[int, typer.Option(min=1, max=LONGEST_HOURS, help="How long it is good.")] = 12,
) -> None:
    """Print a token, signed with JWT_SECRET. Development only: elsewhere the auth service does."""
    # Asked before all else: a person in production needs no advice on its keys.
    if os.environ.get("ENVIRONMENT") == Environment.PRODUCTION:
        raise Refused(f"No token: {ISSUED_ELSEWHERE}.")
    if role is Role.CUSTOMER and not re.fullmatch(CUSTOMER_ID_PATTERN, subject):
        raise WrongUsage(
            f"--subject {subject}: the subject of a customer's token is the customer's id, cst_..."
        )
    try:
        settings = load_settings()
        typer.echo(issue_token(settings, subject, role, timedelta(hours=hours)))
    except WrongSettings as wrong:
        raise CannotAsk(str(wrong)) from wrong
    except NoTokensHere as reason:
        raise Refused(f"No token: {reason}.") from reason


@temporal.command("setup")
def setup() -> None:
    """Register the search attributes that payments are found by; repeated, it changes nothing."""
    try:
        temporal_setup.run(load_settings())
    except WrongSettings as wrong:
        raise CannotAsk(str(wrong)) from wrong
