"""Synchronous operations for asynchronous programs: in threads, with a connection, again when the connection broke."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import structlog
from peewee import OperationalError

from database.connections import first_line
from database.errors import ConnectionLost, DatabaseUnavailable
from database.transactions import connection

TRIES = 4
FIRST_PAUSE_SECONDS = 0.05
# Serialization failure and deadlock: PostgreSQL rolled one transaction back so that another could go on.
GIVES_WAY = frozenset({"40001", "40P01"})
# Program limit exceeded, as by a value that is longer than an index takes.
TOO_LARGE = "54"

log = structlog.stdlib.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_threads: ThreadPoolExecutor | None = None


def start_threads(count: int) -> None:
    """As many as there are connections: an operation waits for a thread, never a thread for a connection."""
    global _threads  # noqa: PLW0603 -- one a process, like the pool
    _threads = ThreadPoolExecutor(max_workers=count, thread_name_prefix="database")


def stop_threads() -> None:
    """Wait for the operations that run; those that did not begin are cancelled."""
    global _threads
    threads, _threads = _threads, None
    if threads is not None:
        threads.shutdown(wait=True, cancel_futures=True)


def waiting() -> int:
    """How many operations wait for a thread, and with it for a connection."""
    return _threads._work_queue.qsize() if _threads is not None else 0  # noqa: SLF001 - it tells it nowhere else


async def in_database(operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run an operation in a thread that has a connection, and give back what it returns.

    When the connection broke, or PostgreSQL made it give way, it is run again, four times at most in all. What was
    committed by then is not known, so it takes its ids and keys from outside, where a repetition finds the same ones.
    Cancelling stops the waiting, not the operation.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached or answered no more.
    """
    if _threads is None:
        raise DatabaseUnavailable("The database is not open: call open_database first")
    context = contextvars.copy_context()
    call = functools.partial(context.run, _run, functools.partial(operation, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_threads, call)


def _run(operation: functools.partial[T]) -> T:
    for attempt in range(1, TRIES):
        try:
            return _run_once(operation)
        except (ConnectionLost, OperationalError) as error:
            if not _may_be_repeated(error):
                raise _unavailable(error) from error
            log.warning("operation is run again", operation=_name(operation), attempt=attempt, reason=_reason(error))
            time.sleep(FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 -- no secret
    try:
        return _run_once(operation)
    except (ConnectionLost, OperationalError) as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Exception:
    """A statement that took too long, a disk that is full, a server that shuts down: nothing the operation could mend.

    A row that is too large for an index is its own fault, though PostgreSQL puts it in the same class.
    """
    if isinstance(error, DatabaseUnavailable) or _code(error).startswith(TOO_LARGE):
        return error
    return DatabaseUnavailable(f"PostgreSQL did not carry it out: {first_line(error)}")


def _run_once(operation: functools.partial[T]) -> T:
    with connection():
        return operation()


def _may_be_repeated(error: Exception) -> bool:
    return isinstance(error, ConnectionLost) or _code(error) in GIVES_WAY


def _code(error: Exception) -> str:
    """SQLSTATE; "" for what PostgreSQL did not say itself."""
    return getattr(getattr(error, "orig", None), "pgcode", None) or ""


def _name(operation: functools.partial[T]) -> str:
    return getattr(operation.func, "__qualname__", repr(operation.func))


def _reason(error: Exception) -> str:
    return first_line(error.__cause__ or error)
