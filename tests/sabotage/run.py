"""`python -m tests.sabotage.run SAFEGUARD ROOM`: a room with one safeguard switched off."""

from __future__ import annotations

import runpy
import sys

from tests.sabotage.safeguards import switch_off

if __name__ == "__main__":
    safeguard, room = sys.argv[1:]
    switch_off(safeguard, room)
    sys.argv = [room]
    runpy.run_module(room, run_name="__main__")
