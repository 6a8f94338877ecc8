"""LabReport → ORU^R01, HL7 v2.5.1: what a clinic's system is told of one result.

Segments are ``MSH PID ORC OBR {NTE} {OBX {NTE}} SPM`` (v2.5.1 section 7.3.1). Values, units, ranges
and names are the laboratory's own characters; a value goes out under the type it came in where
that type can hold it as it is, else as text. What :mod:`adapters.hl7.oru` reads from it is what was
written.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from adapters.hl7.escapes import Delimiters, escape
from mapping.errors import LabbrokerError
from mapping.moment import TAIPEI, Moment, Precision
from mapping.reference_range import parse_reference_range
from mapping.report import (
    Attachment,
    Coding,
    LabReport,
    Observation,
    ObservationStatus,
    ParentResult,
    ReferenceRange,
    ReportStatus,
)
from mapping.values import parse_decimal

CHARSETS: Final = {"utf-8": "UNICODE UTF-8", "cp950": "BIG-5"}
"""Codecs a message may be written in, with their names in MSH-18 (HL7 table 0211)."""

_USUAL: Final = Delimiters()
_REPORT_LETTER: Final = {
    ReportStatus.FINAL: "F",
    ReportStatus.PRELIMINARY: "P",
    ReportStatus.CORRECTED: "C",
    ReportStatus.CANCELLED: "X",
}
_LINE_LETTER: Final = {
    ObservationStatus.FINAL: "F",
    ObservationStatus.PRELIMINARY: "P",
    ObservationStatus.CORRECTED: "C",
    ObservationStatus.WITHDRAWN: "W",
    ObservationStatus.NOT_DONE: "X",
}
_FORMATS: Final = {
    Precision.DAY: "%Y%m%d",
    Precision.MINUTE: "%Y%m%d%H%M%z",
    Precision.SECOND: "%Y%m%d%H%M%S%z",
}
_COMPARED: Final = re.compile(r"(<=|>=|<|>)([0-9]+(?:\.[0-9]+)?)")
# 2.A.74: a string is at most 199 characters; longer ones are text.
_LONGEST_STRING: Final = 199
_CONTROL: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NULL: Final = '""'
_TEXT_TYPES: Final = ("TX", "FT")


class Unwritable(LabbrokerError):
    """A report that cannot be written as a message without changing it: for a person."""

    code = "hl7-unwritable"
    en = (
        "The report cannot be written as an HL7 message: {reason}.",
        "Deliver it another way (the console, a PDF), or ask the laboratory for a corrected one.",
    )
    zh = (
        "報告無法寫成 HL7 訊息：{reason}。",
        "請改以其他方式（主控台、PDF）交付，或請檢驗所更正後重送。",
    )


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a message says of itself. ``sent_at`` is aware; ``charset`` is a key of
    :data:`CHARSETS`. Institution codes are ours."""

    control_id: str
    sent_at: datetime
    lab_code: str = ""
    clinic_code: str = ""
    sending_application: str = "LABBROKER"
    receiving_application: str = ""
    receiving_facility: str = ""
    charset: str = "utf-8"


def write_oru(report: LabReport, envelope: Envelope) -> bytes:
    """The message of one report. Raises :class:`Unwritable`."""
    lines = [_msh(envelope), _pid(report), _orc(report, envelope), _obr(report)]
    lines += [_nte(number, note) for number, note in enumerate(report.notes, start=1)]
    previous = ""
    for number, line in enumerate(report.observations, start=1):
        head = _obx_head(line, previous)
        lines.append(_obx(number, line, head, envelope.lab_code))
        previous = head
        lines += [_nte(at, note) for at, note in enumerate(line.notes, start=1)]
    for number, item in enumerate(report.attachments, start=len(report.observations) + 1):
        lines.append(_document(number, item))
    specimen = _spm(report)
    text = "".join(line + "\r" for line in (*lines, *([specimen] if specimen else [])))
    if _CONTROL.search(text):
        raise Unwritable(reason="it holds a control character")
    try:
        raw = text.encode(envelope.charset)
        if raw.decode(envelope.charset) != text:
            raise Unwritable(reason=f"{envelope.charset} has no own place for a character of it")
    except UnicodeError:
        raise Unwritable(reason=f"{envelope.charset} lacks a character of it") from None
    return raw


def _msh(envelope: Envelope) -> str:
    return "MSH|^~\\&" + _fields(
        {
            3: _text(envelope.sending_application),
            4: _text(envelope.lab_code),
            5: _text(envelope.receiving_application),
            6: _text(envelope.receiving_facility or envelope.clinic_code),
            7: envelope.sent_at.astimezone(TAIPEI).strftime(_FORMATS[Precision.SECOND]),
            9: "ORU^R01^ORU_R01",
            10: _text(envelope.control_id),
            11: "P",
            12: "2.5.1",
            18: CHARSETS[envelope.charset],
        },
        first=3,
    )


def _pid(report: LabReport) -> str:
    patient = report.patient
    ids = []
    if patient.national_id:
        ids.append(f"{_text(patient.national_id)}^^^^NNTWN")
    if patient.chart_number:
        ids.append(f"{_text(patient.chart_number)}^^^^MR")
    birth = patient.birth_on.strftime("%Y%m%d") if patient.birth_on else ""
    return _segment(
        "PID", {1: "1", 3: "~".join(ids), 5: _text(patient.name), 7: birth, 8: _text(patient.sex)}
    )


def _orc(report: LabReport, envelope: Envelope) -> str:
    clinic = f"^^^^^^FI^^^{_text(envelope.clinic_code)}" if envelope.clinic_code else ""
    return _segment(
        "ORC",
        {
            1: "RE",
            2: _text(report.placer_order_number),
            3: _text(report.filler_order_number),
            21: clinic,
        },
    )


def _obr(report: LabReport) -> str:
    parent = report.parent or ParentResult()
    parent_orders = (parent.placer_order_number, parent.filler_order_number)
    return _segment(
        "OBR",
        {
            1: "1",
            2: _text(report.placer_order_number),
            3: _text(report.filler_order_number),
            4: _codings(report.service),
            6: _moment(report.ordered_at),
            7: _moment(report.specimen.collected_at),
            14: _moment(report.specimen.received_at),
            16: _text(report.ordering_provider_id),
            22: _moment(report.reported_at),
            24: "LAB",
            25: _REPORT_LETTER[report.status],
            26: _parent_result(parent),
            29: "^".join(map(_text, parent_orders)).rstrip("^"),
            32: _text(report.reporting_physician_id),
        },
    )


def _parent_result(parent: ParentResult) -> str:
    first = next(iter(parent.codings), None)
    code = (
        "&".join(map(_text, (first.code, first.display, first.system))).rstrip("&") if first else ""
    )
    return "^".join((code, _text(parent.sub_id), _text(parent.value))).rstrip("^")


def _obx_head(line: Observation, previous: str) -> str:
    """OBX-2 to OBX-5. ``previous`` is that of the line before: two texts under one code would be
    taken for one that goes on (section 7.4.2, running text)."""
    if not any(coding.code or coding.display for coding in line.codings):
        raise Unwritable(reason="a result of it has no code and no name")
    value_type, value = _value(line)
    code, sub_id = _codings(line.codings), _text(line.sub_id)
    if value_type in _TEXT_TYPES:
        other, before, before_sub_id = (*previous.split("|"), "", "", "")[:3]
        if other == value_type and (before, before_sub_id) == (code, sub_id):
            value_type = "ST"
    return "|".join((value_type, code, sub_id, value))


def _obx(number: int, line: Observation, head: str, lab_code: str) -> str:
    value_type, code, sub_id, value = head.split("|")
    flags = "~".join(_text(flag) for flag in line.abnormal_flags if flag)
    return _segment(
        "OBX",
        {
            1: str(number),
            2: value_type,
            3: code,
            4: sub_id,
            5: value,
            6: _text(line.unit),
            7: _text(range_text(line.reference)),
            8: flags,
            11: _LINE_LETTER[line.status],
            14: _moment(line.observed_at),
            16: _text(line.performer_id),
            17: f"^{_text(line.method)}" if line.method else "",
            19: _moment(line.analysed_at),
            23: f"^^^^^^FI^^^{_text(lab_code)}" if lab_code else "",
        },
    )


def _value(line: Observation) -> tuple[str, str]:
    """OBX-2 and OBX-5."""
    text, sent_as = line.value, line.value_type
    if not text:
        return (sent_as if sent_as in ("NM", "ST", "TX", "FT") else "ST"), ""
    if text == _NULL:
        return "ST", "\\X2222\\"
    if "\n" in text or "\r" in text:
        return "FT", _text(text)
    if (
        sent_as in ("NM", "Quantity", "")
        and text == text.strip()
        and parse_decimal(text) is not None
    ):
        return "NM", text
    if sent_as in ("SN", "Quantity") and (compared := _COMPARED.fullmatch(text)):
        return "SN", f"{compared[1]}^{compared[2]}"
    return ("TX" if len(text) > _LONGEST_STRING else "ST"), _text(text)


def range_text(reference: ReferenceRange) -> str:
    """OBX-7: as the laboratory wrote it; else the shortest writing that says its bounds and no
    more (``[70][]`` is how NHI shows a lower bound alone)."""
    low, high, words = reference.low, reference.high, reference.text
    if not (low or high or words):
        return ""
    between = f"{low}-{high}" if low and high else low or high
    for text in (reference.raw, words or between, f"[{low}][{high}]"):
        read = parse_reference_range(text)
        if text and (read.low, read.high, read.text) == (low, high, words):
            return text
    return reference.raw or words or between


def _document(number: int, item: Attachment) -> str:
    kind, _, subtype = item.media_type.partition("/")
    if item.content:
        data = binascii.b2a_base64(item.content, newline=False).decode("ascii")
        value_type, value = "ED", f"^{_text(kind)}^{_text(subtype)}^Base64^{data}"
    else:
        value_type, value = "RP", f"{_text(item.reference)}^^{_text(kind)}^{_text(subtype)}"
    codings = item.codings or (Coding("", "Document"),)
    return _segment("OBX", {1: str(number), 2: value_type, 3: _codings(codings), 5: value, 11: "F"})


def _spm(report: LabReport) -> str:
    specimen = report.specimen
    if not (report.accession_number or specimen.kind):
        return ""
    return _segment(
        "SPM",
        {
            1: "1",
            2: f"^{_text(report.accession_number)}" if report.accession_number else "",
            4: f"^{_text(specimen.kind)}" if specimen.kind else "",
            17: _moment(specimen.collected_at),
            18: _moment(specimen.received_at),
        },
    )


def _nte(number: int, note: str) -> str:
    return _segment("NTE", {1: str(number), 2: "L", 3: _text(note)})


def _codings(codings: tuple[Coding, ...]) -> str:
    """CWE: two codings, a third where v2.7 has it."""
    parts = [""] * 12
    for start, coding in zip((0, 3, 9), codings, strict=False):
        parts[start : start + 3] = (coding.code, coding.display, coding.system)
    return "^".join(map(_text, parts)).rstrip("^")


def _moment(moment: Moment | None) -> str:
    return moment.taipei.strftime(_FORMATS[moment.precision]) if moment else ""


def _text(text: str) -> str:
    return escape(text, _USUAL) if text else ""


def _segment(name: str, fields: dict[int, str]) -> str:
    return name + _fields(fields, first=1)


def _fields(fields: dict[int, str], first: int) -> str:
    last = max((number for number, value in fields.items() if value), default=first - 1)
    return "".join("|" + fields.get(number, "") for number in range(first, last + 1))
