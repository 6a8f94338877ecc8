"""Checks of the header values against each other: months, newborns, serials, institutions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mapping.finding import Finding, Severity
from mapping.national_id import is_valid_national_id
from mapping.rocdate import is_roc_date, parse_roc_date, roc_date
from mapping.rules.context import RuleContext

_NEWBORN_DAYS = 60
_ACCEPTED = ("3", "5")
_LABORATORY = "50"
_SCHEDULED = "AG"


def visit_findings(header: Mapping[str, str], context: RuleContext) -> Iterator[Finding]:
    """Codes 10, 11, 12, 13, 22, 23 (Z000) and 28, and the check digit of the national id.

    Values that are wrong in themselves (impossible dates, wrong lengths) are other checks'
    business and are passed over here.
    """
    month, collected = header.get("h4", ""), header.get("h20", "")
    if month != collected[:5] and is_roc_date(f"{month}01") and is_roc_date(collected[:7]):
        yield Finding("10", "h4", "hdata", month)
    if "h23" in header or "h24" in header:
        yield from _newborn(header)
    if header.get("h7") == "Z000" and not _may_lack_serial(header):
        yield Finding("23", "h7", "hdata", "Z000")
    uploaded = header.get("h16", "")
    if context.upload_on and len(uploaded) == 13 and uploaded[:7] != roc_date(context.upload_on):
        yield Finding("22", "h16", "hdata", uploaded)
    if context.institutions is not None:
        for tag in ("h2", "h27"):
            code = header.get(tag, "")
            if len(code) == 10 and code not in context.institutions:
                yield Finding("28", tag, "hdata", code)
    national_id = header.get("h9", "")
    if not is_valid_national_id(national_id) and _is_ten_capitals(national_id):
        yield Finding("national-id-checksum", "h9", "hdata", national_id, Severity.WARNING)


def _is_ten_capitals(text: str) -> bool:
    return len(text) == 10 and text.isascii() and text.isalnum() and text == text.upper()


def _newborn(header: Mapping[str, str]) -> Iterator[Finding]:
    """SPEC114 p. 7: h23 and h24 go together, at most 60 days before the visit or admission."""
    born, mark = header.get("h23", ""), header.get("h24", "")
    if mark and not born:
        yield Finding("11", "h23", "hdata")
    if born and not mark:
        yield Finding("12", "h24", "hdata")
    visited = header.get("h11") or header.get("h13") or ""
    if is_roc_date(born) and is_roc_date(visited):
        days = (parse_roc_date(visited) - parse_roc_date(born)).days
        if not 0 <= days <= _NEWBORN_DAYS:
            yield Finding("13", "h23", "hdata", born)


def _may_lack_serial(header: Mapping[str, str]) -> bool:
    """Z000 stands for an unknown original serial: work accepted from others, scheduled tests."""
    return (
        header.get("h3") == _LABORATORY
        or header.get("h26") in _ACCEPTED
        or header.get("h6") == _SCHEDULED
    )
