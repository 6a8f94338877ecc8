"""Synthetic reports and visits from which the conversion tests start."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from mapping.moment import TAIPEI, Moment, Precision
from mapping.profile import Agreement, Route, SourceProfile
from mapping.reference_range import parse_reference_range
from mapping.report import Coding, LabReport, Observation, Patient, Specimen
from mapping.visit import Order, Visit

CLINIC = "3501200000"
LAB = "JY00000001"
NATIONAL_ID = "A123456789"
PHYSICIAN = "B123456780"
BIRTH = date(1975, 7, 1)
CBC = ("RBC", "Hb", "PLT", "WBC", "Hct", "MCV", "MCH", "MCHC")
RECEIVED = datetime(2025, 3, 3, 2, 30, 15, tzinfo=UTC)

PROFILE = SourceProfile("lab", lab_code=LAB, clinic_code=CLINIC)
CLINIC_UPLOADS = Agreement(LAB, CLINIC, Route.CLINIC)
LAB_UPLOADS = Agreement(LAB, CLINIC, Route.LAB)


def at(
    day: int,
    hour: int = 0,
    minute: int = 0,
    precision: Precision = Precision.SECOND,
    month: int = 3,
) -> Moment:
    """A moment of 2025 on a Taipei clock."""
    return Moment(datetime(2025, month, day, hour, minute, tzinfo=TAIPEI), precision)


def line(name: str, value: str = "5.0", unit: str = "", **more: Any) -> Observation:
    """A line under the lab's own code ``name``; ``reference`` may be given as text."""
    if isinstance(more.get("reference"), str):
        more["reference"] = parse_reference_range(more["reference"])
    codings = more.pop("codings", (Coding(name, name, "L"),))
    return Observation(codings, value, "NM", unit, place=more.pop("place", "OBX[1]"), **more)


def report(*observations: Observation, service: str = "", **more: Any) -> LabReport:
    """A final report of one patient, collected on 2025-03-02 at 09:15, reported a day later."""
    start = LabReport(
        Patient(NATIONAL_ID, BIRTH, "F"),
        (Coding(service),) if service else (),
        observations,
        lab_code=LAB,
        clinic_code=CLINIC,
        filler_order_number="LAB20250302001",
        specimen=Specimen("Serum", at(2, 9, 15), at(2, 15, 30)),
        reported_at=at(3, 10, 20),
        place="OBR[1]",
    )
    return replace(start, **more)


def visit(*order_codes: str, day: int = 2, month: int = 3, **more: Any) -> Visit:
    """A visit at 09:00 of that day of 2025 with one order for each code."""
    start = Visit(
        CLINIC,
        NATIONAL_ID,
        BIRTH,
        at(day, 9, month=month).at,
        "01",
        "0012",
        date(2025, month, day),
        provider_id=PHYSICIAN,
        orders=tuple(Order(code) for code in order_codes),
    )
    return replace(start, **more)
