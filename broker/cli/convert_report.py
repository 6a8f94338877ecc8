"""What ``labbroker convert`` made, what it held and why; for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.cli.check_json import finding_texts
from broker.trial_packages import HeldResult, TrialPackage
from mapping.catalogue.tables import order_code
from mapping.errors import LabbrokerError, Language
from mapping.finding import Finding, Severity, told_once

_MOST_HELD = 50
_LISTS = {
    "claims": ("claim list", "申報清單"),
    "institutions": ("institution list", "醫事機構清單"),
    "order-codes": ("fee schedule", "支付標準清單"),
}
_REASONS = {
    "unmapped": ("no order code", "未對應醫令代碼"),
    "unmatched": ("no visit", "未配對就醫"),
    "invalid": ("breaks a rule", "違反檢核規則"),
    "opted_out": ("not to be uploaded", "不上傳"),
    "other_party_uploads": ("the other side uploads", "由另一方上傳"),
    "waiting_final": ("not final", "尚無最終報告"),
    "waiting_verdict": ("waits for a verdict", "待前一版檢核結果"),
}


@dataclass(slots=True)
class ConversionReport:
    """``notes`` are findings about parts of files, ``unreadable`` whole files, with the place in
    our code where the fault is ours; ``unchecked`` are checks that need a list which is not
    there."""

    folder: Path
    visits: int = 0
    packages: list[TrialPackage] = field(default_factory=list)
    held: list[HeldResult] = field(default_factory=list)
    notes: list[tuple[str, Finding]] = field(default_factory=list)
    unreadable: list[tuple[str, LabbrokerError, str]] = field(default_factory=list)
    unchecked: tuple[Finding, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 every result is in a package, 1 some are not, 2 a file could not be read."""
        if self.unreadable:
            return 2
        asks = any(finding.severity is not Severity.INFORMATION for _, finding in self.notes)
        return int(bool(self.held) or asks or not self.packages)


def report_as_json(report: ConversionReport, language: Language) -> str:
    """One object; the shape is in ``docs/reference/command-line.md``."""
    plain = {
        "folder": str(report.folder),
        "visits": report.visits,
        "packages": [_package(package, language) for package in report.packages],
        "held": [
            {
                **_place(held.result.file, held.result.draft.place),
                "order_code": held.result.draft.order_code,
                "reason": held.reason.value,
                "findings": [_finding(finding, language) for finding in told_once(held.findings)],
            }
            for held in report.held
        ],
        "notes": [{"file": file, **_finding(finding, language)} for file, finding in report.notes],
        "unreadable": [
            {
                "file": file,
                "code": error.code,
                "message": error.sentence(language),
                "remedy": error.remedy(language),
                **({"place": place} if place else {}),
            }
            for file, error, place in report.unreadable
        ],
        "unchecked": [finding.value for finding in report.unchecked],
        "sent": False,
    }
    return json.dumps(plain, ensure_ascii=False) + "\n"


def report_as_text(report: ConversionReport, language: Language) -> str:
    """Several lines: packages first, then what is held, each with what to do."""
    return "\n".join(_lines(report, language)) + "\n"


def _lines(report: ConversionReport, language: Language) -> Iterator[str]:
    zh = language == "zh"
    for package in report.packages:
        count = len(package.results)
        institution = package.name.institution_code
        warnings = sum(map(_warnings, package.results))
        yield (
            f"{package.path}: 機構 {institution}，{count} 筆醫令，已讀回核對"
            if zh
            else f"{package.path}: {count} record(s) of {institution}, read back and compared"
        ) + ((f"，{warnings} 項警告" if zh else f", {warnings} warning(s)") if warnings else "")
    if not report.visits:
        yield (
            "未讀到任何就醫資料：請以 --visits 指定診所的健保卡上傳檔或就醫與醫令表。"
            if zh
            else "No visits were read: name the clinic's IC-card upload, or a table of visits, "
            "with --visits."
        )
    if not report.packages:
        yield "未產生上傳檔。" if zh else "No package was made."
    if report.held:
        yield f"{len(report.held)} 筆保留：" if zh else f"{len(report.held)} held:"
    for held in report.held[:_MOST_HELD]:
        yield from _held(held, language)
    if len(report.held) > _MOST_HELD:
        more = len(report.held) - _MOST_HELD
        yield f"  … {more} " + ("筆未列出（--json 全部列出）" if zh else "more (--json has all)")
    for file, finding in report.notes[:_MOST_HELD]:
        message, remedy = finding_texts(finding, language)
        yield f"{file}: {message}"
        yield from _remedy(remedy)
    for file, error, place in report.unreadable:
        yield f"{file}: {error.sentence(language)}" + (f" ({place})" if place else "")
        yield from _remedy(error.remedy(language))
    if report.unchecked:
        yield not_checked_here(report.unchecked, language)
    yield "尚未上傳任何資料。" if zh else "Nothing was sent."


def not_checked_here(unchecked: Iterable[Finding], language: Language) -> str:
    """One line: ``Not checked here: 26, 31 (no claims), 28 (no institutions)``."""
    zh = language == "zh"
    codes: dict[str, list[str]] = {}
    for finding in unchecked:
        codes.setdefault(dict(finding.parameters)["list"], []).append(finding.value)
    parts = (
        f"{'、'.join(known)}（無{_LISTS[name][1]}）"
        if zh
        else f"{', '.join(known)} (no {_LISTS[name][0]})"
        for name, known in codes.items()
    )
    if zh:
        return f"未檢核代碼：{'；'.join(parts)}。可於設定檔 [lists] 指定清單。"
    return f"Not checked here: {', '.join(parts)}. [lists] in the settings names such lists."


def _held(held: HeldResult, language: Language) -> Iterator[str]:
    draft = held.result.draft
    known = order_code(draft.order_code)
    name = " ".join(part for part in (draft.order_code, known.name_zh if known else "") if part)
    reason = _REASONS[held.reason.value][language == "zh"]
    place = " ".join((held.result.file, draft.place)).strip()
    yield f"  {reason}: {name or '-'} ({place})"
    told = told_once(held.findings)
    errors = [finding for finding in told if finding.severity is Severity.ERROR]
    for finding in errors or told:
        message, remedy = finding_texts(finding, language)
        yield f"      {finding.code}: {message}"
        yield from _remedy(remedy)


def _remedy(text: str) -> Iterator[str]:
    if text:
        yield f"      → {text}"


def _package(package: TrialPackage, language: Language) -> dict[str, Any]:
    return {
        "file": str(package.path),
        "institution_code": package.name.institution_code,
        "upload_on": package.name.upload_on.isoformat(),
        "serial": package.name.serial,
        "sha256": package.sha256,
        "records": [
            {
                **_place(result.file, result.draft.place),
                "order_code": result.draft.order_code,
                "findings": [_finding(each, language) for each in told_once(result.draft.findings)],
            }
            for result in package.results
        ],
    }


def _warnings(result: Any) -> int:
    return sum(finding.severity is Severity.WARNING for finding in told_once(result.draft.findings))


def _place(file: str, place: str) -> dict[str, str]:
    return {"file": file, "place": place}


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
