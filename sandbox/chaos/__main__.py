"""`python -m sandbox.chaos`: one run, its verdict in the last line, and in the exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import click

from sandbox.chaos.options import Options
from sandbox.chaos.run import run

DIRECTORY = Path(os.environ.get("SWITCHBOARD_CHAOS_DIR", "var/chaos"))


@click.command()
@click.option("--messages", "-n", default=200, show_default=True, help="How many each way.")
@click.option("--seed", default=1, show_default=True, help="The same seed, the same schedule of faults.")
@click.option("--minutes", default=30.0, show_default=True, help="The longest time of load.")
@click.option("--pace", type=click.Choice(["on", "off"]), default="off", show_default=True, help="Slack's limits.")
@click.option("--conversations", default=200, show_default=True, help="Customers who write.")
@click.option("--sabotage", default="", help="A safeguard to switch off: the run must be red.")
@click.option("--freeze", is_flag=True, help="Instead, let daemons stand still for longer than a lease.")
def main(
    messages: int, seed: int, minutes: float, pace: str, conversations: int, sabotage: str, *, freeze: bool
) -> None:
    """Shake Switchboard under load. Exits 0 when nothing went wrong, 1 when something did, 2 when it proves nothing."""
    # The simulators' server complains of each connection that a fault or a kill cut.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    name = f"{sabotage or 'run'}-{messages}-{seed}-{pace}"
    options = Options(
        directory=DIRECTORY / name,
        messages=messages,
        seed=seed,
        minutes=minutes,
        paced=pace == "on",
        sabotage=sabotage,
        conversations=conversations,
        freezes=freeze,
    )
    sys.exit(asyncio.run(_until_told(options)))


async def _until_told(options: Options) -> int:
    """SIGTERM ends a run as Ctrl-C does: no process is left behind."""
    running = asyncio.ensure_future(run(options))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await running


if __name__ == "__main__":
    main()
