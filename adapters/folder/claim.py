"""Reading one whole file, and moving it out of the way after its bytes are durable.

The order is: open without following links, check what was opened, read, check again; store
(elsewhere); rename into the folder of taken files; sync both directories. A crash between store
and rename leaves the file to be found again: same bytes, a duplicate, moved then.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from adapters.folder.errors import FileChanged, FileTooLarge, HardLinkedFile, NotARegularFile
from adapters.folder.stability import MARKER_ENDING, Sighting
from mapping.errors import LabbrokerError, Language

# O_NONBLOCK: opening a pipe that stands in the folder must not wait for its writer.
_OPEN = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_RESERVE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
_NAME_BYTES = 200
_DIGEST_LETTERS = 12
_KINDS = {stat.S_IFLNK: "symbolic link", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
_NOTE_LANGUAGES: tuple[Language, ...] = ("zh", "en")
_NOTE_ENDING = ".reason.txt"


@dataclass(frozen=True, slots=True)
class WholeFile:
    """What was read. ``name`` is the name on disk, undecodable bytes as surrogates."""

    path: Path
    raw: bytes
    sighting: Sighting
    sha256: str

    @property
    def label(self) -> str:
        """The name as text that can be stored and shown; bytes that are no text are escaped."""
        return name_label(self.path.name)


def name_label(name: str) -> str:
    """``name`` with everything unprintable escaped. It is a label, never a path to open."""
    text = os.fsencode(name).decode("utf-8", errors="backslashreplace")
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def kind_name(mode: int) -> str:
    """The word for a thing that is no regular file."""
    return _KINDS.get(mode, "device")


def read_whole(path: Path, expected: Sighting, max_bytes: int) -> WholeFile:
    """Read ``path`` if it is still what ``expected`` saw.

    Raises FileChanged (not whole yet), a FileRefused, or OSError (try again later).
    """
    try:
        descriptor = os.open(path, _OPEN)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotARegularFile(kind=kind_name(stat.S_IFLNK)) from None
        if error.errno == errno.ENXIO:
            raise NotARegularFile(kind=kind_name(stat.S_IFSOCK)) from None
        raise
    try:
        before = Sighting.of(os.fstat(descriptor))
        if before.mode != stat.S_IFREG:
            raise NotARegularFile(kind=kind_name(before.mode))
        if before.links > 1:
            raise HardLinkedFile(links=before.links)
        if not _same_state(before, expected):
            raise FileChanged
        if before.size > max_bytes:
            raise FileTooLarge(size=before.size, limit=max_bytes)
        raw = _read(descriptor, before.size)
        if len(raw) != before.size or not _same_state(Sighting.of(os.fstat(descriptor)), before):
            raise FileChanged
    finally:
        os.close(descriptor)
    return WholeFile(path, raw, before, hashlib.sha256(raw).hexdigest())


@dataclass(frozen=True, slots=True)
class MovedFile:
    """Where a taken file lies now and what it looked like there."""

    target: Path
    path: Path
    sighting: Sighting

    def was_written_to(self) -> bool:
        """True when somebody went on writing. Raises OSError when it cannot be seen."""
        return not _same_state(Sighting.of(self.target.lstat()), self.sighting)


def move_done(file: WholeFile, done: Path) -> MovedFile | None:
    """Move a stored file into ``done`` under a name of its own; nothing is ever overwritten.

    None: other bytes stood under the name by now (the sender wrote again); they are back, to be
    read as the new file that they are. Call :func:`sync_folders` afterwards.
    """
    target = _reserve(done, f"{file.sha256[:_DIGEST_LETTERS]}-", file.path.name)
    _rename(file.path, target)
    sighting = Sighting.of(target.lstat())
    if sighting == file.sighting or _holds(target, sighting, file):
        return MovedFile(target, file.path, sighting)
    move_back(target, file.path)
    return None


def move_marker(file: WholeFile, marker: Path, done: Path) -> None:
    """Move the ``name.done`` of a taken file beside it, so that it vouches for no later file."""
    if marker.exists():
        _rename(marker, _reserve(done, f"{file.sha256[:_DIGEST_LETTERS]}-", marker.name))


def move_refused(path: Path, refused: Path, error: LabbrokerError) -> Path:
    """Move a file that cannot be taken into ``refused``, with a bilingual note beside it."""
    target = _reserve(refused, "", path.name)
    _rename(path, target)
    marker = path.with_name(path.name + MARKER_ENDING)
    if marker.exists():
        # It spoke of the file that is gone; left alone it would vouch for the next of that name.
        _rename(marker, _reserve(refused, "", marker.name))
    write_note(target, error)
    sync_folders(refused, path.parent)
    return target


def write_note(target: Path, error: LabbrokerError) -> None:
    """Say in both languages, beside a file, why it lies there."""
    note = _reserve(target.parent, "", target.name + _NOTE_ENDING)
    _write_for_people(note, _note(error))


def lay_aside(path: Path, folder: Path, errors: Sequence[LabbrokerError]) -> Path:
    """Move a taken file into ``folder`` with a note of ``errors`` beside it; where it lies then.

    The note is there first: no file lies in that folder without its reason, whatever breaks off.
    """
    target = folder / path.name
    if os.path.lexists(target):
        target = _reserve(folder, "", path.name)
    if errors:
        note_reasons(target, errors)
    os.replace(path, target)
    return target


def note_reasons(target: Path, errors: Sequence[LabbrokerError]) -> None:
    """Write, or write anew, the one note beside a file that was laid aside."""
    note = target.with_name(target.name + _NOTE_ENDING)
    _write_for_people(note, "\n".join(map(_note, errors)))


def make_own_folder(folder: Path) -> None:
    """Make a folder of ours where there is none. Raises OSError, also for a link that stands in
    its place: files never leave by it."""
    folder.mkdir(exist_ok=True)
    if folder.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def is_taken(sha256: str, *folders: Path) -> bool:
    """Whether a file of these bytes lies in one of the folders of taken ones."""
    return any(names_of_digest(sha256, folder) for folder in folders)


def names_of_digest(sha256: str, folder: Path) -> list[str]:
    """The names under which taken files of these bytes, and their markers, lie in ``folder``."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(name for name in names if name.startswith(f"{sha256[:_DIGEST_LETTERS]}-"))


def move_back(target: Path, path: Path) -> None:
    """Return a file to the watched folder, under another name where its own is taken again."""
    _rename(target, _reserve(path.parent, "", path.name))


def sync_folders(*folders: Path) -> None:
    """Make the renames durable (POSIX; Windows has no such call)."""
    if os.name == "nt":
        return
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # Some network file systems refuse to sync a directory; they have no stronger call.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)


def _holds(target: Path, sighting: Sighting, file: WholeFile) -> bool:
    """The very bytes that were stored, on file systems where a rename changes the inode number?"""
    return (
        sighting.mode == stat.S_IFREG
        and sighting.size == file.sighting.size
        and hashlib.sha256(target.read_bytes()).hexdigest() == file.sha256
    )


def _write_for_people(note: Path, text: str) -> None:
    # Read in Windows' own editor, which wants the mark and these line ends.
    note.write_text(text, encoding="utf-8-sig", newline="\r\n")


def _note(error: LabbrokerError) -> str:
    lines = [f"[{error.code}]"]
    for language in _NOTE_LANGUAGES:
        lines += [error.sentence(language), error.remedy(language)]
    return "\n".join([*lines, ""])


def _same_state(one: Sighting, other: Sighting) -> bool:
    return (one.size, one.mtime_ns) == (other.size, other.mtime_ns)


def _read(descriptor: int, size: int) -> bytes:
    parts = []
    left = size + 1
    while left and (part := os.read(descriptor, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _reserve(folder: Path, prefix: str, name: str) -> Path:
    """A name in ``folder`` that nobody has, held by an empty file until the rename."""
    tail = os.fsdecode(os.fsencode(name)[-_NAME_BYTES:])
    for number in count():
        candidate = folder / (f"{prefix}{tail}" if not number else f"{prefix}{number}-{tail}")
        try:
            os.close(os.open(candidate, _RESERVE, 0o600))
        except FileExistsError:
            continue
        return candidate
    raise AssertionError("count() never ends")


def _rename(path: Path, target: Path) -> None:
    try:
        os.replace(path, target)
    except OSError:
        target.unlink()
        raise
