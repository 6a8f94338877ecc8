"""The same root cause, once: what stops many records for one reason is one group. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2s
from typing import Any

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
    candidates: tuple[Mapping[str, Any], ...] = ()
    """The visits that a person could mean, the likeliest first, where none was taken."""

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
    waiting: tuple[int, ...] = ()
    """All records of the group, the most urgent first, where ``faults`` are of a few of them."""

    @property
    def first(self) -> Fault:
        """One fault that stands for all of them."""
        return self.faults[0]

    @property
    def record_ids(self) -> tuple[int, ...]:
        """The records, each once, the most urgent first."""
        return self.waiting or self.looked_at

    @property
    def looked_at(self) -> tuple[int, ...]:
        """The records whose faults are here."""
        return tuple(dict.fromkeys(fault.record_id for fault in self.faults))

    @property
    def due_at(self) -> datetime | None:
        """When the most urgent record is due."""
        return self.first.due_at

    @property
    def examples(self) -> Sequence[Fault]:
        """A few faults of different records."""
        by_record = {fault.record_id: fault for fault in reversed(self.faults)}
        return [by_record[record_id] for record_id in self.looked_at[:_EXAMPLES]]

    @property
    def proposed(self) -> tuple[Fault, ...]:
        """Those that can be mended by what is known."""
        return tuple(fault for fault in self.faults if fault.proposal is not None)


def group_faults(faults: Iterable[Fault]) -> tuple[Cause, ...]:
    """One cause for each code, field, laboratory, local or order code, and shape of value; the
    most urgent first, then the most frequent."""
    groups: dict[str, list[Fault]] = {}
    for fault in faults:
        groups.setdefault(group_of(fault), []).append(fault)
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
    if not value:
        return ""
    kinds = value[: 10 * _LONGEST_SHAPE].translate(_KINDS)
    counted = tag not in TEXT_TAGS and len(value) <= _LONGEST_COUNTED
    return _shortened(kinds, counted)


@lru_cache(maxsize=1 << 14)
def _shortened(kinds: str, counted: bool) -> str:
    return _RUN.sub(_counted if counted else r"\1", kinds)[:_LONGEST_SHAPE]


def _counted(run: re.Match[str]) -> str:
    return f"{run[1]}{{{len(run[0])}}}"


class _Kinds(dict[int, str]):
    """What kind of character each code point is, looked at once."""

    def __missing__(self, point: int) -> str:
        kind = self[point] = _kind(chr(point))
        return kind


def _kind(character: str) -> str:
    if character.isascii():
        if character.isdigit():
            return "9"
        if character.isalpha():
            return "A" if character.isupper() else "a"
        return character if character.isprintable() else "␣"
    return "文" if character.isalpha() else "□"


_KINDS = _Kinds()
_RUN = re.compile(r"(.)\1+")


def group_of(fault: Fault) -> str:
    """The name of the group that a fault belongs to."""
    finding = fault.finding
    return group_id_of(finding.code, finding.field, fault.lab_code, fault.subject, finding.value)


def group_id_of(code: str, tag: str, lab_code: str, subject: str, value: str) -> str:
    """The name of the group of these parts; of a long ``value`` its first 400 characters do."""
    # A file that was refused as a whole has one cause, whatever was in it.
    lab = "" if code == "package-refused" else lab_code
    return _name_of((code, tag, lab, subject, value_shape(value, tag)))


@lru_cache(maxsize=1 << 16)
def _name_of(parts: tuple[str, ...]) -> str:
    return blake2s(json.dumps(parts).encode(), digest_size=4).hexdigest()


def _urgency(fault: Fault) -> tuple[tuple[bool, float], int]:
    due = fault.due_at
    return (due is None, due.timestamp() if due else 0.0), fault.record_id
