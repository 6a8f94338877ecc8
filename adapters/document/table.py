"""A result as rows of a table: one row a line, every cell the laboratory's own text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from adapters.ports.report_view import ReportView
from mapping.moment import Moment, Precision
from mapping.report import ObservationStatus, ReferenceRange, ReportStatus
from mapping.values import parse_decimal

COLUMNS = (
    "院所代碼",
    "檢驗所代碼",
    "身分證號",
    "病歷號",
    "姓名",
    "出生日期",
    "性別",
    "醫令單號",
    "檢驗單號",
    "檢體編號",
    "檢驗項目",
    "檢體",
    "採檢時間",
    "收件時間",
    "報告時間",
    "報告狀態",
    "項目代碼",
    "代碼系統",
    "項目名稱",
    "檢驗值",
    "單位",
    "參考值",
    "異常註記",
    "項目狀態",
    "方法",
    "備註",
)
REPORT_STATUS = {
    ReportStatus.PRELIMINARY: "初步報告",
    ReportStatus.FINAL: "正式報告",
    ReportStatus.CORRECTED: "更正報告",
    ReportStatus.CANCELLED: "取消",
}
LINE_STATUS = {
    ObservationStatus.PRELIMINARY: "初步",
    ObservationStatus.FINAL: "正式",
    ObservationStatus.CORRECTED: "更正",
    ObservationStatus.WITHDRAWN: "撤回",
    ObservationStatus.NOT_DONE: "未執行",
}
_FORMULA_STARTS = "=+-@\t\r＝＋－＠"


def rows_of(view: ReportView) -> Iterator[tuple[str, ...]]:
    """The cells of each line, by :data:`COLUMNS`."""
    report = view.report
    patient, specimen = report.patient, report.specimen
    service = next((each.display or each.code for each in report.service), "")
    head = (
        view.clinic_code,
        view.lab_code,
        patient.national_id,
        patient.chart_number,
        patient.name,
        patient.birth_on.isoformat() if patient.birth_on else "",
        patient.sex,
        report.placer_order_number,
        report.filler_order_number,
        report.accession_number,
        service,
        specimen.kind,
        time_text(specimen.collected_at),
        time_text(specimen.received_at),
        time_text(report.reported_at),
        REPORT_STATUS[report.status],
    )
    for line in view.lines:
        first = next(iter(line.codings), None)
        yield (
            *head,
            first.code if first else "",
            first.system if first else "",
            next((each.display for each in line.codings if each.display), ""),
            line.value,
            line.unit,
            reference_text(line.reference),
            " ".join(line.abnormal_flags),
            LINE_STATUS[line.status],
            line.method,
            "\n".join((*line.notes, *(report.notes))),
        )


def write_csv(view: ReportView) -> bytes:
    """UTF-8 with a byte-order mark, as spreadsheets expect it, CRLF. A cell that a spreadsheet
    would take for a formula has an apostrophe before it (OWASP, CSV injection)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows_of(view):
        writer.writerow([as_text(cell) for cell in row])
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8")


def as_text(cell: str) -> str:
    """``cell``, which no spreadsheet runs: numbers and signs alone (``-``, ``++``) stay as they
    are, since they call nothing."""
    if not cell or cell.lstrip(" ")[:1] not in _FORMULA_STARTS or cell.lstrip(" ") == "":
        return cell
    if parse_decimal(cell) is not None or not any(character.isalnum() for character in cell):
        return cell
    return "'" + cell


def reference_text(reference: ReferenceRange) -> str:
    """The range as the laboratory wrote it, or its bounds where it sent them apart."""
    if not (reference.low or reference.high or reference.text):
        return ""
    if reference.raw.strip():
        return reference.raw.strip()
    low, high = reference.low, reference.high
    # A lower bound alone is ``[70][]`` as in OBX-7 and at NHI: which bound it is must be seen.
    return reference.text or (f"{low} - {high}" if low and high else f"[{low}][{high}]")


def time_text(moment: Moment | None) -> str:
    """Taipei time, as exact as it was sent."""
    if moment is None:
        return ""
    form = {Precision.DAY: "%Y-%m-%d", Precision.MINUTE: "%Y-%m-%d %H:%M"}
    return moment.taipei.strftime(form.get(moment.precision, "%Y-%m-%d %H:%M:%S"))
