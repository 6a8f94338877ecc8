"""An edition compiled for one kind of record: which fields must, may and must not be there.

Which conditions apply depends on a few header values (report type, institution kind, dispensing
mode, some order codes); records that agree in these share one plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from mapping.editions.edition import Edition, FieldRule, Requirement, in_any_case
from mapping.rules.fields import FieldCheck, field_check


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One level of the record, header or row.

    ``checks`` by tag; ``required`` pairs a tag with the NHI code for its absence; ``expected``
    and ``blank`` are tags.
    """

    checks: Mapping[str, FieldCheck]
    required: tuple[tuple[str, str], ...]
    expected: tuple[str, ...]
    blank: frozenset[str]


@dataclass(frozen=True, slots=True)
class RecordPlan:
    header: FieldPlan
    row: FieldPlan


def plan_for(edition: Edition, header: Mapping[str, str]) -> RecordPlan:
    """The plan for a record with these header values."""
    key = tuple(
        (tag, value) if (value := header.get(tag, "")) in values else (tag, "")
        for tag, values in _deciding_values(edition)
    )
    return _compile(edition, key)


@cache
def _deciding_values(edition: Edition) -> tuple[tuple[str, frozenset[str]], ...]:
    """The header tags that conditions look at, each with the values that they name."""
    deciding: dict[str, frozenset[str]] = {}
    for rule in (*edition.header, *edition.rows):
        for case in (*rule.when, *rule.blank, *(case for case, _ in rule.narrowed)):
            for tag, values in case:
                deciding[tag] = deciding.get(tag, frozenset()) | values
    return tuple(deciding.items())


@lru_cache(maxsize=4096)
def _compile(edition: Edition, key: tuple[tuple[str, str], ...]) -> RecordPlan:
    header = dict(key)
    return RecordPlan(_level(edition.header, header), _level(edition.rows, header))


def _level(rules: Iterable[FieldRule], header: Mapping[str, str]) -> FieldPlan:
    checks: dict[str, FieldCheck] = {}
    required: list[tuple[str, str]] = []
    expected: list[str] = []
    blank: set[str] = set()
    for rule in rules:
        allowed = next(
            (codes for case, codes in rule.narrowed if in_any_case((case,), header)), None
        )
        checks[rule.tag] = field_check(rule, allowed)
        if rule.blank and in_any_case(rule.blank, header):
            blank.add(rule.tag)
        elif rule.required in (Requirement.ALWAYS, Requirement.WHEN) and rule.applies(header):
            required.append((rule.tag, rule.missing))
        elif rule.required is Requirement.EXPECTED and rule.applies(header):
            expected.append(rule.tag)
    return FieldPlan(checks, tuple(required), tuple(expected), frozenset(blank))
