"""Reconciliations and balances as a person reads them."""

from typing import Any, Final

from rich.markup import escape

from paysaga.cli.show import new_console, new_table, shown_amount, shown_moment

_SIDES: Final = (
    ("in_database", "database"),
    ("in_history", "history"),
    ("in_ledger", "ledger"),
    ("at_gateway", "gateway"),
    ("in_workflow", "workflow"),
)
_REMEDIES: Final = {
    "none": "nothing: a person must look",
    "nudged": "its run was made to look",
    "repair_opened": "its repair was opened (payment-cli payments why)",
}


def reconciliation(told: dict[str, Any]) -> None:
    """What was compared, and what does not agree."""
    page = new_console()
    period = f"{shown_moment(told['since'])} to {shown_moment(told['until'])} UTC"
    page.print(f"[bold]{escape(told['id'])}[/]  {period}", end="\n\n")
    for name, value in (
        ("Compared", f"{told['compared']} payments, {told['without_run']} of them without a run"),
        ("Agree", str(told["agreed"])),
        ("Parked", f"{told['parked']} wait for a person: only their own books were compared"),
        ("Not compared", str(told["not_compared"])),
        ("Movements", f"{told['movements']} at the gateway"),
        ("Fees booked", str(told["fees_booked"])),
    ):
        page.print(f"  [dim]{name:<13}[/]{value}")
    page.print()
    if not told["drifts"] and told["status"] == "running":
        page.print("It is not done yet; so far nothing disagrees.")
        return
    if told["parked"]:
        parked = "payment-cli payments list --status needs_operator"
        page.print(f"[yellow]A person must decide about {told['parked']} of them: {parked}[/]")
    if not told["drifts"]:
        others = " of the others" if told["parked"] else ""
        page.print(f"[green]Database, gateway and workflow results{others} agree.[/]")
        return
    drifts = new_table("Subject", "What", "Wrong", "Done about it")
    for drift in told["drifts"]:
        what = drift["kind"].replace("_", " ")
        drifts.add_row(drift["subject"], what, drift["wrong"], _REMEDIES[drift["remedy"]])
    page.print(drifts)
    for drift in told["drifts"]:
        said = ", ".join(f"{name} {drift[side]}" for side, name in _SIDES if drift[side])
        page.print(f"  [dim]{escape(drift['subject'])}[/] {escape(said)}", soft_wrap=True)


def balances(told: dict[str, Any]) -> None:
    """One line for each account of each currency."""
    page = new_console()
    if not told["items"]:
        page.print("Nothing was booked.")
        return
    accounts = new_table("Account", "Balance")
    for item in told["items"]:
        name = item["account"].replace("_", " ")
        accounts.add_row(name, shown_amount(item["amount"], item["currency"]))
    page.print(accounts)
