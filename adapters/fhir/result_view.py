"""A stored result → DiagnosticReport and Observations, as R4 and TW Core 0.3.3 have them.

What reads FHIR here reads the same report from it again. Values are the laboratory's own text: a
number that FHIR cannot write as it was sent stays a string. Who and what else belongs to a result
is contained in it, since only results are served.
"""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from adapters.fhir.coded_view import coded, flags, value_of
from adapters.fhir.merged_words import Line, merged_lines
from adapters.fhir.range_view import reference_ranges
from adapters.fhir.result_ids import report_id
from adapters.ports.results import StoredReport, Word
from mapping.moment import TAIPEI, Moment, Precision
from mapping.report import Attachment, LabReport, ObservationStatus, Patient, ReportStatus, Specimen

Resource = dict[str, Any]

_PERSON = "http://www.moi.gov.tw"
_INSTITUTION = "https://twcore.mohw.gov.tw/ig/twcore/CodeSystem/organization-identifier-tw"
_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+\-]+", re.ASCII | re.IGNORECASE)
_SEX = {"M": "male", "F": "female"}
_REPORT_STATUS = {
    ReportStatus.PRELIMINARY: "preliminary",
    ReportStatus.FINAL: "final",
    ReportStatus.CORRECTED: "corrected",
    ReportStatus.CANCELLED: "cancelled",
}
_LINE_STATUS = {
    ObservationStatus.PRELIMINARY: "preliminary",
    ObservationStatus.FINAL: "final",
    ObservationStatus.CORRECTED: "corrected",
    ObservationStatus.NOT_DONE: "cancelled",
    ObservationStatus.WITHDRAWN: "entered-in-error",
}
_LABORATORY = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "laboratory",
        }
    ]
}
_LAB_SERVICE = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "LAB"}]
}


def report_resource(stored: StoredReport, resource_id: str = "") -> Resource:
    """The DiagnosticReport of a result, which refers to its Observations. ``resource_id`` is the
    id that was asked for, where that is a later word's."""
    first, newest = stored.words[0], stored.words[-1]
    report = newest.report
    status = _REPORT_STATUS[report.status]
    if report.status is ReportStatus.CANCELLED and len(stored.words) > 1:
        status = "entered-in-error"
    identifiers = [
        _typed(name, value)
        for name, value in (
            ("FILL", report.filler_order_number),
            ("ACSN", report.accession_number),
        )
        if value
    ]
    taken = report.specimen.collected_at or _first_time(report)
    shared = _shared(newest)
    return _filled(
        {
            "resourceType": "DiagnosticReport",
            "id": resource_id or report_id(first),
            "meta": _meta(len(stored.words), stored.updated_at),
            "contained": list(shared.values()),
            "identifier": identifiers,
            "basedOn": _based_on(shared),
            "status": status,
            "category": [_LAB_SERVICE],
            "code": coded(report.service, "Laboratory report"),
            "subject": {"reference": "#patient"},
            "effectiveDateTime": _date_time(taken),
            "issued": _instant(report.reported_at),
            "performer": _performers(newest.lab_code),
            "resultsInterpreter": _persons(report.reporting_physician_id),
            "specimen": [{"reference": "#specimen"}] if "specimen" in shared else [],
            "result": [
                {"reference": f"Observation/{line.resource_id}"} for line in merged_lines(stored)
            ],
            "conclusion": "\n".join(note for note in report.notes if note.strip()),
            "presentedForm": [_attachment(item) for item in report.attachments],
        }
    )


def line_resource(stored: StoredReport, line: Line, resource_id: str = "") -> Resource:
    """The Observation of one line of a result."""
    newest = stored.words[-1]
    said, report = line.observation, newest.report
    shared = _shared(newest)
    value, unit_note = value_of(said)
    notes = [*said.notes, *unit_note]
    pending = said.status is ObservationStatus.PRELIMINARY
    absent = {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/data-absent-reason",
                "code": "temp-unknown" if pending else "unknown",
            }
        ]
    }
    return _filled(
        {
            "resourceType": "Observation",
            "id": resource_id or line.resource_id,
            "meta": _meta(line.version, line.updated_at),
            "contained": list(shared.values()),
            "identifier": [{"type": {"text": "OBX-4"}, "value": said.sub_id}]
            if said.sub_id
            else [],
            "basedOn": _based_on(shared),
            "status": _LINE_STATUS[said.status],
            "category": [_LABORATORY],
            "code": coded(said.codings, "Laboratory result"),
            "subject": {"reference": "#patient"},
            "effectiveDateTime": _date_time(said.observed_at or report.specimen.collected_at),
            "issued": _instant(report.reported_at),
            "performer": [*_performers(newest.lab_code), *_persons(said.performer_id)],
            **value,
            "dataAbsentReason": {} if value else absent,
            "interpretation": flags(said.abnormal_flags),
            "note": [{"text": note} for note in notes if note.strip()],
            "method": {"text": said.method} if said.method.strip() else {},
            "specimen": {"reference": "#specimen"} if "specimen" in shared else {},
            "referenceRange": reference_ranges(said.reference, said.unit),
        }
    )


def line_time(stored: StoredReport, line: Line) -> Moment | None:
    """The effective time of an Observation."""
    return line.observation.observed_at or stored.words[-1].report.specimen.collected_at


def report_time(stored: StoredReport) -> Moment | None:
    """The effective time of a DiagnosticReport."""
    report = stored.words[-1].report
    return report.specimen.collected_at or _first_time(report)


def instant(at: datetime) -> str:
    """An aware datetime as a FHIR instant in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shared(word: Word) -> dict[str, Resource]:
    """The contained resources by their id: the patient, and what is known of order, specimen."""
    report = word.report
    shared = {"patient": _patient(report.patient)}
    order = _filled(
        {
            "resourceType": "ServiceRequest",
            "id": "order",
            "identifier": [_typed("PLAC", report.placer_order_number)]
            if report.placer_order_number
            else [],
            "status": "unknown",
            "intent": "order",
            "subject": {"reference": "#patient"},
            "authoredOn": _date_time(report.ordered_at),
            "requester": _performers(word.clinic_code)[0] if word.clinic_code else {},
        }
    )
    if order.keys() & {"identifier", "authoredOn", "requester"}:
        shared["order"] = order
    specimen = _specimen(report.specimen)
    if len(specimen) > 2:
        shared["specimen"] = specimen
    return shared


def _specimen(specimen: Specimen) -> Resource:
    collected = _date_time(specimen.collected_at)
    return _filled(
        {
            "resourceType": "Specimen",
            "id": "specimen",
            "type": {"text": specimen.kind} if specimen.kind.strip() else {},
            "receivedTime": _date_time(specimen.received_at),
            "collection": {"collectedDateTime": collected} if collected else {},
        }
    )


def _patient(patient: Patient) -> Resource:
    identifiers = []
    if patient.national_id:
        identifiers.append({"system": _PERSON, "value": patient.national_id})
    if patient.chart_number:
        identifiers.append(_typed("MR", patient.chart_number))
    return _filled(
        {
            "resourceType": "Patient",
            "id": "patient",
            "identifier": identifiers,
            "name": [{"text": patient.name}] if patient.name.strip() else [],
            "gender": _SEX.get(patient.sex, ""),
            "birthDate": patient.birth_on.isoformat() if patient.birth_on else "",
        }
    )


def _attachment(item: Attachment) -> Resource:
    """The document itself; what the sender keeps elsewhere is named, and not linked."""
    name = next((each.display or each.code for each in item.codings), "") or "Document"
    return _filled(
        {
            "contentType": item.media_type if _MEDIA_TYPE.fullmatch(item.media_type) else "",
            "data": b64encode(item.content).decode("ascii"),
            "title": name if item.content else f"{name} (not sent; the laboratory keeps it)",
        }
    )


def _typed(name: str, value: str) -> Resource:
    return {"type": {"coding": [{"system": _TYPES, "code": name}]}, "value": value}


def _based_on(shared: dict[str, Resource]) -> list[Resource]:
    return [{"reference": "#order"}] if "order" in shared else []


def _performers(institution_code: str) -> list[Resource]:
    if not institution_code:
        return []
    identifier = {"system": _INSTITUTION, "value": institution_code}
    return [{"type": "Organization", "identifier": identifier}]


def _persons(national_id: str) -> list[Resource]:
    if not national_id:
        return []
    return [
        {"type": "Practitioner", "identifier": {"system": _PERSON, "value": national_id}},
    ]


def _first_time(report: LabReport) -> Moment | None:
    times = [line.observed_at for line in report.observations if line.observed_at is not None]
    return min(times, key=lambda moment: moment.at, default=None)


def _date_time(moment: Moment | None) -> str:
    """A dateTime: a day stays a day; FHIR has no time without seconds (R4 datatypes.html)."""
    if moment is None:
        return ""
    if moment.precision is Precision.DAY:
        return moment.day.isoformat()
    return moment.at.astimezone(TAIPEI).isoformat(timespec="seconds")


def _instant(moment: Moment | None) -> str:
    """An instant must be known to the second, so that a day alone is none."""
    return "" if moment is None or moment.precision is Precision.DAY else _date_time(moment)


def _meta(version: int, updated_at: datetime) -> Resource:
    return {"versionId": str(version), "lastUpdated": instant(updated_at)}


def _filled(resource: Resource) -> Resource:
    """Without what is empty: FHIR knows no empty elements."""
    return {name: value for name, value in resource.items() if value not in ("", [], {})}
