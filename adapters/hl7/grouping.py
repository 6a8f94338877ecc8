"""Which segments of a result message belong together: one group for each OBR.

The standard's order is ``PID … {[ORC] OBR {NTE} {OBX {NTE}} {SPM}}`` (ORU^R01, v2.5.1 section
7.3.1) or specimen first (OUL^R22). Senders also put OBR before ORC, leave ORC out, or send OBX
without any OBR; which habit a message has is seen once, from the order of its first segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from adapters.hl7.er7 import Message, Segment

_TEXT_TYPES: Final = frozenset({"TX", "FT"})
_NAMED: Final = frozenset({"MSH", "PID", "PV1", "ORC", "OBR", "SPM", "OBX"})


class ResultLine:
    """One OBX with its notes, or several OBX rows of one running text."""

    __slots__ = ("notes", "segments")

    def __init__(self, segment: Segment) -> None:
        self.segments = [segment]
        self.notes: list[str] = []


@dataclass(slots=True)
class PersonSegments:
    """PID with what stands beside it, from one PID to the next."""

    pid: Segment | None = None
    pv1: Segment | None = None
    notes: list[str] = field(default_factory=list)
    damaged: list[Segment] = field(default_factory=list)


@dataclass(slots=True)
class OrderGroup:
    """The segments of one LabReport. ``obr`` is ``None`` for OBX that stand before any OBR."""

    person: PersonSegments
    obr: Segment | None = None
    orc: Segment | None = None
    order_context: Segment | None = None
    """The ORC that came last, where the OBR has none of its own: for provider and clinic."""
    spm: Segment | None = None
    lines: list[ResultLine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    damaged: list[Segment] = field(default_factory=list)
    """Segments of the group, other than those above, behind which text had to be left out."""


def group_orders(message: Message) -> list[OrderGroup]:
    """The groups of a message, in their order."""
    return _Grouping(message).groups


class _Grouping:
    def __init__(self, message: Message) -> None:
        self.groups: list[OrderGroup] = []
        names = [segment.name for segment in message.segments]
        self._orc_follows = _precedes(names, "OBR", "ORC") and names.count("OBR") == names.count(
            "ORC"
        )
        self._spm_leads = _precedes(names, "SPM", "OBR")
        self._person = PersonSegments()
        self._group: OrderGroup | None = None
        self._orc: Segment | None = None
        self._orc_is_new = False
        self._orc_notes: list[str] = []
        self._spm: Segment | None = None
        self._notes = self._person.notes
        refused = frozenset(message.refused_lines)
        for segment in message.segments:
            step = _STEPS.get(segment.name)
            if step is not None:
                step(self, segment)
            if refused and segment in refused and segment.name not in _NAMED:
                self._damage(segment)

    def pid(self, segment: Segment) -> None:
        self._person = PersonSegments(pid=segment)
        self._notes = self._person.notes
        self._group = self._orc = self._spm = None

    def pv1(self, segment: Segment) -> None:
        self._person.pv1 = segment

    def orc(self, segment: Segment) -> None:
        self._orc = segment
        if self._orc_follows and self._group is not None and self._group.orc is None:
            self._group.orc = segment
            self._notes = self._group.notes
            return
        self._orc_is_new = True
        self._notes = self._orc_notes = []

    def obr(self, segment: Segment) -> None:
        group = OrderGroup(self._person, obr=segment)
        if self._orc_is_new:
            group.orc = self._orc
            group.notes = self._orc_notes
            self._orc_is_new = False
        elif not self._orc_follows:
            group.order_context = self._orc
        if self._spm_leads:
            group.spm = self._spm
        self._open(group)

    def spm(self, segment: Segment) -> None:
        if self._spm_leads:
            self._spm = segment
            self._group = None
            self._notes = []
        elif self._group is not None:
            self._group.spm = self._group.spm or segment
            self._notes = self._group.notes

    def obx(self, segment: Segment) -> None:
        group = self._group
        if group is None:
            group = self._open(OrderGroup(self._person, spm=self._spm))
        lines = group.lines
        if segment.raw(2) in _TEXT_TYPES and lines and _continues(lines[-1].segments[0], segment):
            line = lines[-1]
            line.segments.append(segment)
        else:
            line = ResultLine(segment)
            lines.append(line)
        self._notes = line.notes

    def nte(self, segment: Segment) -> None:
        note = "\n".join(segment.decoded_repetitions(3))
        if note.strip():
            self._notes.append(note)

    def _damage(self, segment: Segment) -> None:
        (self._group or self._person).damaged.append(segment)

    def _open(self, group: OrderGroup) -> OrderGroup:
        self._group = group
        self.groups.append(group)
        self._notes = group.notes
        return group


_STEPS: Final = {
    "PID": _Grouping.pid,
    "PV1": _Grouping.pv1,
    "ORC": _Grouping.orc,
    "OBR": _Grouping.obr,
    "SPM": _Grouping.spm,
    "OBX": _Grouping.obx,
    "NTE": _Grouping.nte,
}


def _precedes(names: Sequence[str], first: str, second: str) -> bool:
    if first not in names:
        return False
    return second not in names or names.index(first) < names.index(second)


def _continues(line: Segment, segment: Segment) -> bool:
    """The OBX goes on with the text of the one before: same code, sub-id and status."""
    return (
        line.raw(2) == segment.raw(2)
        and line.raw(3) == segment.raw(3)
        and line.raw(4) == segment.raw(4)
        and line.raw(11) == segment.raw(11)
        and all(segment.raw(at) in ("", line.raw(at)) for at in (6, 7, 8))
    )
