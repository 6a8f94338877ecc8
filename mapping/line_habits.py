"""In which units and with which reference ranges a laboratory sends each of its codes.

A unit that a code never had holds the result until a person confirms it: a value in another unit
is another value, and nothing here converts one. A range that a code never had is flagged once and
holds nothing: ranges follow sex, age and reagent lots. Pure; what was learned is kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from mapping.finding import Finding, Severity
from mapping.item_lookup import name_key
from mapping.report import LabReport, Observation
from mapping.units import unit_key

_ADULT_YEARS = 18
_LONGEST = 100
_MOST_CODES = 50_000
_MOST_SETTLED = 65_536


class HabitKind(StrEnum):
    UNIT = "unit"
    RANGE = "range"


class Habit(NamedTuple):
    """``group`` is whose range it is (``M adult``), ``""`` for units. ``known`` is False for what
    a person has not confirmed: a unit that came after another, a range that was flagged."""

    source_id: str
    code: str
    specimen: str
    kind: HabitKind
    group: str
    value: str
    known: bool = True


_Key = tuple[str, str, str, HabitKind, str]


class LineHabits:
    """The habits of all sources. ``review`` learns as it goes; :meth:`take_new` gives what was
    learned since it was last asked."""

    def __init__(self, habits: Iterable[Habit] = ()) -> None:
        self._known: dict[_Key, dict[str, Habit]] = {}
        self._new: list[Habit] = []
        # Lines that said nothing new: nearly all of them, so they must cost next to nothing.
        self._settled: set[tuple[object, ...]] = set()
        self.version = 0
        """Counts :meth:`load`: what was judged before may be judged otherwise now."""
        for habit in habits:
            self._put(habit)

    def load(self, habits: Iterable[Habit]) -> None:
        """Take the habits as they are kept, with what a person confirmed meanwhile."""
        self._known.clear()
        for habit in (*habits, *self._new):
            self._put(habit)
        self._settled.clear()
        self.version += 1

    def review(
        self,
        source_id: str,
        report: LabReport,
        lines: Sequence[Observation],
        default_unit: str = "",
    ) -> tuple[Finding, ...]:
        """``unit-changed`` (an error) and ``range-changed`` (a warning, once) for ``lines``. An
        empty unit is ``default_unit``, and where that is empty too, no unit."""
        specimen, group = report.specimen.kind, _group(report)
        settled = self._settled
        findings: list[Finding] = []
        fresh: set[_Key] = set()
        for line in lines:
            key = (source_id, specimen, group, line.codings, line.unit, line.reference.raw)
            if key in settled:
                continue
            found = self._judge(source_id, name_key(specimen), group, line, default_unit, fresh)
            findings += found
            if not found:
                if len(settled) >= _MOST_SETTLED:
                    settled.clear()
                settled.add(key)
        return tuple(findings)

    def take_new(self) -> tuple[Habit, ...]:
        """What was learned, to be kept."""
        new, self._new = tuple(self._new), []
        return new

    def _judge(
        self,
        source_id: str,
        specimen: str,
        group: str,
        line: Observation,
        default_unit: str,
        fresh: set[_Key],
    ) -> list[Finding]:
        coding = line.codings[0] if line.codings else None
        code = (coding.code or coding.display) if coding else ""
        findings: list[Finding] = []
        said = (
            (HabitKind.UNIT, "", line.unit or default_unit, unit_key),
            (HabitKind.RANGE, group, line.reference.raw.strip(), str),
        )
        for kind, whose, value, fold in said:
            if not code or not value or len(value) > _LONGEST or len(code) > _LONGEST:
                continue
            key = (source_id, code, specimen, kind, whose)
            folded = fold(value)
            known = self._known.get(key)
            if known is None:
                if len(self._known) < _MOST_CODES:
                    self._learn(Habit(source_id, code, specimen, kind, whose, value))
                    fresh.add(key)
                continue
            habit = known.get(folded)
            if habit is None and key in fresh:
                # One code in two units within its very first report: both are its habit.
                self._learn(Habit(source_id, code, specimen, kind, whose, value))
                continue
            if habit is None:
                self._learn(Habit(source_id, code, specimen, kind, whose, value, known=False))
            elif habit.known or kind is HabitKind.RANGE:
                continue
            findings.append(_finding(kind, source_id, code, whose, value, line.place, known))
        return findings

    def _learn(self, habit: Habit) -> None:
        self._put(habit)
        self._new.append(habit)

    def _put(self, habit: Habit) -> None:
        key = (habit.source_id, habit.code, habit.specimen, habit.kind, habit.group)
        fold = unit_key if habit.kind is HabitKind.UNIT else str
        self._known.setdefault(key, {})[fold(habit.value)] = habit


def _group(report: LabReport) -> str:
    """Sex and whether a child: laboratories have a range for each."""
    born = report.patient.birth_on
    moment = report.specimen.collected_at or report.reported_at
    if born is None or moment is None:
        return report.patient.sex
    age = "child" if _years(born, moment.at.date()) < _ADULT_YEARS else "adult"
    return f"{report.patient.sex} {age}".strip()


def _years(born: date, on: date) -> int:
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def _finding(
    kind: HabitKind,
    source_id: str,
    code: str,
    group: str,
    value: str,
    place: str,
    known: dict[str, Habit],
) -> Finding:
    told = ", ".join(
        habit.value for habit in known.values() if habit.known and habit.value != value
    )
    parameters = (("code", code), ("source", source_id), ("known", told), ("group", group))
    if kind is HabitKind.UNIT:
        return Finding("unit-changed", "r5", place, value, Severity.ERROR, parameters)
    return Finding("range-changed", "r6-1", place, value, Severity.WARNING, parameters)
