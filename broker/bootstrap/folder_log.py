"""What the folder door tells, as log events: never a file's name, which may be a patient's."""

from __future__ import annotations

import logging

from adapters.folder.events import EventCode, FolderEvent
from broker.logs import log_event

_log = logging.getLogger(__name__)

_QUIET = frozenset({EventCode.TAKEN, EventCode.DUPLICATE, EventCode.RECOVERED})


def log_folder_event(event: FolderEvent) -> None:
    """Log one event of a watched folder."""
    log_event(
        _log,
        "folder.event",
        level=logging.INFO if event.code in _QUIET else logging.WARNING,
        source=event.source_id,
        reason=event.code.value,
        error_code=event.error.code if event.error else "",
        receipt_id=event.receipt_id or 0,
    )
