"""The blocking half of a scan: read a batch of files, move them when they are stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.folder.claim import (
    MovedFile,
    WholeFile,
    is_taken,
    make_own_folder,
    move_back,
    move_done,
    move_marker,
    read_whole,
    sync_folders,
    write_note,
)
from adapters.folder.errors import DuplicateFile, FileChanged
from adapters.folder.formats.archive import Member, archive_members
from adapters.folder.formats.ending import ends_whole
from adapters.folder.formats.identify import identify
from adapters.folder.survey import Ready
from adapters.folder.watched_folder import WatchedFolder
from adapters.ports.intake import Accepted, Media
from mapping.errors import LabbrokerError, UnreadablePayload

_BATCH_FILES = 32
_BATCH_BYTES = 8 * 1024 * 1024
_LATE_SECONDS = 600.0
_LATE_FILES = 1000


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file to store (``file`` set), one to refuse or postpone (``error``), or one to wait for."""

    ready: Ready
    file: WholeFile | None = None
    media: Media = Media.UNKNOWN
    error: Exception | None = None
    members: tuple[Member, ...] = ()
    """The files of a ZIP, which are stored in its stead."""


class Taking:
    """Reads and moves for one folder; all methods block. ``clock``: monotonic seconds."""

    def __init__(self, folder: WatchedFolder, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._moved: deque[tuple[MovedFile, float]] = deque(maxlen=_LATE_FILES)

    def read(self, batch: Sequence[Ready]) -> list[ReadFile]:
        """Read each file; whatever stops one is in its own :class:`ReadFile`."""
        return [self._read(ready) for ready in batch]

    def move(self, files: Sequence[tuple[Ready, WholeFile, Accepted]]) -> list[OSError | None]:
        """Move stored files into the folder of taken ones, or of those that came once more; an
        error for each that stayed."""
        results = [self._move(*each) for each in files]
        try:
            sync_folders(self._folder.done, self._folder.path)
        except OSError as error:
            return [error] * len(results)
        return results

    def return_late(self) -> list[str]:
        """Move back what was written to after it was taken; the names.

        A sender that pauses for longer than the quiet time goes on writing to the moved file.
        """
        now = self._clock()
        kept: list[tuple[MovedFile, float]] = []
        returned: list[str] = []
        while self._moved:
            moved, until = self._moved.popleft()
            try:
                if moved.was_written_to():
                    move_back(moved.target, moved.path)
                    returned.append(moved.path.name)
                elif until > now:
                    kept.append((moved, until))
            except OSError:
                # Tidied away by a person, or out of reach for now: what was read is stored anyhow.
                continue
        self._moved.extend(kept)
        return returned

    def follow(self, moves: Mapping[Path, Path]) -> None:
        """Taken files lie elsewhere now: a late writer writes to them there."""
        for index, (moved, until) in enumerate(self._moved):
            if moved.target in moves:
                self._moved[index] = (replace(moved, target=moves[moved.target]), until)

    def _read(self, ready: Ready) -> ReadFile:
        try:
            file = read_whole(
                self._folder.path / ready.name, ready.sighting, self._folder.max_bytes
            )
        except (FileChanged, FileNotFoundError):
            return ReadFile(ready)
        except (OSError, LabbrokerError) as error:
            return ReadFile(ready, error=error)
        try:
            media = self._folder.media or identify(file.raw, file.label, self._folder.text_media)
        except UnreadablePayload as error:
            # What cannot be told from its content may be a file that still grows.
            return ReadFile(ready, error=None if ready.must_end else error)
        if ready.must_end and not ends_whole(file.raw, media):
            return ReadFile(ready)
        if media is not Media.ZIP:
            return ReadFile(ready, file, media)
        try:
            members = archive_members(file.raw, self._folder.text_media)
        except UnreadablePayload as error:
            return ReadFile(ready, error=None if ready.must_end else error)
        return ReadFile(ready, file, media, members=members)

    def _move(self, ready: Ready, file: WholeFile, accepted: Accepted) -> OSError | None:
        folder = self._folder.done
        try:
            # Stored before a crash and not moved since, it is the first of its bytes all the same.
            if accepted.duplicate and is_taken(file.sha256, folder, self._folder.failed):
                folder = self._folder.duplicate
                make_own_folder(folder)
            moved = move_done(file, folder)
            if moved is None:
                return None
            if folder != self._folder.done:
                write_note(moved.target, DuplicateFile(receipt_id=accepted.receipt_id))
            self._moved.append((moved, self._clock() + _LATE_SECONDS))
            if ready.marker:
                move_marker(file, file.path.with_name(ready.marker), folder)
        except OSError as error:
            return error
        return None


def batches(ready: Sequence[Ready]) -> Iterator[list[Ready]]:
    """Cut into batches of bounded count and size, so that memory stays bounded."""
    batch: list[Ready] = []
    size = 0
    for item in ready:
        if batch and (len(batch) == _BATCH_FILES or size + item.sighting.size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.sighting.size
    if batch:
        yield batch
