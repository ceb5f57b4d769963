"""Pictures of figures, drawn by a program of their own, one at a time.

Drawing takes seconds, and many reports may be due in one minute: no lease, no connection and no place of the relay is
held meanwhile. A post whose picture is not there yet is put off, and comes again.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

_ROOT = Path(__file__).parents[1]
_PROGRAM = (sys.executable, "-m", "daemon.plotting")
_LONGEST_SECONDS = 30.0
# What each that is ahead takes, roughly.
_PAUSE = timedelta(seconds=3)
# Pictures that another daemon posted meanwhile are never fetched.
_MOST_KEPT = 40


class NotDrawn(Exception):
    """The program failed, or took too long; the sentence says how."""


class Drawings:
    """What is being drawn and what is drawn, by the post that it is for."""

    def __init__(self, program: tuple[str, ...] = _PROGRAM, longest_seconds: float = _LONGEST_SECONDS) -> None:
        self._program = program
        self._longest_seconds = longest_seconds
        self._turn = asyncio.Lock()
        self._tasks: dict[UUID, asyncio.Task[bytes]] = {}
        self._directory = ""

    def wait_for(self, post_id: UUID, figures: dict[str, Any]) -> timedelta | None:
        """How long to put the post off, having begun to draw; None when the picture is there, or never will be."""
        if post_id not in self._tasks:
            self._forget_some()
            self._tasks[post_id] = asyncio.create_task(self._drawn(figures), name=f"drawing {post_id}")
        if self._tasks[post_id].done():
            return None
        return _PAUSE * sum(not task.done() for task in self._tasks.values())

    def failure_of(self, post_id: UUID) -> str:
        """Why there is no picture, and never will be; "" where it is there or still to come."""
        task = self._tasks.get(post_id)
        error = task.exception() if task is not None and task.done() else None
        if error is not None:
            del self._tasks[post_id]
        return f"{error or ''}"

    def take(self, post_id: UUID) -> bytes:
        """The picture, once.

        Raises:
            NotDrawn: there is none.
        """
        task = self._tasks.pop(post_id, None)
        if task is None or not task.done():
            raise NotDrawn("It was not drawn by this daemon.")
        return task.result()

    def _forget_some(self) -> None:
        done = [post_id for post_id, task in self._tasks.items() if task.done()]
        for post_id in done[: max(0, len(done) - _MOST_KEPT)]:
            self.failure_of(post_id)  # which nobody asked for
            self._tasks.pop(post_id, None)

    async def _drawn(self, figures: dict[str, Any]) -> bytes:
        async with self._turn:
            child = await asyncio.create_subprocess_exec(
                *self._program,
                cwd=_ROOT,
                env=self._environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                async with asyncio.timeout(self._longest_seconds):
                    picture, complaints = await child.communicate(json.dumps(figures).encode())
            except TimeoutError as error:
                raise NotDrawn(f"It took longer than {self._longest_seconds:.0f} s.") from error
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        if child.returncode or not picture:
            said = complaints.decode(errors="replace").strip().splitlines()
            raise NotDrawn(f"The program ended with {child.returncode}: {said[-1] if said else 'no word'}")
        return picture

    def _environment(self) -> dict[str, str]:
        """All that it gets: our secrets are none of its business. Its cache of fonts saves it seconds a picture."""
        if not self._directory:
            self._directory = tempfile.mkdtemp(prefix="switchboard-drawings-")
            atexit.register(shutil.rmtree, self._directory, ignore_errors=True)
        return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "MPLCONFIGDIR": self._directory, "HOME": self._directory}
