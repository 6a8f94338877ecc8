"""What the folder door tells the rest of the product. Files are answered by moving them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from mapping.errors import LabbrokerError

_log = logging.getLogger(__name__)


class EventCode(StrEnum):
    TAKEN = "taken"
    DUPLICATE = "duplicate"
    """The very same bytes were stored before; the file is moved all the same."""
    REFUSED = "refused"
    UNREAD = "unread"
    """A taken file could not be read; it lies with its reason in the folder of failed ones now."""
    FAULT = "fault"
    """A folder or a file cannot be handled now; it is tried again."""
    RECOVERED = "recovered"
    STALE_PARTIAL = "stale-partial"
    """A file keeps its unfinished name for long: the sender may have died."""
    ORPHAN_MARKER = "orphan-marker"
    """A ``name.done`` without ``name``."""
    SUB_FOLDER = "sub-folder"
    """A sub-folder that is not read."""
    LATE_WRITER = "late-writer"
    """A taken file was written to afterwards; it is back in the folder and read again."""


@dataclass(frozen=True, slots=True)
class FolderEvent:
    """``name`` is the file's label. It may tell a patient's name: shown, never logged."""

    source_id: str
    code: EventCode
    name: str = ""
    error: LabbrokerError | None = None
    receipt_id: int | None = None


Report: TypeAlias = Callable[[FolderEvent], None]


def log_event(event: FolderEvent) -> None:
    """The default report: one line, without the file's name."""
    quiet = event.code in (EventCode.TAKEN, EventCode.DUPLICATE, EventCode.RECOVERED)
    _log.log(
        logging.INFO if quiet else logging.WARNING,
        "folder of %s: %s%s",
        event.source_id,
        event.code.value,
        f" [{event.error.code}] {event.error.sentence()}" if event.error else "",
    )
