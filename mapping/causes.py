"""The same root cause, once: what stops many records for one reason is one group. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2s
from itertools import groupby

from mapping.big5 import TEXT_TAGS
from mapping.finding import Finding
from mapping.proposals import Proposal

_LONGEST_COUNTED = 20
_LONGEST_SHAPE = 40
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """One finding of one record that waits for a person. ``place`` is where the result came from
    (``OBR[1]``)."""

    record_id: int
    finding: Finding
    lab_code: str = ""
    order_code: str = ""
    place: str = ""
    due_at: datetime | None = None
    proposal: Proposal | None = None

    @property
    def subject(self) -> str:
        """The local code that the finding is about, else the order code."""
        parameters = dict(self.finding.parameters)
        return parameters.get("nhi_code") or parameters.get("code") or self.order_code


@dataclass(frozen=True, slots=True)
class Cause:
    """All faults of one kind. ``group_id`` is the same each time the same kind is met."""

    group_id: str
    faults: tuple[Fault, ...]

    @property
    def first(self) -> Fault:
        """One fault that stands for all of them."""
        return self.faults[0]

    @property
    def record_ids(self) -> tuple[int, ...]:
        """The records, each once, the most urgent first."""
        return tuple(dict.fromkeys(fault.record_id for fault in self.faults))

    @property
    def due_at(self) -> datetime | None:
        """When the most urgent record is due."""
        return self.first.due_at

    @property
    def examples(self) -> Sequence[Fault]:
        """A few faults of different records."""
        by_record = {fault.record_id: fault for fault in reversed(self.faults)}
        return [by_record[record_id] for record_id in self.record_ids[:_EXAMPLES]]

    @property
    def proposed(self) -> tuple[Fault, ...]:
        """Those that can be mended by what is known."""
        return tuple(fault for fault in self.faults if fault.proposal is not None)


def group_faults(faults: Iterable[Fault]) -> tuple[Cause, ...]:
    """One cause for each code, field, laboratory, local or order code, and shape of value; the
    most urgent first, then the most frequent."""
    groups: dict[str, list[Fault]] = {}
    for fault in faults:
        groups.setdefault(_group_id(fault), []).append(fault)
    causes = [
        Cause(group_id, tuple(sorted(members, key=_urgency)))
        for group_id, members in groups.items()
    ]
    return tuple(
        sorted(causes, key=lambda cause: (_urgency(cause.first)[0], -len(cause.record_ids)))
    )


def value_shape(value: str, tag: str = "") -> str:
    """``002`` → ``9{3}``, ``M 13`` → ``A 9{2}``: what a value looks like, without what it says.

    Free text is told without the lengths of its parts.
    """
    counted = tag not in TEXT_TAGS and len(value) <= _LONGEST_COUNTED
    parts = []
    for kind, run in groupby(value[: 10 * _LONGEST_SHAPE], key=_kind):
        length = len(list(run))
        parts.append(f"{kind}{{{length}}}" if counted and length > 1 else kind)
    return "".join(parts)[:_LONGEST_SHAPE]


def _kind(character: str) -> str:
    if character.isascii():
        if character.isdigit():
            return "9"
        if character.isalpha():
            return "A" if character.isupper() else "a"
        return character if character.isprintable() else "␣"
    return "文" if character.isalpha() else "□"


def _group_id(fault: Fault) -> str:
    finding = fault.finding
    # A file that was refused as a whole has one cause, whatever was in it.
    lab = "" if finding.code == "package-refused" else fault.lab_code
    shape = value_shape(finding.value, finding.field)
    parts = (finding.code, finding.field, lab, fault.subject, shape)
    return blake2s(json.dumps(parts).encode(), digest_size=4).hexdigest()


def _urgency(fault: Fault) -> tuple[tuple[bool, float], int]:
    due = fault.due_at
    return (due is None, due.timestamp() if due else 0.0), fault.record_id
