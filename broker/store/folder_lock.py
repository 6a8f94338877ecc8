"""One broker a data folder: a lock that the operating system drops when the process dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_NAME = "labbroker.lock"

if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def take_folder_lock(folder: Path) -> int | None:
    """An open handle that holds the lock until it is closed, or None if another process has it."""
    handle = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(handle)
    except OSError:
        os.close(handle)
        return None
    return handle
