"""Who the parties of a report are, and which of them uploads it (exactly one: NHI code 25)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from mapping.profile import Agreement, SourceProfile
from mapping.report import LabReport


@dataclass(frozen=True, slots=True)
class Parties:
    """Institution codes of the performing laboratory and the ordering clinic; ``""``: unknown."""

    lab_code: str
    clinic_code: str


def parties_of(report: LabReport, profile: SourceProfile) -> Parties:
    """The institutions that the report names, in the sender's codes or NHI's, else its profile's.

    A clinic code that the profile translates is translated; any other is taken as it is.
    """
    lab_code = report.lab_code.strip() or profile.lab_code
    sent = report.clinic_code.strip()
    clinic_code = profile.clinics.get(sent, sent) if sent else profile.clinic_code
    return Parties(lab_code, clinic_code)


def find_agreement(
    agreements: Iterable[Agreement], lab_code: str, clinic_code: str, order_code: str, on: date
) -> Agreement | None:
    """The agreement in force on the day ``on`` (both end days belong to it).

    One that names the order code goes before one for all codes. None when there is none, or when
    two of the same rank disagree: then nobody may upload until a person decides.
    """
    if not (lab_code and clinic_code):
        return None
    valid = [
        agreement
        for agreement in agreements
        if agreement.lab_code == lab_code
        and agreement.clinic_code == clinic_code
        and agreement.order_code in ("", order_code)
        and (agreement.valid_from is None or agreement.valid_from <= on)
        and (agreement.valid_until is None or on <= agreement.valid_until)
    ]
    ranked = [agreement for agreement in valid if agreement.order_code] or valid
    if not ranked or any(_terms(agreement) != _terms(ranked[0]) for agreement in ranked):
        return None
    return ranked[0]


def conflicting_agreements(
    agreements: Iterable[Agreement],
) -> tuple[tuple[Agreement, Agreement], ...]:
    """Pairs that speak of the same lab, clinic and code on a common day, but not alike."""
    seen: dict[tuple[str, str, str], list[Agreement]] = {}
    conflicts: list[tuple[Agreement, Agreement]] = []
    for agreement in agreements:
        key = (agreement.lab_code, agreement.clinic_code, agreement.order_code)
        for other in seen.setdefault(key, []):
            if _terms(other) != _terms(agreement) and _overlap(other, agreement):
                conflicts.append((other, agreement))
        seen[key].append(agreement)
    return tuple(conflicts)


def _terms(agreement: Agreement) -> tuple[str, str]:
    return agreement.route, agreement.commission


def _overlap(one: Agreement, other: Agreement) -> bool:
    starts = max(one.valid_from or date.min, other.valid_from or date.min)
    ends = min(one.valid_until or date.max, other.valid_until or date.max)
    return starts <= ends
