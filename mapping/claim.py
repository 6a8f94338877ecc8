"""What an institution claimed, line by line, and the line that an upload record belongs to.

Sources: 門診／住院醫療費用點數申報格式 (tdata, dhead, dbody, pdata) for the fields of a claim;
SPEC114 pp. 15-19 for those that the monthly upload repeats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from mapping.monthly import ClaimKeys, is_outside_claims, to_monthly
from mapping.record import Field, UploadRecord, plain_values, replace_header
from mapping.rocdate import is_roc_date, parse_roc_date, roc_date, roc_month
from mapping.rules.claims import ClaimedOrder, ClaimList, ClaimLists, claimed_days

SENT_FOR_REVIEW = "1"
"""申報類別 1, 送核: the claim of the whole month; 2 is 補報, what comes after."""
_INPATIENT = ("21", "22", "29")
"""Kinds of institution (h3) whose monthly records tell the period of the claim (SPEC114 p. 16)."""
_LONGEST_COURSE_DAYS = 366
_TO_THE_MINUTE = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLine:
    """One claimed order.

    ``day`` is the visit (就醫日期) or admission (入院年月日), ``last_day`` the end of treatment or
    the discharge. ``started`` is 執行時間-起 (``YYYMMDDHHMM``, with or without seconds) or ``""``.
    ``keys`` are what the monthly upload repeats, ``None`` where the list does not have it all.
    """

    institution_code: str
    national_id: str
    birth_on: date | None
    day: date
    last_day: date | None
    order_code: str
    fee_month: date
    kind: str = SENT_FOR_REVIEW
    started: str = ""
    keys: ClaimKeys | None = None


class ClaimDoubt(StrEnum):
    """Why no one line can be named; these are codes of findings."""

    NOT_CLAIMED = "order-not-claimed"
    SEVERAL_LINES = "several-claim-lines"
    KEYS_MISSING = "claim-keys-missing"


class ClaimIndex:
    """The lines of all imported claims, looked up by institution, person and order."""

    def __init__(self, lines: Iterable[ClaimLine]) -> None:
        self._lines: dict[tuple[str, str], list[ClaimLine]] = {}
        for line in dict.fromkeys(lines):
            self._lines.setdefault((line.institution_code, line.national_id), []).append(line)

    def line_of(self, record: UploadRecord) -> ClaimLine | ClaimDoubt:
        """The line of a daily record: same institution (h2), person (h9, h10) and order (h15), the
        visit or admission (h11, h13) within the treatment. Where several fit, the one that was
        executed at the minute of h20; never the first of several. An order that no claim has
        belongs to the case of the visit, with the order serial 0."""
        order_code = record.value("h15")
        header = plain_values(record.header)
        days = [parse_roc_date(each) for each in claimed_days(header) if is_roc_date(each)]
        fitting = [
            line
            for line in self._lines.get((record.value("h2"), record.value("h9")), ())
            if any(line.day <= day <= _last_day(line) for day in days)
            and (line.order_code == order_code or is_outside_claims(order_code))
            and (line.birth_on is None or _same_birth(line.birth_on, record.value("h10")))
        ]
        if is_outside_claims(order_code):
            fitting = _cases(fitting)
        elif len(fitting) > 1:
            taken = record.value("h20")[:_TO_THE_MINUTE]
            fitting = [
                each for each in fitting if each.started[:_TO_THE_MINUTE] == taken
            ] or fitting
        if len(fitting) > 1:
            return ClaimDoubt.SEVERAL_LINES
        if not fitting:
            return ClaimDoubt.NOT_CLAIMED
        keys = fitting[0].keys
        if keys is None or (record.value("h3") in _INPATIENT and keys.period is None):
            return ClaimDoubt.KEYS_MISSING
        return fitting[0]


def claim_lists(lines: Iterable[ClaimLine]) -> ClaimLists:
    """What codes 26 and 31 look at. Only the months whose whole claim is there (送核) count as
    covered; an order of a course is claimed for each of its days."""
    months: dict[str, set[str]] = {}
    orders: dict[str, dict[ClaimedOrder, tuple[str, ...]]] = {}
    for line in lines:
        covered = months.setdefault(line.institution_code, set())
        if line.kind == SENT_FOR_REVIEW:
            covered.add(roc_month(line.fee_month))
        known = orders.setdefault(line.institution_code, {})
        starts = (line.started,) if line.started else ()
        day, last = line.day, _last_day(line)
        while day <= last:
            key = (line.national_id, line.order_code, roc_date(day))
            known[key] = known.get(key, ()) + starts
            day += timedelta(days=1)
    return ClaimLists(
        {code: ClaimList(code, frozenset(months[code]), orders[code]) for code in orders}
    )


def claimed_record(record: UploadRecord, line: ClaimLine) -> UploadRecord:
    """The daily ``record`` in the monthly layout, as ``line`` claims it, which
    :meth:`ClaimIndex.line_of` found.

    What the daily upload knows stays: a visit serial other than ``Z000`` and the end of treatment.
    Only a visit day (h11) outside the claimed treatment, which a laboratory's may be, gives way to
    the claimed one: the monthly file follows the claim.
    """
    if line.keys is None:
        raise ValueError("this line has no keys for the monthly upload")
    monthly = to_monthly(record, _keys_for(line.keys, record))
    day = record.value("h11")
    if not day or line.day <= parse_roc_date(day) <= _last_day(line):
        return monthly
    return replace_header(monthly, {"h11": Field(roc_date(line.day), "claim")})


def _keys_for(keys: ClaimKeys, record: UploadRecord) -> ClaimKeys:
    if record.value("h7") not in ("", "Z000"):
        keys = replace(keys, visit_serial=record.value("h7"))
    return replace(keys, treated_until=None) if record.value("h12") else keys


def _cases(lines: Iterable[ClaimLine]) -> list[ClaimLine]:
    """One line for each case, for orders that are none of its own."""
    cases: dict[ClaimKeys | None, ClaimLine] = {}
    for line in lines:
        keys = line.keys and replace(line.keys, order_serial=0)
        cases.setdefault(keys, replace(line, keys=keys))
    return list(cases.values())


def _last_day(line: ClaimLine) -> date:
    last = max(line.last_day or line.day, line.day)
    return min(last, line.day + timedelta(days=_LONGEST_COURSE_DAYS))


def _same_birth(birth_on: date, text: str) -> bool:
    return is_roc_date(text) and parse_roc_date(text) == birth_on


def count_by_month(lines: Iterable[ClaimLine]) -> Mapping[tuple[str, str], int]:
    """How many lines there are by institution and fee month (``YYYMM``)."""
    counts: dict[tuple[str, str], int] = {}
    for line in lines:
        key = (line.institution_code, roc_month(line.fee_month))
        counts[key] = counts.get(key, 0) + 1
    return counts
