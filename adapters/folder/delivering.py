"""Results as files in a clinic's folder: whole or not at all.

A file is written under a name that no reader takes (``.NAME.part``), synced, renamed, and the
folder is synced: who sees a name sees all of its bytes, also after a power cut.
"""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

from adapters.ports.emptying import NotTaken, Taken
from adapters.ports.outbox import Outgoing


class FolderDelivery:
    """Puts messages into ``folder``, which must exist: a share that is not mounted is no folder
    to fill. A file of the same name with the same bytes counts as delivered."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, outgoing: Outgoing) -> Taken | NotTaken:
        """Write one file. Never raises for what the file system says."""
        try:
            return await asyncio.to_thread(self._put, outgoing)
        except OSError as error:
            return NotTaken(errno.errorcode.get(error.errno or 0, type(error).__name__))

    def _put(self, outgoing: Outgoing) -> Taken | NotTaken:
        final = self._folder / outgoing.name
        if not outgoing.name or final.parent != self._folder or outgoing.name.startswith("."):
            return NotTaken("unusable-name", final=True)
        if final.exists():
            if final.read_bytes() == outgoing.raw:
                return Taken(outgoing.name)
            return NotTaken("other-file-of-this-name", final=True)
        put_whole(final, outgoing.raw)
        return Taken(outgoing.name)


def put_whole(final: Path, raw: bytes) -> None:
    """Write ``final`` so that it is there with all of ``raw`` or not at all. Raises OSError."""
    part = final.parent / f".{final.name}.part"
    handle = os.open(
        part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o640
    )
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        part.replace(final)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
