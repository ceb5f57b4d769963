"""`python -m tests.sabotage.all`: one run for each safeguard that is switched off, and a table of what was reported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from sandbox.chaos.run import RED
from tests.sabotage.safeguards import SAFEGUARDS

CHECKOUT = Path(__file__).resolve().parents[2]


@click.command()
@click.option("--messages", default=1000, show_default=True, help="How many each way, in each run.")
@click.option("--seed", default=1, show_default=True)
@click.option("--minutes", default=10.0, show_default=True, help="The longest time of load in each run.")
@click.option("--only", type=click.Choice(list(SAFEGUARDS)), multiple=True, help="Some of them.")
def main(messages: int, seed: int, minutes: float, only: tuple[str, ...]) -> None:
    """Exits 0 if chaos noticed each."""
    unnoticed = []
    for safeguard in only or SAFEGUARDS:
        asked = ["--messages", messages, "--seed", seed, "--minutes", minutes, "--sabotage", safeguard]
        # A fence is for whoever was away longer than its lease.
        asked += ["--freeze"] if safeguard == "fence" else []
        run = subprocess.run(
            [sys.executable, "-m", "sandbox.chaos", *map(str, asked)],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        verdicts = [line for line in run.stdout.splitlines() if line.startswith("chaos:")]
        last = verdicts[-1] if verdicts else f"broke off: {run.stderr.strip()[-300:]}"
        # A run that broke off ends with 1 too, and says nothing about the safeguard.
        is_red = run.returncode == RED and bool(verdicts)
        click.echo(f"{safeguard:20} {'red' if is_red else f'NOT NOTICED (exit {run.returncode})'}  {last}")
        if not is_red:
            unnoticed.append(safeguard)
    if unnoticed:
        raise click.ClickException(f"chaos did not notice: {', '.join(unnoticed)}")


if __name__ == "__main__":
    main()
