"""Is the watched folder there, and is it the one that was prepared?

A lost mount leaves an empty directory behind. The sub-folders that we made are the proof that the
share is there: once a folder was prepared they are never made anew behind an operator's back.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from adapters.folder.errors import FolderGone
from adapters.folder.stability import Sighting
from adapters.folder.watched_folder import WatchedFolder


class Presence:
    """One folder's proof of presence. Methods block: call them off the event loop."""

    def __init__(self, folder: WatchedFolder) -> None:
        self._folder = folder
        self._prepared = False
        self.identity: tuple[int, int] | None = None
        """Device and inode at the last good listing: another one needs a new watch."""

    def listing(self) -> dict[str, Sighting]:
        """Each entry of the folder but our own sub-folders. Raises FolderGone."""
        self._ensure()
        folder = self._folder
        ours = {
            folder.done_name,
            folder.refused_name,
            folder.duplicate_name,
            folder.failed_name,
        }
        entries: dict[str, Sighting] = {}
        try:
            names = os.listdir(self._folder.path)
        except OSError as error:
            raise self._gone(error) from None
        for name in names:
            if name in ours:
                continue
            try:
                entries[name] = Sighting.of(os.lstat(self._folder.path / name))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._gone(error) from None
        # Asked again: the share may have gone while its entries were read.
        self._ensure()
        return entries

    def _ensure(self) -> None:
        try:
            status = os.stat(self._folder.path)
            if not self._prepared:
                self._prepare()
            for path in (self._folder.done, self._folder.refused):
                if not stat.S_ISDIR(os.lstat(path).st_mode):
                    raise FolderGone(
                        source_id=self._folder.source_id, reason="a sub-folder is no folder"
                    )
            self.identity = (status.st_dev, status.st_ino)
        except OSError as error:
            raise self._gone(error) from None

    def _prepare(self) -> None:
        for path in (self._folder.done, self._folder.refused):
            path.mkdir(exist_ok=True)
        self._prepared = True

    def _gone(self, error: OSError) -> FolderGone:
        return FolderGone(source_id=self._folder.source_id, reason=os_reason(error))


def os_reason(error: OSError) -> str:
    """The system's own word for an error, without the path that ``str(error)`` would show."""
    return error.strerror or type(error).__name__


def overlap(one: Path, other: Path) -> bool:
    """True where two watched paths are the same or one lies in the other."""
    first, second = one.absolute(), other.absolute()
    return first == second or first in second.parents or second in first.parents
