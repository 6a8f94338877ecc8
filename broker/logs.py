"""The structured log: one JSON object a line, made only of what the allow-list lets through.

Doors, which may not import the broker, log by the same rule with the standard library alone:
``logger.info("door.opened", extra={"fields": {"host": "192.0.2.7", "port": 2575}})``.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING, Any, TextIO

from broker.config.settings import LoggingSettings
from broker.log_events import EVENTS
from broker.redact import redact_error, redact_event

if TYPE_CHECKING:
    from types import TracebackType

_OURS = ("broker", "adapters", "mapping")


def log_event(
    logger: logging.Logger,
    event: str,
    *,
    level: int = logging.INFO,
    error: BaseException | None = None,
    **fields: object,
) -> None:
    """Log ``event`` of :data:`broker.log_events.EVENTS` with its fields.

    ``error`` is written as class, code and place in our code, never with its message.
    """
    if logger.isEnabledFor(level):
        given = {"fields": fields}
        logger.log(level, event, extra=given, exc_info=error)


class EventFormatter(logging.Formatter):
    """Formats any record, ours or a library's, as one line of ASCII JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """``{"at", "level", "event", "logger", …fields}``; a library's text is withheld."""
        ours = record.name.partition(".")[0] in _OURS
        given = getattr(record, "fields", None)
        if not ours:
            event, shown = redact_event("library.message", {"library": record.name})
        elif isinstance(given, Mapping):
            event, shown = redact_event(str(record.msg), given)
        elif isinstance(record.msg, str) and record.msg in EVENTS:
            event, shown = redact_event(record.msg, {})
        else:
            # Where it was said tells a developer what it was, without what was said.
            place = f"{record.name.replace('.', '/')}.py:{record.lineno}"
            event, shown = redact_event("unlisted", {"where": place})
        error = record.exc_info[1] if record.exc_info else None
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": event,
            **({"logger": record.name} if ours else {}),
            **shown,
            **(redact_error(error) if error is not None else {}),
        }
        # ASCII output also neutralises line separators and terminal controls.
        return json.dumps(line, ensure_ascii=True)


def configure_logging(settings: LoggingSettings, stream: TextIO | None = None) -> None:
    """Send every logger of the process through :class:`EventFormatter`.

    To ``settings.file`` (which may be moved away by a log rotation), else to ``stream``, else to
    standard error. Uncaught errors of threads and callbacks are events as well, so that no
    traceback with a payload in it is printed.
    """
    handler: logging.Handler
    if settings.file is not None:
        settings.file.parent.mkdir(parents=True, exist_ok=True)
        handler = WatchedFileHandler(settings.file, encoding="utf-8")
    else:
        handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(EventFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    # The default answer to a failing handler prints the arguments of the record.
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    threading.excepthook = _thread_fault
    sys.unraisablehook = _unraisable_fault
    sys.excepthook = _process_fault


def _fault(error: BaseException | None) -> None:
    log_event(logging.getLogger("broker"), "service.fault", level=logging.ERROR, error=error)


def _thread_fault(arguments: threading.ExceptHookArgs) -> None:
    _fault(arguments.exc_value)


def _unraisable_fault(arguments: Any) -> None:
    _fault(arguments.exc_value)


def _process_fault(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    _fault(error)
