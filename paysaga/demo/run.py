"""One run of the demo: start everything, play the purchases, show what came out, keep serving."""

import asyncio
import os
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from rich.console import Console

from paysaga.demo import preflight, programs, report
from paysaga.demo.programs import Program
from paysaga.demo.purchases import play
from paysaga.demo.settings import DemoSettings
from paysaga.demo.supervisor import Supervisor
from paysaga.demo.world import World, open_world
from paysaga.tokens import Role, issue_token

T = TypeVar("T")


async def run(
    settings: DemoSettings, console: Console, *, once: bool, with_purchases: bool
) -> bool:
    """Whether every purchase ended as expected. Without `once` it ends only when canceled.

    Raises:
        Trouble: A process does not start, or does not stay.
    """
    # For one quick run the gateway need not be as slow as a person would find natural.
    delays = {"PAYMENT_PROCESSING_DELAY_MIN": "50", "PAYMENT_PROCESSING_DELAY_MAX": "150"}
    for name, milliseconds in delays.items() if once else ():
        os.environ.setdefault(name, milliseconds)

    def say(line: str) -> None:
        console.print(f"[yellow]![/] {line}", soft_wrap=True)

    hasty_port = preflight.free_port()
    hasty = programs.hasty_api(settings, hasty_port) if with_purchases else None
    async with Supervisor(settings.state, say) as supervisor:
        console.print("Starting Temporal, the simulated Stripe, the shop, the worker and the API …")
        await _start(settings, supervisor, hasty)
        _store_token(settings)
        good = True
        if hasty is not None:
            async with open_world(settings, hasty_port) as world:
                good = await _unless_broken(supervisor, _play(world, console))
        if not once:
            await _serve(settings, supervisor, console, hasty)
    return good


async def _start(settings: DemoSettings, supervisor: Supervisor, hasty: Program | None) -> None:
    await supervisor.start(
        programs.temporal(settings),
        programs.simulator(settings),
        programs.shop(settings),
        first=programs.migrations(settings),
    )
    also = [hasty] if hasty else []
    await supervisor.start(programs.worker(settings), programs.api(settings), *also)


async def _serve(
    settings: DemoSettings, supervisor: Supervisor, console: Console, hasty: Program | None
) -> None:
    if hasty is not None:
        await supervisor.retire(hasty)
    report.print_links(console, settings)
    await supervisor.until_broken()


async def _play(world: World, console: Console) -> bool:
    with console.status("Playing the purchases …"):
        stories = await play(world)
    report.print_stories(console, world.settings, stories)
    return all(story.is_as_expected for story in stories)


async def _unless_broken(supervisor: Supervisor, work: Awaitable[T]) -> T:
    """The work's result, unless a process is lost for good meanwhile."""
    playing = asyncio.ensure_future(work)
    broken = asyncio.create_task(supervisor.until_broken())
    try:
        await asyncio.wait({playing, broken}, return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            broken.result()
        return await playing
    finally:
        playing.cancel()
        broken.cancel()


def _store_token(settings: DemoSettings) -> None:
    """Leave a token for `payment-cli`, readable by its owner only."""
    token = issue_token(
        programs.paysaga_settings(settings), "payment-cli", Role.ADMIN, timedelta(days=30)
    )
    settings.cli_token.unlink(missing_ok=True)
    fresh = os.open(settings.cli_token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fresh, "w") as file:
        file.write(token + "\n")
    settings.cli_url.write_text(settings.api_url + "\n")
