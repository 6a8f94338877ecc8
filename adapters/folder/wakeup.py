"""Watchdog only wakes a scan early; what is there is decided by the scan alone."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

_log = logging.getLogger(__name__)
# Opening and reading are told as well, by our own scans among others: they would wake us for ever.
_TELLING = frozenset({"created", "modified", "moved", "closed"})


class Wakeup(FileSystemEventHandler):
    """Sets ``event`` on ``loop`` whenever something happens directly in a folder."""

    def __init__(self, loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
        self._loop = loop
        self._event = event
        self._observer: BaseObserver | None = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called on the observer's thread."""
        if event.event_type in _TELLING and not event.is_directory and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    def arm(self, path: Path, polling: bool, every_seconds: float) -> None:
        """Watch ``path``. Blocks. Where the system cannot (no watches left), scans go on alone."""
        self.disarm()
        observer = PollingObserver(timeout=every_seconds) if polling else Observer()
        observer.daemon = True
        try:
            observer.schedule(self, str(path), recursive=False)
            observer.start()
        except OSError as error:
            _log.warning("no file events (%s): periodic scans alone", type(error).__name__)
            return
        self._observer = observer

    def disarm(self) -> None:
        """Stop watching and wait for the observer's thread. Blocks."""
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join(timeout=2)
