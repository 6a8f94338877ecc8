"""A checked file as one JSON object."""

from __future__ import annotations

import json
from typing import Any

from broker.cli.file_check import FileCheck
from broker.cli.record_preview import RecordPreview
from mapping.errors import Language
from mapping.finding import Finding
from mapping.moment import Moment, Precision
from mapping.record import Fields
from mapping.report import LabReport, Observation


def finding_as_json(file: str, finding: Finding, language: Language) -> str:
    """``{"file", "code", "severity", "field", "place", "message", "remedy"}`` on one line."""
    return json.dumps({"file": file, **_finding(finding, language)}, ensure_ascii=False)


def summary_as_json(result: FileCheck, language: Language) -> str:
    """``{"file", "kind", "message", "record_count", "visits", "counts", "error"}`` on one line."""
    return json.dumps(
        {
            "file": result.file,
            "kind": result.kind,
            "message": result.message,
            "record_count": result.record_count,
            "visits": result.visits,
            "counts": _counts(result),
            "error": _error(result, language),
        },
        ensure_ascii=False,
    )


def check_as_json(result: FileCheck, language: Language) -> str:
    """``{"file", "kind", "message", "reports", "records", "record_count", "visits", "findings",
    "counts", "error"}`` on one line; the shapes are in ``docs/reference/command-line.md``."""
    return json.dumps(
        {
            "file": result.file,
            "kind": result.kind,
            "message": result.message,
            "reports": [_report(report) for report in result.reports],
            "records": [_record(preview) for preview in result.records],
            "record_count": result.record_count,
            "visits": result.visits,
            "findings": [_finding(finding, language) for finding in result.findings],
            "counts": _counts(result),
            "error": _error(result, language),
        },
        ensure_ascii=False,
    )


def finding_texts(finding: Finding, language: Language) -> tuple[str, str]:
    """Sentence and remedy; the bare code where the catalogue of texts has a gap."""
    try:
        return finding.message(language), finding.remedy(language)
    except (KeyError, IndexError):
        return finding.code, ""


def _counts(result: FileCheck) -> list[dict[str, str | int]]:
    return [
        {"code": code, "severity": severity.value, "field": field, "count": count}
        for (severity, code, field), count in result.counts.most_common()
    ]


def _finding(finding: Finding, language: Language) -> dict[str, str]:
    message, remedy = finding_texts(finding, language)
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "field": finding.field,
        "place": finding.place,
        "message": message,
        "remedy": remedy,
    }


def _error(result: FileCheck, language: Language) -> dict[str, str] | None:
    if result.error is None:
        return None
    shown = {
        "code": result.error.code,
        "message": result.error.sentence(language),
        "remedy": result.error.remedy(language),
    }
    return {**shown, "place": result.fault_place} if result.fault_place else shown


def _report(report: LabReport) -> dict[str, Any]:
    return {
        "place": report.place,
        "status": report.status.value,
        "service": [_coding(code.code, code.display, code.system) for code in report.service],
        "national_id": report.patient.national_id,
        "lab_code": report.lab_code,
        "clinic_code": report.clinic_code,
        "placer_order_number": report.placer_order_number,
        "filler_order_number": report.filler_order_number,
        "collected_at": _moment(report.specimen.collected_at),
        "reported_at": _moment(report.reported_at),
        "observations": [_observation(each) for each in report.observations],
    }


def _observation(observation: Observation) -> dict[str, Any]:
    return {
        "place": observation.place,
        "status": observation.status.value,
        "codes": [_coding(code.code, code.display, code.system) for code in observation.codings],
        "value": observation.value,
        "unit": observation.unit,
        "reference": observation.reference.raw,
        "flags": list(observation.abnormal_flags),
    }


def _coding(code: str, display: str, system: str) -> dict[str, str]:
    return {"code": code, "display": display, "system": system}


def _moment(moment: Moment | None) -> str | None:
    if moment is None:
        return None
    if moment.precision is Precision.DAY:
        return moment.day.isoformat()
    return moment.taipei.isoformat()


def _record(preview: RecordPreview) -> dict[str, Any]:
    return {
        "place": preview.place,
        "order_code": preview.order_code,
        "fields": _fields(preview.record.header),
        "rows": [_fields(row) for row in preview.record.rows],
        "needs": dict(preview.needs),
    }


def _fields(fields: Fields) -> dict[str, dict[str, str]]:
    return {tag: {"value": field.value, "origin": field.origin} for tag, field in fields.items()}
