"""What a person reads of the demo: what came out, and where to look."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from paysaga.demo.settings import DemoSettings
from paysaga.demo.verdict import Story

_COLORS = {"succeeded": "green", "failed": "red", "canceled": "yellow", "expired": "yellow"}


def print_stories(console: Console, settings: DemoSettings, stories: Sequence[Story]) -> None:
    """One line for each purchase, and every complaint in words."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("Purchase", no_wrap=True)
    table.add_column("Price", justify="right", no_wrap=True)
    for name in ("Database", "Gateway", "Workflow"):
        table.add_column(name, no_wrap=True)
    table.add_column("Payment", style="dim", no_wrap=True)
    for story in stories:
        table.add_row(
            "[green]✓[/]" if story.is_as_expected else "[red]✗[/]",
            story.title,
            str(story.price or ""),
            _colored(story.database),
            _colored(story.gateway),
            _colored(story.workflow),
            f"[link={run_url(settings, story.payment_id)}]{story.payment_id}[/link]",
        )
    console.print(table)
    for story in stories:
        for complaint in story.complaints:
            console.print(f"[red]✗[/] {escape(story.title)}: {escape(complaint)}", soft_wrap=True)
    good = sum(story.is_as_expected for story in stories)
    console.print(
        f"{good} of {len(stories)} purchases ended as they should, and the same in the database,"
        " at the gateway and in the workflow.",
        soft_wrap=True,
    )


def print_links(console: Console, settings: DemoSettings) -> None:
    """Where to go from here."""
    console.print()
    for name, where in (
        ("The shop", settings.shop_url),
        ("API documentation", f"{settings.api_url}/docs"),
        ("Temporal UI", settings.temporal_ui_url),
        ("One payment's run", run_url(settings, "PAYMENT_ID")),
        ("Command line", ".venv/bin/payment-cli payments list"),
        ("Logs, process ids", f"{settings.state}"),
    ):
        console.print(f"  {name:<18} {where}", soft_wrap=True)
    console.print("\nServing until Ctrl-C, which stops everything.")


def run_url(settings: DemoSettings, payment_id: str) -> str:
    """The payment's run in the Temporal UI."""
    return f"{settings.temporal_ui_url}/namespaces/default/workflows/{payment_id}"


def _colored(word: str) -> str:
    color = _COLORS.get(word.split(" ", maxsplit=1)[0])
    return f"[{color}]{word}[/]" if color else word
