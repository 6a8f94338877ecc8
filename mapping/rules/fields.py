"""Checks of one value by its field rule: lengths, digits, dates, code tables, characters.

NHI codes 01, 02, 03, 04, 05, 06, 16, 21, 23, 24, 28 and 37 as far as the value alone shows
them. The rule is compiled once into a function; a clean value costs a few built-in calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, TypeAlias

from mapping.big5 import (
    TEXT_TAGS,
    XML_SPECIALS,
    cp950_length,
    is_encodable,
    official_length,
    unencodable,
)
from mapping.big5 import unencodable_finding as _unencodable_finding
from mapping.catalogue.tables import code_table, read_table
from mapping.editions.edition import FieldRule
from mapping.finding import Severity
from mapping.rocdate import is_roc_date, is_roc_time

_IDENTIFIER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_SPECIALS = frozenset(XML_SPECIALS)
_MOST_LISTED = 40


class Problem(NamedTuple):
    """A finding that does not yet know its field and place."""

    code: str
    severity: Severity = Severity.ERROR
    parameters: tuple[tuple[str, str], ...] = ()


FieldCheck: TypeAlias = Callable[[str], tuple[Problem, ...]]
"""Takes a value that is not empty; an empty tuple means that it is right."""


def field_check(rule: FieldRule, allowed: frozenset[str] | None = None) -> FieldCheck:
    """The check of one field; ``allowed`` narrows its code table."""
    if rule.dates:
        return _date_check(rule)
    if rule.form:
        return _form_check(rule)
    if rule.codes:
        return _code_check(rule, frozenset(code_table(rule.codes)) if allowed is None else allowed)
    return _number_check(rule) if rule.type == "9" else _text_check(rule)


def length_problem(actual: int, rule: FieldRule) -> Problem:
    """Code 01 with the two lengths: ``(3 ≠ 4)`` or ``(120 > 100)``."""
    sign = "≠" if rule.exact else ">"
    return Problem("01", parameters=(("measure", f"({actual} {sign} {rule.length})"),))


def _text_check(rule: FieldRule) -> FieldCheck:
    limit = rule.length
    forbidden = _SPECIALS if (rule.daily or rule.tag) in TEXT_TAGS else frozenset()
    all_right = forbidden.isdisjoint

    def check(value: str) -> tuple[Problem, ...]:
        if value.isascii() and value.isprintable():
            if len(value) <= limit and all_right(value):
                return ()
        elif len(value) * 4 <= limit and is_encodable(value) and all_right(value):
            return ()
        return _text_problems(value, rule, forbidden)

    return check


def _text_problems(value: str, rule: FieldRule, forbidden: frozenset[str]) -> tuple[Problem, ...]:
    problems: list[Problem] = []
    if len(value) * 4 > rule.length:
        actual = cp950_length(value)
        if actual > rule.length:
            problems.append(length_problem(actual, rule))
        elif (official := official_length(value)) > rule.length:
            measure = (("measure", f"({official} > {rule.length})"),)
            problems.append(Problem("length-between-counts", Severity.WARNING, measure))
    if not forbidden.isdisjoint(value):
        written = "".join(char for char in XML_SPECIALS if char in value)
        problems.append(Problem("half-width-special", parameters=(("characters", written),)))
    problems.extend(_character_problems(value))
    return tuple(problems)


def _character_problems(value: str) -> list[Problem]:
    return [
        Problem("unencodable-character", parameters=_unencodable_finding(char, "", "").parameters)
        for char in unencodable(value)
    ]


def _code_check(rule: FieldRule, allowed: frozenset[str]) -> FieldCheck:
    own_code = rule.wrong != "03"
    listed = f": {', '.join(sorted(allowed))}" if len(allowed) <= _MOST_LISTED else ""
    wrong = (Problem(rule.wrong, parameters=(("allowed", listed),)),)

    def check(value: str) -> tuple[Problem, ...]:
        if value in allowed:
            return ()
        actual = cp950_length(value)
        if actual > rule.length or (rule.exact and actual != rule.length):
            return (length_problem(actual, rule),)
        if rule.type == "9" and not own_code and not (value.isascii() and value.isdigit()):
            return (Problem("05"),)
        return wrong

    return check


def _form_check(rule: FieldRule) -> FieldCheck:
    well_formed = _form(rule)
    length = rule.length

    def check(value: str) -> tuple[Problem, ...]:
        if len(value) == length and well_formed(value):
            return ()
        actual = cp950_length(value)
        if actual > rule.length or (rule.exact and actual != rule.length):
            return (length_problem(actual, rule),)
        return () if well_formed(value) else (Problem(rule.wrong),)

    return check


def _form(rule: FieldRule) -> Callable[[str], bool]:
    if rule.form == "identifier":
        return _IDENTIFIER.issuperset
    if rule.form == "letters":
        return frozenset(code_table(rule.codes)).issuperset
    if rule.form == "letter":
        return lambda value: value.isascii() and value.isalpha()
    if rule.form == "visit-serial":
        matches = _visit_serials().fullmatch
        return lambda value: matches(value) is not None
    raise ValueError(f"the edition names an unknown form for {rule.tag}")


@cache
def _visit_serials() -> re.Pattern[str]:
    forms = (row["form"] for row in read_table("visit-serials"))
    return re.compile("|".join(f.replace("9", "[0-9]").replace("X", "[0-9A-Z]") for f in forms))


def _number_check(rule: FieldRule) -> FieldCheck:
    def check(value: str) -> tuple[Problem, ...]:
        if not (value.isascii() and value.isdigit()):
            return (Problem("05"),)
        if len(value) > rule.length:
            return (length_problem(len(value), rule),)
        return () if rule.zero or value.strip("0") else (Problem("06"),)

    return check


def _date_check(rule: FieldRule) -> FieldCheck:
    lengths = frozenset(rule.dates)

    def check(value: str) -> tuple[Problem, ...]:
        length = len(value)
        if length in lengths:
            if length > 7:
                right = is_roc_time(value)
            else:
                right = is_roc_date(value if length == 7 else value + "01")
            return () if right else (Problem("04"),)
        if length > rule.length:
            return (length_problem(length, rule),)
        return (Problem("04"),)

    return check
