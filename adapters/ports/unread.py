"""Files that were taken and turned out, when they were read, to be unreadable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """A receipt of a folder whose bytes could not be read.

    ``sha256`` is of the stored bytes, in hex. ``name`` is the label that they were stored under:
    the file's, or for a file of a ZIP that of the ZIP, ``/`` and its own. ``en`` and ``zh`` are
    what happened and what to do about it.
    """

    receipt_id: int
    sha256: str
    name: str
    code: str
    en: tuple[str, str]
    zh: tuple[str, str]


class UnreadFiles(Protocol):
    """Tells what was taken and is unreadable now; a receipt that could be read meanwhile is not
    among it."""

    def unread_of(self, source_id: str) -> Sequence[UnreadFile]:
        """Those of one source. Blocks. Empty where nobody can tell now; never raises."""


class AllReadable:
    """Nothing is ever found unreadable: for a door that nobody tells."""

    def unread_of(self, source_id: str) -> Sequence[UnreadFile]:
        return ()
