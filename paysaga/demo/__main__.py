"""`python -m paysaga.demo [--once | --serve-only | --reset]`: the whole service with a shop."""

import argparse
import asyncio
import contextlib
import signal
from typing import Final

from rich.console import Console
from rich.markup import escape

from paysaga.demo import preflight
from paysaga.demo.run import run
from paysaga.demo.settings import DemoSettings, load_demo_settings
from paysaga.demo.trouble import Trouble
from paysaga.temporal import exit_cleanly

DIFFERS: Final = 1
CANNOT: Final = 2
INTERRUPTED: Final = 130
PIPE_WIDTH: Final = 130


def main() -> int:
    """0 when all is as expected, 1 when a purchase is not, 2 when the demo cannot run."""
    exit_cleanly()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH  # a table cut to 80 columns says nothing
    wish = _parser().parse_args()
    try:
        settings = load_demo_settings()
        if wish.reset:
            preflight.forget(settings)
            console.print(f"Forgotten: what the demo kept in {settings.state}.", soft_wrap=True)
            return 0
        with preflight.only_one(settings):
            preflight.check(settings)
            return asyncio.run(_until_stopped(settings, console, wish))
    except Trouble as trouble:
        Console(stderr=True, highlight=False).print(
            f"[red]✗[/] {escape(str(trouble))}", soft_wrap=True
        )
        return CANNOT


async def _until_stopped(settings: DemoSettings, console: Console, wish: argparse.Namespace) -> int:
    """Run the demo until it ends or somebody wants it to."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    demo = asyncio.create_task(
        run(settings, console, once=wish.once, with_purchases=not wish.serve_only)
    )
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait({demo, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if demo.done():
        return DIFFERS if not demo.result() else 0
    console.print("\nStopping everything …")
    demo.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await demo
    return INTERRUPTED if wish.once else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m paysaga.demo",
        description="Temporal, a simulated Stripe, Paysaga and a little shop on this machine.",
    )
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--once", action="store_true", help="end after the scripted purchases")
    ways.add_argument("--serve-only", action="store_true", help="no scripted purchases")
    ways.add_argument("--reset", action="store_true", help="forget what was kept, and end")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
