"""What ``labbroker monthly`` wrote, left out and why; for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from broker.cli.check_json import finding_texts
from broker.monthly_upload import LeftOut, MonthlyFile
from mapping.catalogue.tables import order_code
from mapping.errors import Language

_MOST = 50


@dataclass(slots=True)
class MonthlyReport:
    """``passed_over`` counts what needs no monthly upload: ``accepted``, ``on_its_way``."""

    institution_code: str
    fee_month: date
    files: list[MonthlyFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    other_months: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)

    @property
    def exit_code(self) -> int:
        """0 everything that was meant is in a file, 1 some is not."""
        return int(bool(self.left_out))


def report_as_json(report: MonthlyReport, language: Language) -> dict[str, Any]:
    """The shape is in ``docs/reference/command-line.md``."""
    return {
        "institution_code": report.institution_code,
        "fee_month": f"{report.fee_month:%Y-%m}",
        "files": [
            {"file": str(each.path), "records": each.records, "sha256": each.sha256}
            for each in report.files
        ],
        "left_out": [_left_out(each, language) for each in report.left_out],
        "passed_over": {**report.passed_over, "other_months": report.other_months},
        "sent": False,
    }


def report_as_text(report: MonthlyReport, language: Language) -> str:
    """Several lines: files first, then what is left out, each with what to do."""
    return "\n".join(_lines(report, language)) + "\n"


def _lines(report: MonthlyReport, language: Language) -> Iterator[str]:
    zh = language == "zh"
    for each in report.files:
        yield (
            f"{each.path}: {each.records} 筆醫令，已讀回核對並檢核"
            if zh
            else f"{each.path}: {each.records} record(s), read back, compared and checked"
        )
    if not report.files and report.left_out:
        yield "未產生檔案。" if zh else "No file was written."
    elif not report.files:
        yield "沒有須以每月上傳補送的紀錄。" if zh else "Nothing needs the monthly upload."
    counts = (
        (report.passed_over["accepted"], "accepted daily", "筆已每日上傳成功"),
        (report.passed_over["on_its_way"], "on their way daily", "筆每日上傳處理中"),
        (report.other_months, "claimed in other months or not of this month", "筆屬其他費用年月"),
    )
    for count, english, chinese in counts:
        if count:
            yield f"  {count} {chinese}" if zh else f"  {count} {english}"
    if report.left_out:
        count = len(report.left_out)
        yield f"{count} 筆未納入：" if zh else f"{count} left out:"
    for left in report.left_out[:_MOST]:
        known = order_code(left.order_code)
        name = " ".join(part for part in (left.order_code, known.name_zh if known else "") if part)
        yield f"  {name} ({left.place})"
        for finding in left.findings:
            message, remedy = finding_texts(finding, language)
            yield f"      {finding.code}: {message}"
            if remedy:
                yield f"      → {remedy}"
    if len(report.left_out) > _MOST:
        more = len(report.left_out) - _MOST
        yield f"  … {more} " + ("筆未列出（--json 全部列出）" if zh else "more (--json has all)")
    if not report.files:
        return
    yield (
        "尚未上傳：請至健保署 VPN「檢驗（查）結果每月上傳作業」上傳檔案。"
        if zh
        else "Nothing was sent: upload the files on NHI's VPN, 檢驗（查）結果每月上傳作業."
    )


def _left_out(left: LeftOut, language: Language) -> dict[str, Any]:
    findings = []
    for each in left.findings:
        message, remedy = finding_texts(each, language)
        findings.append(
            {"code": each.code, "field": each.field, "message": message, "remedy": remedy}
        )
    return {"place": left.place, "order_code": left.order_code, "findings": findings}
