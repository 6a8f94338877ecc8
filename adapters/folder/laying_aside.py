"""Taken files that could not be read later leave ``done`` for ``failed``, with the reason beside.

The store says which receipts are unreadable; the file of each is found by the digest that its name
in ``done`` begins with, so that nothing has to be remembered across a restart. A ZIP, whose files
are stored one by one, is found by its name and what is in it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.folder.claim import (
    lay_aside,
    make_own_folder,
    name_label,
    names_of_digest,
    note_reasons,
    sync_folders,
)
from adapters.folder.errors import FileUnread, MemberUnread
from adapters.folder.formats.zip_members import ZipMembers
from adapters.folder.stability import MARKER_ENDING
from adapters.folder.watched_folder import WatchedFolder
from adapters.ports.unread import UnreadFile
from mapping.errors import UnreadablePayload

_MEMBER = "/"


@dataclass(frozen=True, slots=True)
class LaidAside:
    """One file that was moved: from ``path`` to ``target``."""

    path: Path
    target: Path
    receipt_id: int
    error: FileUnread


class LayingAside:
    """For one folder; all methods block."""

    def __init__(self, folder: WatchedFolder) -> None:
        self._folder = folder
        self._settled: set[int] = set()
        """Receipts whose file was laid aside, or does not lie in ``done``."""

    def look_again(self, receipt_ids: Iterable[int]) -> None:
        """A file of these receipts is about to lie in ``done``."""
        self._settled.difference_update(receipt_ids)

    def lay_aside(self, unread: Sequence[UnreadFile]) -> list[LaidAside]:
        """Move the files of ``unread``. Raises OSError where the folder cannot be used now: what
        is left is tried again."""
        # One that was read meanwhile and failed once more is a new fault.
        self._settled &= {each.receipt_id for each in unread}
        open_ones = [each for each in unread if each.receipt_id not in self._settled]
        if not open_ones:
            return []
        moved: list[LaidAside] = []
        archives: dict[str, list[UnreadFile]] = {}
        for each in unread:
            if _MEMBER in each.name:
                archives.setdefault(each.name.partition(_MEMBER)[0], []).append(each)
        for each in open_ones:
            if _MEMBER in each.name:
                moved += self._archive(archives.pop(each.name.partition(_MEMBER)[0], []))
            else:
                moved += self._file(each)
            self._settled.add(each.receipt_id)
        if moved:
            sync_folders(self._folder.failed, self._folder.done)
        return moved

    def _file(self, unread: UnreadFile) -> list[LaidAside]:
        names = names_of_digest(unread.sha256, self._folder.done)
        if not names:
            return []
        error = _error(FileUnread, unread)
        make_own_folder(self._folder.failed)
        moved = []
        for name in names:
            path = self._folder.done / name
            is_marker = name.endswith(MARKER_ENDING) and name.removesuffix(MARKER_ENDING) in names
            target = lay_aside(path, self._folder.failed, [] if is_marker else [error])
            if not is_marker:
                moved.append(LaidAside(path, target, unread.receipt_id, error))
        return moved

    def _archive(self, unread: Sequence[UnreadFile]) -> list[LaidAside]:
        """The ZIPs that hold one of ``unread``, which is all that is unreadable of one name."""
        if not unread:
            return []
        label = unread[0].name.partition(_MEMBER)[0]
        moved = []
        for folder in (self._folder.failed, self._folder.done):
            for path in _files_of_label(label, folder):
                errors = _errors_within(path, unread)
                if not errors:
                    continue
                if folder == self._folder.failed:
                    # Another file of it failed since.
                    note_reasons(path, errors)
                    continue
                make_own_folder(self._folder.failed)
                target = lay_aside(path, self._folder.failed, errors)
                receipt_id = int(str(errors[0].parameters["receipt_id"]))
                moved.append(LaidAside(path, target, receipt_id, errors[0]))
        return moved


def _files_of_label(label: str, folder: Path) -> list[Path]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names) if name_label(name).endswith(f"-{label}")]


def _errors_within(path: Path, unread: Sequence[UnreadFile]) -> list[FileUnread]:
    by_digest = {each.sha256: each for each in unread}
    try:
        archive = ZipMembers(path.read_bytes())
        digests = [hashlib.sha256(archive.read(name)).hexdigest() for name in archive.names]
    except UnreadablePayload:
        return []
    return [
        _error(MemberUnread, by_digest[digest], number=number)
        for number, digest in enumerate(digests, start=1)
        if digest in by_digest
    ]


def _error(kind: type[FileUnread], unread: UnreadFile, **parameters: object) -> FileUnread:
    return kind(
        receipt_id=unread.receipt_id,
        reason_code=unread.code,
        reason=unread.en[0],
        remedy=unread.en[1],
        reason_zh=unread.zh[0],
        remedy_zh=unread.zh[1],
        **parameters,
    )
