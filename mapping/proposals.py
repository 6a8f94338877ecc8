"""How a fault may be mended, where that follows from something that is known. Pure.

A proposal names its evidence and is only a proposal: nothing is changed by making one. No result,
unit or bound is invented. A laboratory's own word (r4 r5 r6 r7 r8) is proposed only from what the
same laboratory is known to say, and only its profile's default may be taken without a look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mapping.big5 import fit_text
from mapping.body_parts import uploaded_body_parts
from mapping.catalogue.tables import order_code, order_codes
from mapping.editions.edition import edition_on
from mapping.finding import Finding
from mapping.profile import SourceProfile
from mapping.record import Field, UploadRecord
from mapping.reference_range import parse_reference_range, range_unit
from mapping.report import ReferenceRange
from mapping.roc_fields import written_datetime
from mapping.rocdate import is_roc_date, parse_roc_date, roc_date
from mapping.rules.context import RuleContext
from mapping.rules.fields import field_check
from mapping.rules.visit import visit_findings
from mapping.units import same_unit, unit_key
from mapping.visit import Visit


class Evidence(StrEnum):
    """What a proposal rests on."""

    VISIT = "visit"
    """The clinic's card data of the same card event."""
    OFFICIAL_LIST = "official-list"
    """SPEC114 table 3: the report type of an order code."""
    COLLECTION_TIME = "collection-time"
    """h20 of the record itself."""
    PROFILE = "profile"
    """A default that the operator set for the source."""
    EARLIER_RANGE = "earlier-range"
    """What the same laboratory sent for the same row and unit before."""
    CODE_LINK = "code-link"
    """Another source links the same local code to a code of the official list."""
    SEALING = "sealing"
    """The value is given anew whenever a package is sealed."""


@dataclass(frozen=True, slots=True)
class Change:
    """``row`` counts from 1; 0 is the header."""

    row: int
    tag: str
    value: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """``changes`` is empty where the record should be sent again as it is. ``source`` names the
    place of the evidence (``visit.visit_serial``, ``profile.default_reference``)."""

    evidence: Evidence
    source: str
    changes: tuple[Change, ...] = ()

    @property
    def may_be_accepted(self) -> bool:
        """Whether it may be applied to many records at once, without a person's own value."""
        return self.evidence is not Evidence.EARLIER_RANGE


def can_be_proposed(code: str) -> bool:
    """Whether :func:`propose` ever has an answer to a code; without, nothing need be looked up."""
    return code in _MAKERS


RangeKey = tuple[str, str, str]
"""Order code, row number (r1), unit under :func:`mapping.units.unit_key`."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known besides the record. ``visits``: card data of the same card event, all
    versions. ``profiles``: every source's. ``ranges``: the bounds (r6-1, r6-2) that the same
    laboratory sent before, with the record that shows it."""

    on: date
    visits: Sequence[Visit] = ()
    profile: SourceProfile | None = None
    profiles: Sequence[SourceProfile] = ()
    ranges: Callable[[RangeKey], Mapping[tuple[str, str], str]] = lambda _: {}


def propose(finding: Finding, record: UploadRecord, known: Known) -> Proposal | None:
    """What would mend ``finding`` of ``record``, or None where nothing that is known says so."""
    maker = _MAKERS.get(finding.code)
    return maker(finding, record, known) if maker else None


def row_number(place: str) -> int:
    """n of ``rdata[n]``; 0 for the header."""
    number = place.removeprefix("rdata[").removesuffix("]")
    return int(number) if number.isdecimal() else 0


def range_key(order: str, row: Mapping[str, Field]) -> RangeKey:
    """Under which a row's bounds are comparable with another's."""
    number, unit = row.get("r1"), row.get("r5")
    return order, number.value if number else "", unit_key(unit.value if unit else "")


def _of_length(finding: Finding, record: UploadRecord, known: Known) -> Proposal | None:
    """Code 01: a missing default, or the visit's own serial with its zeros."""
    if not finding.value and finding.field in _DEFAULTS:
        return _from_profile(finding, record, known)
    proposal = _from_visit(finding, record, known)
    if proposal is None or finding.field != "h7":
        return proposal
    return proposal if proposal.changes[0].value == finding.value.zfill(4) else None


def _from_profile(finding: Finding, record: UploadRecord, known: Known) -> Proposal | None:
    name = _DEFAULTS[finding.field]
    text = fit_text(getattr(known.profile, name, ""), finding.field)[0]
    row = row_number(finding.place)
    if not text or (finding.field[:1] == "r") != bool(row):
        return None
    return Proposal(Evidence.PROFILE, f"profile.{name}", (Change(row, finding.field, text),))


def _from_visit(finding: Finding, record: UploadRecord, known: Known) -> Proposal | None:
    tag = finding.field
    read = _VISIT_FIELDS.get(tag)
    if read is None or (record.value("h3") == _LABORATORY and tag in _UPLOADERS_OWN):
        return None
    name, written = read
    values = {written(visit) for visit in known.visits} - {"", record.value(tag)}
    if len(values) != 1:
        return None
    value = values.pop()
    rule = edition_on(known.on).rule(tag)
    if rule is None or field_check(rule)(value):
        return None
    return Proposal(Evidence.VISIT, f"visit.{name}", (Change(0, tag, value),))


def _month(finding: Finding, record: UploadRecord, known: Known) -> Proposal | None:
    collected = record.value("h20")[:7]
    if finding.field != "h4" or not is_roc_date(collected) or record.value("h4") == collected[:5]:
        return None
    return Proposal(Evidence.COLLECTION_TIME, "h20", (Change(0, "h4", collected[:5]),))


def _report_type(finding: Finding, record: UploadRecord, known: Known) -> Proposal | None:
    official = order_code(record.value("h15"))
    if official is None or official.report_type == record.value("h1"):
        return None
    return Proposal(
        Evidence.OFFICIAL_LIST, "SPEC114 table 3", (Change(0, "h1", official.report_type),)
    )


def _reference(finding: Finding, record: UploadRecord, known: Known) -> Proposal | None:
    """Code 14: the source's default first, else the one range that this laboratory always sent
    for this row and unit."""
    number = row_number(finding.place)
    if not 1 <= number <= len(record.rows):
        return None
    row = record.rows[number - 1]
    if "r6-1" in row or "r6-2" in row:
        return None
    default = parse_reference_range(known.profile.default_reference) if known.profile else None
    if default is not None and (changes := _bounds(number, _fitting(default, row))):
        return Proposal(Evidence.PROFILE, "profile.default_reference", changes)
    ranges = known.ranges(range_key(record.value("h15"), row))
    if len(ranges) != 1:
        return None
    ((low, high), source), *_ = ranges.items()
    changes = _bounds(number, ReferenceRange(low, high))
    return Proposal(Evidence.EARLIER_RANGE, source, changes) if changes else None


def _fitting(reference: ReferenceRange, row: Mapping[str, Field]) -> ReferenceRange:
    """Bounds in another unit than the row's would be read in the row's: they stay text."""
    unit = row["r5"].value if "r5" in row else ""
    written = range_unit(reference) if reference.low or reference.high else ""
    if written and not same_unit(written, unit):
        return ReferenceRange(text=reference.raw, raw=reference.raw)
    return reference


def _bounds(row: int, reference: ReferenceRange) -> tuple[Change, ...]:
    low, high = reference.low or reference.text, reference.high
    return tuple(
        Change(row, tag, fit_text(text, tag)[0])
        for tag, text in (("r6-1", low), ("r6-2", high))
        if text
    )


def _near_code(finding: Finding, record: UploadRecord, known: Known) -> Proposal | None:
    """Code 37: a code of the official list that is one character away, to which another source
    links the very local code that leads to the unknown one here."""
    wrong = record.value("h15")
    if finding.field != "h15" or known.profile is None or order_code(wrong) is not None:
        return None
    local = {code for code, link in known.profile.codes.items() if link.order_code == wrong}
    linked = {
        link.order_code
        for profile in known.profiles
        for code, link in profile.codes.items()
        if code in local
    }
    near = {code for code in linked if code in order_codes() and _one_apart(code, wrong)}
    if len(near) != 1:
        return None
    code = near.pop()
    changes = [Change(0, "h15", code)]
    report_type = order_codes()[code].report_type
    if report_type != record.value("h1"):
        changes.append(Change(0, "h1", report_type))
    return Proposal(Evidence.CODE_LINK, "profile.codes", tuple(changes))


def _one_apart(one: str, other: str) -> bool:
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) == 1


def _newborn_birth(finding: Finding, record: UploadRecord, known: Known) -> Proposal | None:
    """Code 13: the visit's own birth date of the newborn, if that is within the 60 days."""
    proposal = _from_visit(finding, record, known) if finding.field == "h23" else None
    if proposal is None:
        return None
    header = {tag: field.value for tag, field in record.header.items()}
    header["h23"] = proposal.changes[0].value
    still = visit_findings(header, RuleContext(today=known.on))
    return None if any(each.code == "13" for each in still) else proposal


def _body_part(finding: Finding, record: UploadRecord, known: Known) -> Proposal | None:
    """Codes 15 and 16: the body parts that the clinic's card data has for this very order."""
    code, collected = record.value("h15"), record.value("h20")[:7]
    if finding.field != "h25" or not is_roc_date(collected):
        return None
    day = parse_roc_date(collected)
    orders = (order for visit in known.visits for order in visit.orders if order.order_code == code)
    parts = {uploaded_body_parts(order, day) for order in orders} - {"", record.value("h25")}
    if len(parts) != 1:
        return None
    return Proposal(Evidence.VISIT, "order.body_parts", (Change(0, "h25", parts.pop()),))


def _institution(finding: Finding, record: UploadRecord, known: Known) -> Proposal | None:
    """Code 28: the clinic of the visit, where its code stands: h2, or h27 of a laboratory's own
    upload. Which other institution was meant nothing here says."""
    tag = "h27" if record.value("h3") == _LABORATORY else "h2"
    codes = {visit.institution_code for visit in known.visits} - {"", record.value(tag)}
    if finding.field != tag or len(codes) != 1:
        return None
    return Proposal(Evidence.VISIT, "visit.institution_code", (Change(0, tag, codes.pop()),))


def _seal_again(finding: Finding, record: UploadRecord, known: Known) -> Proposal | None:
    return Proposal(Evidence.SEALING, "seal")


_LABORATORY = "50"
# Where the laboratory uploads, these are of its own card event, not of the clinic's visit.
_UPLOADERS_OWN = frozenset({"h3", "h5", "h8", "h28", "h29"})
_DEFAULTS = {"r5": "default_unit", "r3": "default_method", "h22": "default_specimen"}

_VISIT_FIELDS: Mapping[str, tuple[str, Callable[[Visit], str]]] = {
    "h3": ("institution_kind", lambda visit: visit.institution_kind),
    "h5": ("card_at", lambda visit: written_datetime(visit.card_at)),
    "h6": ("visit_type", lambda visit: visit.visit_type),
    "h7": ("visit_serial", lambda visit: visit.visit_serial),
    "h8": ("makeup_code", lambda visit: visit.makeup_code),
    "h9": ("national_id", lambda visit: visit.national_id),
    "h10": ("birth_on", lambda visit: _day(visit.birth_on)),
    "h11": ("visit_on", lambda visit: _day(visit.visit_on)),
    "h23": ("newborn_birth_on", lambda visit: _day(visit.newborn_birth_on)),
    "h24": ("newborn_mark", lambda visit: visit.newborn_mark),
    "h28": ("visit_identifier", lambda visit: visit.visit_identifier),
    "h29": ("original_visit_identifier", lambda visit: visit.original_visit_identifier),
}


def _day(day: date | None) -> str:
    try:
        return roc_date(day) if day else ""
    except ValueError:
        return ""


_MAKERS: Mapping[str, Callable[[Finding, UploadRecord, Known], Proposal | None]] = {
    "01": _of_length,
    **dict.fromkeys(("03", "04", "05", "11", "12", "21", "23", "24", "26"), _from_visit),
    "13": _newborn_birth,
    **dict.fromkeys(("15", "16"), _body_part),
    "28": _institution,
    "10": _month,
    "14": _reference,
    **dict.fromkeys(("22", "27"), _seal_again),
    "30": _report_type,
    "37": _near_code,
}
