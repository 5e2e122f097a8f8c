"""Payments that need an operator: why they stand where they stand, and what is decided."""

import uuid
from typing import Annotated

import typer

from paysaga.cli import api, show
from paysaga.domain.repairs import RepairKind

PaymentId = Annotated[str, typer.Argument(help="The payment, pay_…")]
Why = Annotated[str, typer.Option(help="Why; it stands in the payment's history.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def install(payments: typer.Typer) -> None:
    """Add the commands."""
    payments.command("why")(why)
    payments.command("repair")(repair)
    payments.command("approve")(approve)


def why(payment_id: PaymentId, *, json: Json = False) -> None:
    """Why a payment stands where it stands, what happens next, and what may be done."""
    with api.connected() as client:
        told = client.why(payment_id)
    if json:
        show.as_json(told)
    else:
        show.why(told)


def repair(
    payment_id: PaymentId,
    kind: Annotated[RepairKind, typer.Argument(help="What to do; `why` lists what may be done.")],
    *,
    why: Why,
    evidence: Annotated[str | None, typer.Option(help="What shows it; needed to mark.")] = None,
    intent: Annotated[str | None, typer.Option(help="The intent to attach, pi_…")] = None,
    json: Json = False,
) -> None:
    """Decide what becomes of a parked payment. A large one waits for a second person."""
    order = {
        "kind": kind.value,
        "why": why,
        "evidence": evidence,
        "gateway_payment_intent_id": intent,
    }
    given = {name: value for name, value in order.items() if value is not None}
    with api.connected() as client:
        told = client.repair(payment_id, given, key=f"cli-{uuid.uuid4()}")
    _show(told, json=json)


def approve(
    payment_id: PaymentId,
    proposal: Annotated[int, typer.Argument(help="The proposal's number, as `why` tells it.")],
    *,
    why: Why,
    json: Json = False,
) -> None:
    """Agree with the repair that somebody else has proposed: it is done at once."""
    order = {"proposal": proposal, "why": why}
    with api.connected() as client:
        told = client.approve(payment_id, order, key=f"cli-{uuid.uuid4()}")
    _show(told, json=json)


def _show(told: api.Answer, *, json: bool) -> None:
    if json:
        show.as_json(told)
    else:
        show.repair(told)
