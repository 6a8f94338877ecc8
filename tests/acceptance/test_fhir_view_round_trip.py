"""Each result of the corpora, shown as FHIR and read again, says what the laboratory said.

``LABBROKER_CORPUS`` names the folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from fhir.resources.R4B import get_fhir_model_class

from adapters.fhir.bundle import read_fhir_json, read_fhir_xml
from adapters.fhir.literals import is_decimal_literal
from adapters.fhir.merged_words import merged_lines
from adapters.fhir.representation import Format, write
from adapters.fhir.result_view import line_resource, report_resource
from adapters.fhir.strict_json import read_json
from adapters.hl7.oru import read_hl7
from adapters.ports.results import StoredReport, Word
from mapping.errors import UnreadablePayload
from mapping.moment import Moment
from mapping.report import LabReport
from tests.acceptance.test_fhir_corpus import CORPUS, fhir_files, pytestmark
from tests.conftest import Tell
from tests.fhir.samples import PROFILE, national_id

__all__ = ["pytestmark"]
NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


def reports() -> Iterator[LabReport]:
    readers = [
        (path, read_fhir_xml if path.suffix == ".xml" else read_fhir_json) for path in fhir_files()
    ]
    readers += [
        (path, read_hl7)
        for path in sorted((CORPUS / "hl7v2").rglob("*"))
        if path.is_file() and path.stat().st_size < 1_000_000
    ]
    for path, reader in readers:
        try:
            for report in reader(path.read_bytes(), PROFILE).reports:
                # Two copies of a patient are one person by the national id alone.
                number = report.patient.national_id or national_id()
                yield replace(report, patient=replace(report.patient, national_id=number))
        except UnreadablePayload:
            continue


def shown(report: LabReport, form: Format) -> bytes:
    stored = StoredReport(1, (Word(1, 1, NOW, report, report.lab_code, report.clinic_code),))
    resources = [report_resource(stored)]
    resources += [line_resource(stored, line) for line in merged_lines(stored)]
    for resource in resources[:3]:
        model = get_fhir_model_class(resource["resourceType"])
        model.model_validate(read_json(write(resource, Format.JSON)))
    entries = [{"resource": resource} for resource in resources]
    return write({"resourceType": "Bundle", "type": "collection", "entry": entries}, form)


def at(moment: Moment | None) -> datetime | None:
    """FHIR has no time without seconds: a minute is shown with ``:00``."""
    return moment.at if moment else None


def test_what_is_shown_is_what_was_said(tell: Tell) -> None:
    tally: Counter[str] = Counter()
    both = ((Format.JSON, read_fhir_json), (Format.XML, read_fhir_xml))
    for number, report in enumerate(reports()):
        for form, reader in both[: 1 + (number % 10 == 0)]:
            if not report.observations:
                shown(report, form)
                continue
            (again, *others) = reader(shown(report, form), PROFILE).reports
            assert others == []
            assert again.patient == report.patient
            assert again.specimen.kind == report.specimen.kind
            assert at(again.specimen.collected_at) == at(report.specimen.collected_at)
            assert at(again.specimen.received_at) == at(report.specimen.received_at)
            assert again.status == report.status
            assert again.placer_order_number == report.placer_order_number
            assert again.accession_number == report.accession_number
            lines = [line for line in report.observations if line.value.strip()]
            kept = [line for line in again.observations if line.value.strip()]
            assert [line.value for line in kept] == [line.value for line in lines]
            for line, same in zip(lines, kept, strict=True):
                numeric = same.value_type == "Quantity"
                assert same.unit == (line.unit if numeric else "") or not line.unit.strip()
                bounds = [line.reference.low, line.reference.high]
                if all(is_decimal_literal(bound) for bound in bounds if bound):
                    assert [same.reference.low, same.reference.high] == bounds
                assert same.reference.raw == line.reference.raw
                assert list(same.abnormal_flags) == [it for it in line.abnormal_flags if it.strip()]
                tally["numbers" if numeric else "texts"] += 1
    tell(str(dict(tally)))
    assert tally["numbers"] > 500
    assert tally["texts"] > 200
