"""What a person reads of the demo: what came out, and where to look."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from paysaga.demo.settings import DemoSettings
from paysaga.demo.verdict import Story

_COLORS = {"succeeded": "green", "failed": "red", "canceled": "yellow", "expired": "yellow"}
_UNBOUNDED = 1000


def print_stories(console: Console, settings: DemoSettings, stories: Sequence[Story]) -> None:
    """Each purchase with its three states, and every complaint in words."""
    table = _table(settings, stories)
    if console.measure(table, options=console.options.update(width=_UNBOUNDED)).maximum <= (
        console.width
    ):
        console.print(table)
    else:
        _print_stacked(console, settings, stories)
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
        ("Mails it keeps", f"{settings.shop_url}/back-office/mails"),
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


def _table(settings: DemoSettings, stories: Sequence[Story]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("Purchase", no_wrap=True)
    table.add_column("Price", justify="right", no_wrap=True)
    for name in ("Database", "Gateway", "Workflow"):
        table.add_column(name, no_wrap=True)
    table.add_column("Payment", style="dim", no_wrap=True)
    for story in stories:
        table.add_row(
            _mark(story),
            story.title,
            str(story.price or ""),
            _colored(story.database),
            _colored(story.gateway),
            _colored(story.workflow),
            _linked(settings, story),
        )
    return table


def _print_stacked(console: Console, settings: DemoSettings, stories: Sequence[Story]) -> None:
    """Two lines for each purchase, for a terminal in which the table would lose columns."""
    console.print()
    titles = max(len(story.title) for story in stories)
    prices = max(len(str(story.price or "")) for story in stories)
    for story in stories:
        console.print(
            f"{_mark(story)} {story.title:<{titles}}  {story.price or ''!s:>{prices}}"
            f"  [dim]{_linked(settings, story)}[/]",
            soft_wrap=True,
        )
        console.print(
            f"  database {_colored(story.database)}, gateway {_colored(story.gateway)},"
            f" workflow {_colored(story.workflow)}",
            soft_wrap=True,
        )
    console.print()


def _mark(story: Story) -> str:
    return "[green]✓[/]" if story.is_as_expected else "[red]✗[/]"


def _linked(settings: DemoSettings, story: Story) -> str:
    return f"[link={run_url(settings, story.payment_id)}]{story.payment_id}[/link]"


def _colored(word: str) -> str:
    color = _COLORS.get(word.split(" ", maxsplit=1)[0])
    return f"[{color}]{word}[/]" if color else word
