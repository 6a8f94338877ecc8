"""Under which key the versions of one lab order's results chain, whichever door they came by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from mapping.collection_time import collected_at
from mapping.report import LabReport

# Analysers number from 1 each morning or send a rack position: such a number names an order
# only together with its day.
_SHORTEST_LASTING_NUMBER = 6


def order_identity(
    report: LabReport, order_code: str, lab_code: str = "", clinic_code: str = ""
) -> str:
    """A key (64 hex digits) that is equal for preliminary, final and corrected results of one
    order and different for any two orders.

    It is made of lab, clinic, patient, order code and the first of: filler order number, placer
    order number, accession number (with the collection time: one accession may hold several
    specimens), collection time. ``lab_code`` and ``clinic_code`` are the institution codes that
    :func:`mapping.agreements.parties_of` found. The key is a digest, so it may stand in a log.
    """
    return order_identities(report, (order_code,), lab_code, clinic_code)[0]


def order_identities(
    report: LabReport, order_codes: Sequence[str], lab_code: str, clinic_code: str
) -> list[str]:
    """:func:`order_identity` of each of the orders that a report answers."""
    patient = report.patient
    person = patient.national_id or f"chart {patient.chart_number}/{patient.birth_on}"
    parties = (lab_code or report.lab_code, clinic_code or report.clinic_code)
    number = _number_of(report)
    said = [json.dumps((*parties, person, order_code, *number)) for order_code in order_codes]
    return [hashlib.sha256(each.encode()).hexdigest() for each in said]


def _number_of(report: LabReport) -> tuple[str, ...]:
    taken = collected_at(report, report.observations)
    day = taken[0].day.isoformat() if taken else ""
    numbers = (("filler", report.filler_order_number), ("placer", report.placer_order_number))
    for kind, number in numbers:
        number = number.strip()
        if number:
            return (kind, number, day if len(number) < _SHORTEST_LASTING_NUMBER else "")
    minute = taken[0].at.strftime("%Y%m%d%H%M") if taken else ""
    return ("accession", report.accession_number.strip(), minute)
