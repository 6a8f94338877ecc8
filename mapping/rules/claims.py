"""Checks against the claim that an institution filed: codes 26 and 31."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from mapping.finding import Finding
from mapping.monthly import is_outside_claims
from mapping.record import UploadRecord, plain_values

ClaimedOrder: TypeAlias = tuple[str, str, str]
"""National id (h9), order code (h15), day of the visit or admission (h11 or h13)."""

_TO_THE_MINUTE = 11
_LABORATORY = "50"


class Claims(Protocol):
    """One institution's claim, or those of several."""

    def of(self, institution_code: str) -> ClaimList | None:
        """The list of that institution, ``None`` where there is none."""


@dataclass(frozen=True, slots=True)
class ClaimList:
    """The orders that ``institution_code`` claimed, as the operator imported them.

    ``months`` are the months of visit (``YYYMM``) that the list covers whole: it says nothing of
    others. ``orders`` gives for each claimed order the start times (執行時間-起, ``YYYMMDDHHMM``
    with or without seconds) that the claim states; an empty tuple where it states none.
    """

    institution_code: str
    months: frozenset[str]
    orders: Mapping[ClaimedOrder, tuple[str, ...]]

    def of(self, institution_code: str) -> ClaimList | None:
        return self if institution_code == self.institution_code else None


@dataclass(frozen=True, slots=True)
class ClaimLists:
    """Lists by institution code."""

    lists: Mapping[str, ClaimList]

    def of(self, institution_code: str) -> ClaimList | None:
        return self.lists.get(institution_code)


def claim_findings(header: Mapping[str, str], claims: Claims) -> Iterator[Finding]:
    """Code 26: the order is not in the claim. Code 31: the operation time of an implant (h20, h1
    = 4) is none of the claim's start times, to the minute (SPEC114 p. 6).

    A course or a scheduled test may be claimed a month after its first day, so the month of
    execution (h4) must be covered too. Codes that no claim has are passed over. Which day a
    laboratory claims for work accepted from others is not printed, so any of :func:`claimed_days`
    will do.
    """
    if is_outside_claims(header.get("h15", "")):
        return
    known = claims.of(header.get("h2", ""))
    if known is None or not known.months.issuperset(_months_of(header)):
        return
    person, code = header.get("h9", ""), header.get("h15", "")
    found = (known.orders.get((person, code, day)) for day in claimed_days(header))
    starts = next((each for each in found if each is not None), None)
    operated = header.get("h20", "")
    if starts is None:
        yield Finding("26", "h15", "hdata", header.get("h15", ""))
        return
    minutes = {start[:_TO_THE_MINUTE] for start in starts}
    if (
        minutes
        and header.get("h1") == "4"
        and operated
        and operated[:_TO_THE_MINUTE] not in minutes
    ):
        parameters = (("starts", ", ".join(sorted(minutes))),)
        yield Finding("31", "h20", "hdata", operated, parameters=parameters)


def claimed_days(header: Mapping[str, str]) -> tuple[str, ...]:
    """The days (7 characters) under which the claim may have the order: visit or admission; of a
    laboratory also the days of the test and of the specimen's arrival."""
    visited = header.get("h11") or header.get("h13") or ""
    if header.get("h3") != _LABORATORY:
        return (visited,)
    others = (header.get(tag, "")[:7] for tag in ("h20", "h5"))
    return tuple(dict.fromkeys((visited, *others)))


class ClaimedMonths:
    """Which institutions and months the records of a file ask a claim about."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()

    def add(self, record: UploadRecord) -> None:
        """Take note of a daily or monthly record."""
        header = plain_values(record.header)
        institution_code = header.get("h2", "")
        self.seen.update((institution_code, month) for month in _months_of(header))


def _months_of(header: Mapping[str, str]) -> tuple[str, str]:
    """The months of visit and of execution or fee, both in h4."""
    visited = (header.get("h11") or header.get("h13") or "")[:5]
    return visited, header.get("h4") or visited
