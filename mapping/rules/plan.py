"""An edition compiled for one kind of record: which fields must, may and must not be there.

Which conditions apply depends on a few header values (report type, institution kind, dispensing
mode, some order codes); records that agree in these share one plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import getitem
from typing import NamedTuple

from mapping.editions.edition import Edition, FieldRule, Requirement, in_any_case
from mapping.rules.element_order import first_astray, first_gap
from mapping.rules.fields import FieldCheck, Problem, field_check

_MOST_REMEMBERED = 4096
_LONGEST_REMEMBERED = 40
_MOST_SHAPES = 512


class RememberedCheck(dict[str, tuple[Problem, ...]]):
    """The answers of one field check by value: a file repeats its dates, codes, units and names.

    The oldest are forgotten together, long texts never kept.
    """

    __slots__ = ("_check",)

    def __init__(self, check: FieldCheck) -> None:
        self._check = check

    def __missing__(self, value: str) -> tuple[Problem, ...]:
        problems = self._check(value)
        if len(value) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[value] = problems
        return problems


class LevelShape(NamedTuple):
    """What is known of a level from its tags alone.

    ``checks`` in the order of the tags, ``None`` when a tag may not be there; ``complete``: no
    required and no expected field is missing; ``astray``: the first tag out of order, or ``""``;
    ``gap``: the first part of a report text that is missing though a later one is there, and the
    later one.
    """

    checks: tuple[RememberedCheck, ...] | None
    complete: bool
    astray: str
    gap: tuple[str, str] | None

    def is_clean(self, values: Iterable[str]) -> bool:
        """Whether every value passes; ``values`` in the order of the tags."""
        return self.checks is not None and not any(map(getitem, self.checks, values))


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One level of the record, header or row.

    ``checks`` by tag; ``required`` pairs a tag with the NHI code for its absence; ``expected``
    and ``blank`` are tags; ``wanted`` are the tags of both ``required`` and ``expected``.
    """

    checks: Mapping[str, RememberedCheck]
    required: tuple[tuple[str, str], ...]
    expected: tuple[str, ...]
    wanted: frozenset[str]
    blank: frozenset[str]
    shapes: dict[tuple[str, ...], LevelShape] = field(default_factory=dict)

    def shape_of(self, values: Mapping[str, str]) -> LevelShape:
        """What the tags of ``values`` alone say; worked out once for each order of tags."""
        tags = tuple(values)
        shape = self.shapes.get(tags)
        if shape is None:
            if len(self.shapes) >= _MOST_SHAPES:
                self.shapes.clear()
            may_be = self.checks.keys() - self.blank >= set(tags)
            checks = tuple(self.checks[tag] for tag in tags) if may_be else None
            shape = self.shapes[tags] = LevelShape(
                checks,
                self.wanted.issubset(tags),
                first_astray(tags),
                first_gap(set(tags) - self.blank),
            )
        return shape


@dataclass(frozen=True, slots=True)
class RecordPlan:
    header: FieldPlan
    row: FieldPlan


def plan_for(edition: Edition, header: Mapping[str, str]) -> RecordPlan:
    """The plan for a record with these header values."""
    known = _PLANS.get(edition.name)
    if known is None:
        known = _PLANS[edition.name] = _Plans(_deciding_values(edition), {})
    key = tuple(
        [value if (value := header.get(tag, "")) in named else "" for tag, named in known.deciding]
    )
    plan = known.plans.get(key)
    if plan is None:
        values = {tag: value for (tag, _), value in zip(known.deciding, key, strict=True)}
        header_plan, row_plan = _level(edition.header, values), _level(edition.rows, values)
        plan = known.plans[key] = RecordPlan(header_plan, row_plan)
    return plan


class _Plans(NamedTuple):
    """Only named values make a key of their own: there are as many plans as combinations."""

    deciding: tuple[tuple[str, frozenset[str]], ...]
    plans: dict[tuple[str, ...], RecordPlan]


_PLANS: dict[str, _Plans] = {}


def _deciding_values(edition: Edition) -> tuple[tuple[str, frozenset[str]], ...]:
    """The header tags that conditions look at, each with the values that they name."""
    deciding: dict[str, frozenset[str]] = {}
    for rule in (*edition.header, *edition.rows):
        for case in (*rule.when, *rule.blank, *(case for case, _ in rule.narrowed)):
            for tag, values in case:
                deciding[tag] = deciding.get(tag, frozenset()) | values
    return tuple(deciding.items())


def _level(rules: Iterable[FieldRule], header: Mapping[str, str]) -> FieldPlan:
    checks: dict[str, RememberedCheck] = {}
    required: list[tuple[str, str]] = []
    expected: list[str] = []
    blank: set[str] = set()
    for rule in rules:
        allowed = next(
            (codes for case, codes in rule.narrowed if in_any_case((case,), header)), None
        )
        checks[rule.tag] = _remembered(rule, allowed)
        if rule.blank and in_any_case(rule.blank, header):
            blank.add(rule.tag)
        elif rule.required in (Requirement.ALWAYS, Requirement.WHEN) and rule.applies(header):
            required.append((rule.tag, rule.missing))
        elif rule.required is Requirement.EXPECTED and rule.applies(header):
            expected.append(rule.tag)
    wanted = frozenset((*(tag for tag, _ in required), *expected))
    return FieldPlan(checks, tuple(required), tuple(expected), wanted, frozenset(blank))


@cache
def _remembered(rule: FieldRule, allowed: frozenset[str] | None) -> RememberedCheck:
    return RememberedCheck(field_check(rule, allowed))
