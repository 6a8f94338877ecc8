"""What a scan makes of a listing: which files are ready, which are refused, which wait.

Pure but for its own memory between scans; the clock is an argument.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.folder.claim import kind_name
from adapters.folder.errors import (
    EmptyFile,
    FileRefused,
    FileTooLarge,
    HardLinkedFile,
    NotARegularFile,
)
from adapters.folder.events import EventCode
from adapters.folder.stability import (
    MARKER_ENDING,
    Judgement,
    NameKind,
    Sighting,
    Standing,
    is_patience_over,
    judge,
    marker_counts,
    name_kind,
    seen_again,
)
from adapters.folder.watched_folder import WatchedFolder

_FIRST_DELAY, _LONGEST_DELAY = 1.0, 300.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A file that may be read. ``must_end``: only if the end of its format is in its bytes."""

    name: str
    sighting: Sighting
    must_end: bool
    marker: str = ""


@dataclass(slots=True)
class Survey:
    """``ready`` is in the order in which the files were written."""

    ready: list[Ready] = field(default_factory=list)
    refused: list[tuple[str, FileRefused]] = field(default_factory=list)
    notices: list[tuple[str, EventCode]] = field(default_factory=list)
    waiting: int = 0


@dataclass(slots=True)
class BackOff:
    """Doubling delays, in seconds."""

    until: float = 0.0
    delay: float = 0.0

    def lengthen(self, now: float) -> None:
        """Wait twice as long as last time, from ``now``."""
        self.delay = min(self.delay * 2, _LONGEST_DELAY) if self.delay else _FIRST_DELAY
        self.until = now + self.delay


class Surveyor:
    """The memory of one folder: standings, delays after faults, what was told already."""

    def __init__(self, folder: WatchedFolder) -> None:
        self._folder = folder
        self._standings: dict[str, Standing] = {}
        self._back_offs: dict[str, BackOff] = {}
        self._told: set[tuple[str, EventCode]] = set()

    def survey(self, entries: Mapping[str, Sighting], now: float) -> Survey:
        """Take in one listing made at ``now`` (monotonic seconds)."""
        self._standings = {
            name: seen_again(self._standings.get(name), sighting, now)
            for name, sighting in entries.items()
        }
        self._back_offs = {name: b for name, b in self._back_offs.items() if name in entries}
        self._told = {(name, code) for name, code in self._told if name in entries}
        survey = Survey()
        for name, standing in self._standings.items():
            if stat.S_ISDIR(standing.sighting.mode):
                self._notice_once(survey, name, EventCode.SUB_FOLDER)
            elif (kind := name_kind(name)) is NameKind.FILE:
                self._judge(survey, name, standing, now)
            elif now - standing.since >= self._folder.stale_seconds:
                self._notice_stale(survey, name, kind)
        survey.ready.sort(key=lambda ready: (ready.sighting.mtime_ns, ready.name))
        return survey

    def postpone(self, name: str, now: float) -> None:
        """A fault stopped this file: leave it alone for a while."""
        self._back_offs.setdefault(name, BackOff()).lengthen(now)

    def next_seconds(self, now: float) -> float:
        """How long nothing can become ready by time alone."""
        pause = self._folder.scan_seconds
        for name, standing in self._standings.items():
            back_off = self._back_offs.get(name)
            if name_kind(name) is not NameKind.FILE:
                continue
            left = standing.since + self._folder.quiet_seconds - now
            if back_off is not None:
                left = max(left, back_off.until - now)
            if left > 0:
                pause = min(pause, left)
            elif standing.scans < 2:
                pause = 0.0
        return max(pause, 0.0)

    def _judge(self, survey: Survey, name: str, standing: Standing, now: float) -> None:
        back_off = self._back_offs.get(name)
        if back_off is not None and back_off.until > now:
            survey.waiting += 1
            return
        sighting = standing.sighting
        marker = self._standings.get(name + MARKER_ENDING)
        vouched = marker is not None and marker_counts(marker.sighting, sighting)
        judgement = judge(standing, self._folder, now, marker.sighting if marker else None)
        if judgement is Judgement.WAIT:
            survey.waiting += 1
        elif judgement is Judgement.WHOLE:
            must_end = not vouched and not is_patience_over(standing, self._folder, now)
            marker_name = name + MARKER_ENDING if vouched else ""
            survey.ready.append(Ready(name, sighting, must_end, marker_name))
        else:
            survey.refused.append((name, self._refusal(judgement, sighting)))

    def _refusal(self, judgement: Judgement, sighting: Sighting) -> FileRefused:
        if judgement is Judgement.EMPTY:
            return EmptyFile()
        if judgement is Judgement.TOO_LARGE:
            return FileTooLarge(size=sighting.size, limit=self._folder.max_bytes)
        if judgement is Judgement.HARD_LINKED:
            return HardLinkedFile(links=sighting.links)
        return NotARegularFile(kind=kind_name(sighting.mode))

    def _notice_stale(self, survey: Survey, name: str, kind: NameKind) -> None:
        if kind is NameKind.PARTIAL:
            self._notice_once(survey, name, EventCode.STALE_PARTIAL)
        elif kind is NameKind.MARKER and name[: -len(MARKER_ENDING)] not in self._standings:
            self._notice_once(survey, name, EventCode.ORPHAN_MARKER)

    def _notice_once(self, survey: Survey, name: str, code: EventCode) -> None:
        if (name, code) not in self._told:
            self._told.add((name, code))
            survey.notices.append((name, code))
