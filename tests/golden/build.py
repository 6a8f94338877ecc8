"""From a written-down laboratory result (``inputs/*.toml``) to the upload file that it becomes."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from mapping.codes import split_orders
from mapping.convert import convert, stamp_upload_time
from mapping.editions.edition import edition_on
from mapping.finding import Finding
from mapping.moment import TAIPEI, Moment
from mapping.package_file import write_package
from mapping.profile import Agreement, CodeLink, Route, SourceProfile
from mapping.record import UploadRecord
from mapping.reference_range import parse_reference_range
from mapping.report import Coding, LabReport, Observation, Patient, Specimen
from mapping.rules import RuleContext
from mapping.upload_xml import write_upload
from mapping.visit import Order, Visit

FOLDER = Path(__file__).parent
INPUTS = sorted((FOLDER / "inputs").glob("*.toml"))
CLINIC, LAB, STEM = "3501200000", "JY00000001", "35012000001140303001"
UPLOAD_DAY = date(2025, 3, 3)
CONTEXT = RuleContext(today=UPLOAD_DAY, upload_on=UPLOAD_DAY, sealed=True)
"""The rules on the day on which the golden files are uploaded."""

_PERSON, _PHYSICIAN, _BIRTH = "A223456781", "B123456780", date(1975, 7, 1)
_VISITED = datetime(2025, 3, 2, 9, 0, tzinfo=TAIPEI).astimezone(UTC)
_RECEIVED = datetime(2025, 3, 3, 10, 30, 15, tzinfo=TAIPEI).astimezone(UTC)
_SEALED = datetime(2025, 3, 3, 10, 45, 0, tzinfo=TAIPEI)


@dataclass(frozen=True, slots=True)
class Golden:
    """What an input becomes; ``title`` says what it shows."""

    title: str
    record: UploadRecord
    findings: tuple[Finding, ...]

    def xml(self) -> bytes:
        """The upload file with this one record."""
        out = io.BytesIO()
        write_upload((self.record,), out, edition_on(UPLOAD_DAY))
        return out.getvalue()

    def package(self) -> bytes:
        """The same in its ZIP."""
        out = io.BytesIO()
        write_package((self.record,), STEM, out)
        return out.getvalue()


def golden_file(path: Path) -> Path:
    """The XML beside the folder of inputs that belongs to the input ``path``."""
    return FOLDER / f"{path.stem}.xml"


def build(path: Path) -> Golden:
    """Convert one input with the made-up clinic, laboratory and patient."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    profile = SourceProfile(
        "golden",
        lab_code=LAB,
        clinic_code=CLINIC,
        codes={n: CodeLink(data["order"], r1) for n, r1 in data.get("numbers", {}).items()},
        default_unit=data.get("unit", ""),
        default_method=data.get("method", ""),
        default_reference=data.get("reference", ""),
    )
    report = _report(data)
    (result,) = split_orders(report, profile).orders
    order = Order(data["order"], body_parts=data.get("body_parts", ""))
    agreement = Agreement(LAB, CLINIC, Route(data.get("agreement", {}).get("route", "clinic")))
    conversion = convert(report, result, _visit(data), order, agreement, profile, _RECEIVED)
    return Golden(data["title"], stamp_upload_time(conversion.record, _SEALED), conversion.findings)


def _report(data: Mapping[str, Any]) -> LabReport:
    return LabReport(
        Patient(_PERSON, _BIRTH, "F"),
        (Coding(data["order"]),),
        tuple(_line(n, line) for n, line in enumerate(data["lines"], start=1)),
        lab_code=LAB,
        clinic_code=CLINIC,
        filler_order_number="G20250302001",
        specimen=Specimen(data["specimen"], _at(2, 9, 15), _at(2, 15, 30)),
        reported_at=_at(3, 10, 20),
        ordering_provider_id=_PHYSICIAN,
        place="OBR[1]",
    )


def _line(number: int, line: Mapping[str, Any]) -> Observation:
    return Observation(
        (Coding(line["name"], line["name"], "L"),),
        line["value"] * line.get("times", 1),
        "ST",
        line.get("unit", ""),
        parse_reference_range(line.get("range", ""), "F"),
        (line["flag"],) if "flag" in line else (),
        method=line.get("method", ""),
        place=f"OBX[{number}]",
    )


def _visit(data: Mapping[str, Any]) -> Visit:
    values: dict[str, Any] = {
        "visit_type": "01",
        "visit_serial": "0012",
        "provider_id": _PHYSICIAN,
        **data.get("visit", {}),
    }
    return Visit(CLINIC, _PERSON, _BIRTH, _VISITED, visit_on=date(2025, 3, 2), **values)


def _at(day: int, hour: int, minute: int) -> Moment:
    return Moment(datetime(2025, 3, day, hour, minute, tzinfo=TAIPEI))
