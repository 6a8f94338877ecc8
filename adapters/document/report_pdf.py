"""A laboratory report on A4, in Traditional Chinese (:mod:`adapters.document.faces`).

The same view gives the same bytes. What lies outside the lines of the table: whose result, from
which specimen, which version; then each item with value, flag, unit, range and what the same
patient had before. Whose result it is stands on every page.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from adapters.document.faces import (
    HAN,
    LATIN,
    UNSURE,
    is_all_sure,
    is_latin,
    register_faces,
    runs,
    width_of,
)
from adapters.document.sparkline import Sparkline
from adapters.document.table import LINE_STATUS, REPORT_STATUS, reference_text, time_text
from adapters.ports.report_view import ReportView, TrendPoint
from mapping.critical import CRITICAL_FLAGS
from mapping.moment import TAIPEI as _TAIPEI
from mapping.report import Observation, ObservationStatus, ReportStatus
from mapping.values import is_outside

_INK = colors.HexColor("#1c2733")
_QUIET = colors.HexColor("#5b6875")
_RULE = colors.HexColor("#c9d1d9")
_BAND = colors.HexColor("#eef2f6")
_ALERT = colors.HexColor("#b3261e")
_WIDTHS = (56 * mm, 32 * mm, 10 * mm, 26 * mm, 28 * mm, 30 * mm)
_FOOT_SIZE = 7.5
_SMALLEST = 6.0
_MARGIN = 14 * mm
_SEX = {"M": "男", "F": "女"}
_SHOWN_POINTS = 3


def write_pdf(view: ReportView) -> bytes:
    """The document. Never raises for what a report says."""
    register_faces()
    made = io.BytesIO()
    document = SimpleDocTemplate(
        made,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=18 * mm,
        title="檢驗報告",
        author=view.heading or view.lab_code or "labbroker",
        subject=view.report.filler_order_number,
        creator="labbroker",
        invariant=1,
        lang="zh-TW",
    )
    story: list[Flowable] = [*_head(view), _particulars(view), Spacer(0, 4 * mm), _results(view)]
    notes = [note for note in view.report.notes if note.strip()]
    if notes:
        story += [Spacer(0, 4 * mm), Paragraph("備註", _style("label"))]
        story += [Paragraph(_markup(note), _style("cell")) for note in notes]
    if view.report.attachments:
        count = len(view.report.attachments)
        told = f"另有附件 {count} 份，請於系統中檢視。"
        story += [Spacer(0, 3 * mm), Paragraph(_markup(told), _style("quiet"))]
    if _is_unsure(view):
        story += [Spacer(0, 3 * mm), Paragraph(_markup(UNSURE), _style("quiet"))]
    foot = (_whose(view), _foot_of(view))
    document.build(story, canvasmaker=lambda *args, **more: _Paged(foot, *args, **more))
    return made.getvalue()


class _Paged(Canvas):  # type: ignore[misc]
    """Writes whose result it is and ``page n / of`` on each page, which is known only at the
    end."""

    def __init__(self, foot: tuple[str, str], *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._foot = foot
        self._states: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        self._states.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, state in enumerate(self._states, start=1):
            self.__dict__.update(state)
            whose, foot = self._foot
            page = f"第 {number} 頁，共 {len(self._states)} 頁"
            right = A4[0] - _MARGIN
            self.setStrokeColor(_RULE)
            self.setLineWidth(0.4)
            self.line(_MARGIN, 15.5 * mm, right, 15.5 * mm)
            self.setFillColor(_INK)
            self._write(_MARGIN, 12 * mm, whose)
            self.setFillColor(_QUIET)
            self._write(_MARGIN, 8.5 * mm, foot)
            self._write(right - width_of(page, _FOOT_SIZE), 12 * mm, page)
            super().showPage()
        super().save()

    def _write(self, left: float, bottom: float, text: str) -> None:
        line = self.beginText(left, bottom)
        for face, part in runs(text):
            line.setFont(face, _FOOT_SIZE)
            line.textOut(part)
        self.drawText(line)


def _head(view: ReportView) -> list[Flowable]:
    status = REPORT_STATUS[view.report.status]
    if view.version > 1:
        status += f"（第 {view.version} 版）"
    urgent = view.report.status in (ReportStatus.CORRECTED, ReportStatus.CANCELLED)
    title = Paragraph(_markup(view.heading or "檢驗報告"), _style("title"))
    kind = Paragraph(_markup(status), _style("urgent" if urgent else "status"))
    table = Table([[title, kind]], colWidths=(132 * mm, 50 * mm))
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "BOTTOM"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 0),
                ("LINEBELOW", (0, 0), (-1, -1), 1.2, _INK),
            ]
        )
    )
    return [table, Spacer(0, 3 * mm)]


def _particulars(view: ReportView) -> Table:
    report = view.report
    patient, specimen = report.patient, report.specimen
    service = next((each.display or each.code for each in report.service), "")
    pairs = [
        ("姓名", patient.name),
        ("身分證號", patient.national_id),
        ("出生日期", patient.birth_on.isoformat() if patient.birth_on else ""),
        ("性別", _SEX.get(patient.sex, "")),
        ("病歷號", patient.chart_number),
        ("院所", view.clinic_code),
        ("檢驗項目", service),
        ("檢體", specimen.kind),
        ("檢體編號", report.accession_number),
        ("檢驗單號", report.filler_order_number),
        ("採檢時間", time_text(specimen.collected_at)),
        ("檢驗所", view.lab_code),
        ("收件時間", time_text(specimen.received_at)),
        ("報告時間", time_text(report.reported_at)),
        ("醫令單號", report.placer_order_number),
    ]
    cells = [
        [part for pair in pairs[at : at + 3] for part in _pair(*pair)]
        for at in range(0, len(pairs), 3)
    ]
    table = Table(cells, colWidths=(18 * mm, 44 * mm, 18 * mm, 42 * mm, 18 * mm, 42 * mm))
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4),
                ("TOPPADDING", (0, 0), (-1, -1), 1.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
            ]
        )
    )
    return table


def _pair(name: str, value: str) -> tuple[Paragraph, Paragraph]:
    return Paragraph(name, _style("label")), Paragraph(_markup(value) or "—", _style("cell"))


def _results(view: ReportView) -> Table:
    names = ("項目", "結果", "註記", "單位", "參考值", "前次結果")
    cells: list[list[Any]] = [[Paragraph(name, _style("head")) for name in names]]
    style: list[tuple[Any, ...]] = [
        ("BACKGROUND", (0, 0), (-1, 0), _BAND),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, _RULE),
        ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ("RIGHTPADDING", (0, 0), (-1, -1), 3),
        ("TOPPADDING", (0, 0), (-1, -1), 3),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
    ]
    for at, line in enumerate(view.lines):
        is_long = len(line.value) > 40 or "\n" in line.value
        cells.append(_row(line, view.trends.get(at, ()), is_long))
        if is_long:
            style.append(("SPAN", (1, len(cells) - 1), (-1, len(cells) - 1)))
    if not view.lines:
        cells.append([Paragraph("（無檢驗結果）", _style("quiet")), "", "", "", "", ""])
        style.append(("SPAN", (0, 1), (-1, 1)))
    return Table(cells, colWidths=_WIDTHS, repeatRows=1, style=TableStyle(style), splitInRow=1)


def _row(line: Observation, trend: Sequence[TrendPoint], is_long: bool) -> list[Any]:
    outside = is_outside(line.value, line.reference, line.abnormal_flags) is True
    gone = line.status in (ObservationStatus.WITHDRAWN, ObservationStatus.NOT_DONE)
    value = _markup(line.value) or "—"
    if gone:
        value = f"<strike>{value}</strike>"
    look = "outside" if outside and not gone else "cell"
    result: list[Any] = [
        Paragraph(value, _style(look)) if is_long else _whole(line.value, _WIDTHS[1], look, value)
    ]
    told = [LINE_STATUS[line.status]] if line.status is not ObservationStatus.FINAL else []
    result += [Paragraph(_markup(each), _style("small")) for each in (*told, *line.notes)]
    if is_long:
        rest = [_markup(line.unit), _markup(reference_text(line.reference)), _markup(_flag(line))]
        under = "　".join(part for part in rest if part)
        if under:
            result.append(Paragraph(under, _style("quiet")))
        return [_item(line), result, "", "", "", ""]
    flag = _flag(line) or ("*" if outside else "")
    reference = reference_text(line.reference)
    is_critical = not CRITICAL_FLAGS.isdisjoint(
        each.strip().upper() for each in line.abnormal_flags
    )
    return [
        _item(line),
        result,
        Paragraph(_markup(flag), _style("critical" if is_critical else "flag")),
        _whole(line.unit, _WIDTHS[3], "cell") if line.unit else "",
        _whole(reference, _WIDTHS[4], "cell") if reference else "",
        _before(line, trend),
    ]


def _item(line: Observation) -> Paragraph:
    first = next(iter(line.codings), None)
    name = next((each.display for each in line.codings if each.display), "")
    code = first.code if first else ""
    told = _markup(name or code)
    if name and code:
        told += f'<br/><font size="7" color="#5b6875">{_markup(code)}</font>'
    if line.method:
        told += f'<font size="7" color="#5b6875">　{_markup(line.method)}</font>'
    return Paragraph(told, _style("cell"))


def _flag(line: Observation) -> str:
    return " ".join(line.abnormal_flags)


def _before(line: Observation, trend: Sequence[TrendPoint]) -> list[Flowable]:
    if not trend:
        return []
    shown: list[Flowable] = []
    drawn = Sparkline.of([*(point.value for point in trend), line.value])
    if drawn is not None:
        shown.append(drawn)
    for point in reversed(trend[-_SHOWN_POINTS:]):
        told = f"{point.value}　{point.at.taipei:%Y-%m-%d}"
        shown.append(Paragraph(_markup(told), _style("before")))
    return shown


def _whose(view: ReportView) -> str:
    """Short enough for one line: what is left of a long name, and the numbers whole."""
    patient = view.report.patient
    numbers = [
        patient.national_id or patient.chart_number,
        patient.birth_on.isoformat() if patient.birth_on else "",
        f"單號 {view.report.filler_order_number}" if view.report.filler_order_number else "",
    ]
    rest = "　".join(each for each in numbers if each)
    name, room = patient.name, A4[0] - 2 * _MARGIN - 30 * mm - width_of(rest, _FOOT_SIZE)
    if width_of(name, _FOOT_SIZE) > room:
        while name and width_of(name + "…　", _FOOT_SIZE) > room:
            name = name[:-1]
        name += "…"
    return "　".join(each for each in (name, rest) if each)


def _is_unsure(view: ReportView) -> bool:
    report = view.report
    texts = [report.patient.name, view.heading, *report.notes]
    texts += [each.display for each in report.service]
    for line in view.lines:
        texts += [line.value, line.unit, line.method, reference_text(line.reference), *line.notes]
        texts += [each.display for each in line.codings]
    return not all(is_all_sure(text) for text in texts)


def _foot_of(view: ReportView) -> str:
    came = view.stored_at.astimezone(_TAIPEI)
    told = f"{view.lab_code} → {view.clinic_code}　收到 {came:%Y-%m-%d %H:%M}"
    return f"{told}　前次結果僅列同院所同項目同單位之紀錄"


def _markup(text: str) -> str:
    """Text as a paragraph's markup, each character in the face that has it."""
    told = []
    for face, part in runs(text.replace("\r\n", "\n").replace("\r", "\n")):
        part = part.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        part = part.replace("\n", "<br/>")
        told.append(f'<font name="{LATIN}">{part}</font>' if face == LATIN else part)
    return "".join(told)


def _whole(text: str, width: float, name: str, shown: str = "") -> Paragraph:
    """A value or unit, which is never broken: in a smaller size where it is wide. What is too wide
    even so is broken, and what holds Chinese may be."""
    style = _style(name)
    if not is_latin(text):
        return Paragraph(shown or _markup(text) or "—", style)
    size = style.fontSize
    longest = max(text.split(" "), key=lambda word: width_of(word, size))
    while size > _SMALLEST and width_of(longest, size) > width - 8:
        size -= 0.5
    return Paragraph(shown or _markup(text), _plain(name, size))


@lru_cache(maxsize=16)
def _style(name: str) -> ParagraphStyle:
    base = {"fontName": HAN, "fontSize": 9, "leading": 12, "textColor": _INK, "wordWrap": "CJK"}
    more: dict[str, dict[str, Any]] = {
        "title": {"fontSize": 17, "leading": 22},
        "status": {"alignment": 2, "textColor": _QUIET, "fontSize": 10},
        "urgent": {"alignment": 2, "textColor": _ALERT, "fontSize": 11},
        "label": {"textColor": _QUIET, "fontSize": 8},
        "head": {"textColor": _QUIET, "fontSize": 8},
        "quiet": {"textColor": _QUIET, "fontSize": 8},
        "outside": {"textColor": _ALERT, "fontSize": 10},
        "flag": {"textColor": _ALERT, "alignment": TA_CENTER},
        "critical": {"textColor": colors.white, "backColor": _ALERT, "alignment": TA_CENTER},
        "small": {"textColor": _QUIET, "fontSize": 7, "leading": 9},
        "before": {"textColor": _QUIET, "fontSize": 7.5, "leading": 9.5},
        "cell": {},
    }
    return ParagraphStyle(name, **(base | more[name]))


@lru_cache(maxsize=64)
def _plain(name: str, size: float) -> ParagraphStyle:
    """Latin text, broken at spaces alone."""
    return ParagraphStyle(f"{name}-{size}", parent=_style(name), fontSize=size, wordWrap=None)
