"""A disk that remembers every write and sync, and can be rebuilt as it stood after a power cut.

Model: what was synced is there; of each write since, every 512-byte sector is there or not, by
chance, and a truncation since may or may not have happened.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Write:
    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    name: str


@dataclass(frozen=True, slots=True)
class Delete:
    name: str
    synced: bool


@dataclass(frozen=True, slots=True)
class FolderSync:
    """Deletions before it are durable."""


Operation = Write | Truncate | Sync | Delete | FolderSync


@dataclass(slots=True)
class Disk:
    """The log of all operations, in order."""

    operations: list[Operation] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, operation: Operation) -> None:
        with self.lock:
            self.operations.append(operation)

    def position(self) -> int:
        with self.lock:
            return len(self.operations)

    def after_cut(self, position: int, chance: random.Random) -> dict[str, bytes]:
        """The files as a reboot finds them when the power went after ``position`` operations."""
        done = self.operations[:position]
        folder_synced_at = max(
            (index for index, item in enumerate(done) if isinstance(item, FolderSync)), default=-1
        )
        durable: dict[str, bytearray] = {}
        pending: dict[str, list[Write | Truncate]] = {}
        for index, operation in enumerate(done):
            if isinstance(operation, FolderSync):
                continue
            if isinstance(operation, Sync):
                for waiting in pending.pop(operation.name, []):
                    _apply(durable.setdefault(operation.name, bytearray()), waiting)
            elif isinstance(operation, Delete):
                certain = operation.synced or index < folder_synced_at
                if certain or chance.random() < 0.5:
                    durable.pop(operation.name, None)
                    pending.pop(operation.name, None)
            else:
                pending.setdefault(operation.name, []).append(operation)
        for name, operations in pending.items():
            content = durable.setdefault(name, bytearray())
            for operation in operations:
                _apply_torn(content, operation, chance)
        return {name: bytes(content) for name, content in durable.items()}


def _apply(content: bytearray, operation: Write | Truncate) -> None:
    if isinstance(operation, Truncate):
        del content[operation.size :]
        return
    end = operation.offset + len(operation.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[operation.offset : end] = operation.data


def _apply_torn(content: bytearray, operation: Write | Truncate, chance: random.Random) -> None:
    if isinstance(operation, Truncate):
        if chance.random() < 0.5:
            _apply(content, operation)
        return
    start = operation.offset
    while start < operation.offset + len(operation.data):
        end = min((start // SECTOR + 1) * SECTOR, operation.offset + len(operation.data))
        if chance.random() < 0.5:
            part = operation.data[start - operation.offset : end - operation.offset]
            _apply(content, Write(operation.name, start, part))
        start = end


class RecordingVfs(apsw.VFS):
    """SQLite's own file layer with a log in between."""

    def __init__(self, name: str, disk: Disk) -> None:
        self._disk = disk
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> RecordingFile:  # noqa: N802 - SQLite's name
        return RecordingFile(name, flags, self._disk)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self._disk.note(Delete(Path(filename).name, syncdir))


class RecordingFile(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], disk: Disk) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(path).name if path else ""
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._disk.note(Write(self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._disk.note(Truncate(self._name, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._disk.note(Sync(self._name))
