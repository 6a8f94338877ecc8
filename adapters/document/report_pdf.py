"""A laboratory report on A4, in Traditional Chinese (MSung-Light, one of Adobe's CID fonts: every
reader has a face for it, so no font file is embedded).

The same view gives the same bytes. What lies outside the lines of the table: whose result, from
which specimen, which version; then each item with value, flag, unit, range and what the same
patient had before.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import CIDFont, UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from adapters.document.sparkline import Sparkline
from adapters.document.table import LINE_STATUS, REPORT_STATUS, reference_text, time_text
from adapters.ports.report_view import ReportView, TrendPoint
from mapping.moment import TAIPEI as _TAIPEI
from mapping.report import Observation, ObservationStatus, ReportStatus
from mapping.values import is_outside

_FACE = "MSung-Light"
_INK = colors.HexColor("#1c2733")
_QUIET = colors.HexColor("#5b6875")
_RULE = colors.HexColor("#c9d1d9")
_BAND = colors.HexColor("#eef2f6")
_ALERT = colors.HexColor("#b3261e")
_CRITICAL = frozenset({"HH", "LL", "AA"})
_WIDTHS = (58 * mm, 34 * mm, 10 * mm, 20 * mm, 30 * mm, 30 * mm)
_MARGIN = 14 * mm
_SEX = {"M": "男", "F": "女"}
_SHOWN_POINTS = 3


def write_pdf(view: ReportView) -> bytes:
    """The document. Never raises for what a report says."""
    _register()
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
        story += [Spacer(0, 3 * mm), Paragraph(told, _style("quiet"))]
    foot = _foot_of(view)
    document.build(story, canvasmaker=lambda *args, **more: _Paged(foot, *args, **more))
    return made.getvalue()


class _Paged(Canvas):  # type: ignore[misc]
    """Writes ``page n / of`` on each page, which is known only at the end."""

    def __init__(self, foot: str, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._foot = foot
        self._states: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        self._states.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, state in enumerate(self._states, start=1):
            self.__dict__.update(state)
            self.setFont(_FACE, 7.5)
            self.setFillColor(_QUIET)
            self.drawString(_MARGIN, 10 * mm, self._foot)
            page = f"第 {number} 頁，共 {len(self._states)} 頁"
            self.drawRightString(A4[0] - _MARGIN, 10 * mm, page)
            super().showPage()
        super().save()


def _head(view: ReportView) -> list[Flowable]:
    status = REPORT_STATUS[view.report.status]
    if view.version > 1:
        status += f"（第 {view.version} 版）"
    urgent = view.report.status in (ReportStatus.CORRECTED, ReportStatus.CANCELLED)
    title = Paragraph(_markup(view.heading or "檢驗報告"), _style("title"))
    kind = Paragraph(status, _style("urgent" if urgent else "status"))
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
    told = [value]
    if line.status is not ObservationStatus.FINAL:
        told.append(f'<font size="7" color="#5b6875">{LINE_STATUS[line.status]}</font>')
    told += [f'<font size="7" color="#5b6875">{_markup(note)}</font>' for note in line.notes]
    result = Paragraph("<br/>".join(told), _style("outside" if outside and not gone else "cell"))
    if is_long:
        rest = [_markup(line.unit), _markup(reference_text(line.reference)), _markup(_flag(line))]
        under = "　".join(part for part in rest if part)
        shown: list[Any] = [result]
        if under:
            shown.append(Paragraph(under, _style("quiet")))
        return [_item(line), shown, "", "", "", ""]
    flag = _flag(line) or ("*" if outside else "")
    is_critical = bool(_CRITICAL.intersection(line.abnormal_flags))
    return [
        _item(line),
        result,
        Paragraph(_markup(flag), _style("critical" if is_critical else "flag")),
        Paragraph(_markup(line.unit), _style("cell")),
        Paragraph(_markup(reference_text(line.reference)), _style("cell")),
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
        told = f"{_markup(point.value)}　{point.at.taipei:%y-%m-%d}"
        shown.append(Paragraph(told, _style("before")))
    return shown


def _foot_of(view: ReportView) -> str:
    came = view.stored_at.astimezone(_TAIPEI)
    told = f"{view.lab_code} → {view.clinic_code}　收到 {came:%Y-%m-%d %H:%M}"
    return f"{told}　前次結果僅列同院所同項目同單位之紀錄"


def _markup(text: str) -> str:
    """Text as a paragraph's markup; control characters, which no font has, are shown as boxes."""
    text = _CONTROL.sub("\u25a1", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "<br/>")


_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class _Sung(UnicodeCIDFont):  # type: ignore[misc]
    """reportlab 5.1 writes this face with a CMap of the simplified collection (UniGB-UCS2-H), which
    readers refuse or fill with other characters; this is the one of Adobe-CNS1, in UTF-16."""

    def __init__(self) -> None:
        super().__init__(_FACE)
        CIDFont.__init__(self, _FACE, "UniCNS-UCS2-H")
        self.name = self.fontName = _FACE
        self.encodingName = self.encoding.name = "UniCNS-UTF16-H"


@lru_cache(maxsize=1)
def _register() -> None:
    pdfmetrics.registerFont(_Sung())
    pdfmetrics.registerFontFamily(_FACE, _FACE, _FACE, _FACE, _FACE)


@lru_cache(maxsize=16)
def _style(name: str) -> ParagraphStyle:
    base = {"fontName": _FACE, "fontSize": 9, "leading": 12, "textColor": _INK, "wordWrap": "CJK"}
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
        "before": {"textColor": _QUIET, "fontSize": 7.5, "leading": 9.5},
        "cell": {},
    }
    return ParagraphStyle(name, **(base | more[name]))
