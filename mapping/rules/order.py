"""Checks against the order code: its report type, its validity, its official rows."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from mapping.big5 import fit_text
from mapping.catalogue.tables import has_programme, report_items, report_type_of
from mapping.finding import Finding, Severity
from mapping.rocdate import is_roc_date, parse_roc_date
from mapping.rules.context import RuleContext


class ItemRule(NamedTuple):
    """An official row with its texts folded for comparison."""

    name: str
    units: frozenset[str]
    words: frozenset[str]
    listed_units: str = ""
    listed_words: str = ""
    official_name: str = ""
    """The same as they are printed, behind a colon."""


def order_findings(header: Mapping[str, str], context: RuleContext) -> Iterator[Finding]:
    """Codes 30 and 37, and a warning for a code outside the list that earns nothing."""
    code, report_type = header.get("h15", ""), header.get("h1", "")
    if not code:
        return
    yield from _listing_findings(code, report_type)
    if context.order_codes is not None and not _in_force(code, header.get("h20", ""), context):
        yield Finding("37", "h15", "hdata", code)


@lru_cache(maxsize=4096)
def _listing_findings(code: str, report_type: str) -> tuple[Finding, ...]:
    findings = []
    official = report_type_of(code)
    # Report type 4 takes the seven implant codes and no other (SPEC114 p. 6).
    fits = report_type == official if official else report_type != "4"
    if not fits and report_type in ("1", "2", "3", "4"):
        allowed = f": {official}" if official else ": 1, 2, 3"
        about = (("order_code", code), ("allowed", allowed))
        findings.append(Finding("30", "h1", "hdata", report_type, parameters=about))
    if not official:
        findings.append(Finding("order-code-not-listed", "h15", "hdata", code, Severity.WARNING))
    return tuple(findings)


@lru_cache(maxsize=1024)
def item_rules(code: str) -> Mapping[str, ItemRule]:
    """The official rows of an order code by r1; empty when table 9 does not name it."""
    return {
        str(item.number): ItemRule(
            fold_name(fit_text(item.name, "r2")[0]),
            frozenset(map(fold_unit, item.units)),
            frozenset(item.words),
            f": {', '.join(item.units)}",
            f": {', '.join(item.words)}",
            f": {item.name}",
        )
        for item in report_items(code)
    }


@lru_cache(maxsize=8192)
def fold_name(name: str) -> str:
    """An item name without spaces, width and case (table 9 is not consistent in these)."""
    return "".join(unicodedata.normalize("NFKC", fit_text(name, "r2")[0]).split()).casefold()


@lru_cache(maxsize=4096)
def fold_unit(unit: str) -> str:
    """A unit without spaces, width and case, mu as u; case is free (SPEC114 table 9)."""
    return "".join(unicodedata.normalize("NFKC", unit).split()).casefold().replace("μ", "u")


def item_findings(
    rules: Mapping[str, ItemRule], row: Mapping[str, str], place: str
) -> Iterator[Finding]:
    """Warnings where a row differs from its official name, units or words."""
    rule = rules.get(row.get("r1", ""))
    if rule is None:
        return
    name, unit, value = row.get("r2", ""), row.get("r5", ""), row.get("r4", "")
    if name and fold_name(name) != rule.name:
        about = (("allowed", rule.official_name),)
        yield Finding("item-name-differs", "r2", place, name, Severity.WARNING, about)
    if rule.units and unit and fold_unit(unit) not in rule.units:
        about = (("allowed", rule.listed_units),)
        yield Finding("unit-not-listed", "r5", place, unit, Severity.WARNING, about)
    if rule.words and value and value not in rule.words:
        about = (("allowed", rule.listed_words),)
        yield Finding("result-word-not-listed", "r4", place, value, Severity.WARNING, about)


def _in_force(code: str, collected: str, context: RuleContext) -> bool:
    validity = (context.order_codes or {}).get(code)
    if validity is None:
        # Virtual codes (Y00000, Z0000, Z09006C) are the format's own, not the fee schedule's.
        return code[:1] in ("Y", "Z") and has_programme(code)
    if not is_roc_date(collected[:7]):
        return True
    day = parse_roc_date(collected[:7])
    first, last = validity
    return first <= day and (last is None or day <= last)
