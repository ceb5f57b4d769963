"""`python tests/crashing/run.py daemon|bot`: the real program, which dies where it is told to.

Without an argument CRASHING_ROOM names the room, so that `python -m tests.crashing.run` can be started like a room.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
ROOM = "CRASHING_ROOM"


def main() -> None:
    sys.path[0] = str(CHECKOUT)
    from tests.crashing import choke_points  # noqa: PLC0415 - found in the checkout, which is looked in from here on
    from tests.crashing.passages import ORDER, TRACE, Passages  # noqa: PLC0415

    room = sys.argv.pop(1) if len(sys.argv) > 1 else os.environ[ROOM]
    choke_points.wrap(Passages(Path(os.environ[TRACE]), Path(os.environ[ORDER])))
    runpy.run_module(room, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
