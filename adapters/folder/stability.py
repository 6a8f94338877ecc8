"""When is a dropped file whole? A pure decision on what successive scans saw.

A file is whole when it was quiet for a time, its size and mtime stood still and a rescan found it
so; or when the sender laid ``name.done`` beside it. The time is the scanner's own monotonic clock:
clocks of network shares lie.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import StrEnum

from adapters.folder.watched_folder import WatchedFolder

MARKER_ENDING = ".done"
_PARTIAL_ENDINGS = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".filepart", ".swp", "~")
_FURNITURE = frozenset({"thumbs.db", "desktop.ini"})


class NameKind(StrEnum):
    """What a name alone says."""

    FILE = "file"
    PARTIAL = "partial"
    """A name that a sender renames when it has finished."""
    MARKER = "marker"
    FURNITURE = "furniture"
    """Dot files and what desktops leave behind: never looked at."""


class Judgement(StrEnum):
    WAIT = "wait"
    WHOLE = "whole"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    HARD_LINKED = "hard_linked"
    NOT_REGULAR = "not_regular"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One ``lstat``: what must stand still, and what the thing is."""

    size: int
    mtime_ns: int
    inode: int = 0
    device: int = 0
    links: int = 1
    mode: int = stat.S_IFREG

    @staticmethod
    def of(status: os.stat_result) -> Sighting:
        return Sighting(
            status.st_size,
            status.st_mtime_ns,
            status.st_ino,
            status.st_dev,
            status.st_nlink,
            stat.S_IFMT(status.st_mode),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Since when (monotonic seconds) and in how many scans a name has looked the same."""

    sighting: Sighting
    since: float
    scans: int = 1


def name_kind(name: str) -> NameKind:
    """The kind of a name, upper and lower case alike."""
    lower = name.lower()
    if lower.startswith("~$") or lower.endswith(_PARTIAL_ENDINGS):
        return NameKind.PARTIAL
    if lower.startswith(".") or lower in _FURNITURE:
        return NameKind.FURNITURE
    if lower.endswith(MARKER_ENDING) and len(name) > len(MARKER_ENDING):
        return NameKind.MARKER
    return NameKind.FILE


def seen_again(previous: Standing | None, sighting: Sighting, now: float) -> Standing:
    """The standing after one more scan; any change starts it anew."""
    if previous is None or previous.sighting != sighting:
        return Standing(sighting, now)
    return Standing(sighting, previous.since, previous.scans + 1)


def judge(
    standing: Standing, rules: WatchedFolder, now: float, marker: Sighting | None = None
) -> Judgement:
    """What to do with a file now; ``marker`` is the ``name.done`` beside it, if there is one."""
    sighting = standing.sighting
    if sighting.mode != stat.S_IFREG:
        return Judgement.NOT_REGULAR
    quiet = now - standing.since
    if sighting.links != 1:
        # A sender may publish by link and unlink: for a moment the file has two names.
        return Judgement.HARD_LINKED if quiet >= rules.patience_seconds else Judgement.WAIT
    if marker is not None and marker_counts(marker, sighting):
        return _by_size(sighting, rules)
    if rules.needs_marker or standing.scans < 2 or quiet < rules.quiet_seconds:
        return Judgement.WAIT
    if sighting.size == 0 and quiet < rules.patience_seconds:
        return Judgement.WAIT
    return _by_size(sighting, rules)


def marker_counts(marker: Sighting, sighting: Sighting) -> bool:
    """Does a marker vouch for this file? Not when it is older: one left over from a day before
    says nothing of a new file under the same name."""
    return marker.mtime_ns >= sighting.mtime_ns


def is_patience_over(standing: Standing, rules: WatchedFolder, now: float) -> bool:
    """True when a quiet file is taken even though its end is not to be seen in its bytes."""
    return now - standing.since >= rules.patience_seconds


def _by_size(sighting: Sighting, rules: WatchedFolder) -> Judgement:
    if sighting.size == 0:
        return Judgement.EMPTY
    return Judgement.TOO_LARGE if sighting.size > rules.max_bytes else Judgement.WHOLE
