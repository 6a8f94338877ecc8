"""Ends a service that hangs, so that its supervisor starts it again.

The watch is a thread of the interpreter itself, which needs no lock that a hanging reader might
hold. Whatever was acknowledged is on disk, so an end at any moment loses nothing; what was being
read then is read apart at the next start (:mod:`broker.suspects`).
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
from pathlib import Path

LIMIT_SECONDS = 180.0
_EVERY_SECONDS = 10.0


class LoopGuard:
    """While :meth:`run` runs, the process ends with exit code 1 when its loop stood still for
    ``limit_seconds``. Where it stood then is in ``trace``: files, lines and function names, no
    values."""

    def __init__(self, trace: Path, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._limit_seconds = limit_seconds
        self._every_seconds = min(_EVERY_SECONDS, limit_seconds / 4)
        self._trace = trace

    def last_trace(self) -> str:
        """Where the service stood when it was ended; ``""`` where it never was."""
        try:
            return self._trace.read_text("utf-8", "backslashreplace")
        except OSError:
            return ""

    async def run(self) -> None:
        """Until cancelled."""
        handle = os.open(self._trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            while True:
                faulthandler.dump_traceback_later(self._limit_seconds, exit=True, file=handle)
                await asyncio.sleep(self._every_seconds)
        finally:
            faulthandler.cancel_dump_traceback_later()
            os.close(handle)
