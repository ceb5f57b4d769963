"""One pipeline for our own lines and those of the libraries: a constant sentence with the facts beside it."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.processors import ExceptionRenderer, JSONRenderer, TimeStamper, format_exc_info
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from settings.redaction import redact
from settings.tables import LogSettings

# httpx and aiohttp write a line a request, with the chat id in its path; apscheduler one a run.
TALKATIVE = ("httpx", "httpcore", "aiohttp.access", "apscheduler")
# At DEBUG the SDK and Bolt print whole payloads, that is what people wrote.
REVEALING = ("slack_sdk", "slack_bolt", "peewee")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """One for each module, at its top; `configure` may come later."""
    return structlog.stdlib.get_logger(name)


def configure(log: LogSettings, process: str, *, stream: TextIO | None = None) -> None:
    """Write everything to `stream` (stderr), each line with the name of the process."""
    stream = stream or sys.stderr
    before = _before(process)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=_last(log, colors=stream.isatty()))
    )
    logging.basicConfig(handlers=[handler], level=log.level, force=True)
    logging.captureWarnings(capture=True)
    _quieten(log)


def _before(process: str) -> list[Processor]:
    def name_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {"process": process, **event}

    return [
        structlog.contextvars.merge_contextvars,
        name_process,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        TimeStamper(fmt="iso", utc=True),
    ]


def _last(log: LogSettings, *, colors: bool) -> list[Processor]:
    """Exceptions become text or a structure before `redact`; never with the locals of their frames."""
    drop_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if log.format == "json":
        exceptions = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
        return [drop_meta, exceptions, redact, JSONRenderer(ensure_ascii=False, default=str)]
    console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    return [drop_meta, format_exc_info, redact, console]


def _quieten(log: LogSettings) -> None:
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in REVEALING:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLevelNamesMapping()[log.level]))
