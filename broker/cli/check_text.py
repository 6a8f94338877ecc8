"""A checked file for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from broker.cli.check_json import finding_texts
from broker.cli.convert_report import not_checked_here
from broker.cli.file_check import FileCheck
from broker.cli.record_preview import RecordPreview
from mapping.catalogue.tables import order_code
from mapping.errors import Language
from mapping.finding import Finding, Severity
from mapping.place_words import chinese_place
from mapping.record import Fields
from mapping.rules.unchecked import NOT_RUN

_MOST_RECORDS = 20
_MOST_FINDINGS = 50

KINDS: Mapping[str, tuple[str, str]] = {
    "hl7v2": ("HL7 v2", "HL7 v2"),
    "fhir+json": ("FHIR (JSON)", "FHIR（JSON）"),
    "fhir+xml": ("FHIR (XML)", "FHIR（XML）"),
    "fhir+ndjson": ("FHIR (NDJSON)", "FHIR（NDJSON）"),
    "csv": ("result table (CSV)", "結果表（CSV）"),
    "xlsx": ("result table (Excel)", "結果表（Excel）"),
    "xls": ("result table (old Excel)", "結果表（舊版 Excel）"),
    "dbf": ("result table (DBF)", "結果表（DBF）"),
    "fixed-width": ("result table (fixed width)", "結果表（固定寬度）"),
    "zip": ("ZIP of files", "多檔 ZIP"),
    "visits-csv": ("visits and orders (CSV)", "就醫與醫令（CSV）"),
    "ic-card-xml": ("IC-card upload (visits)", "健保卡上傳檔（就醫資料）"),
    "nhi-xml": ("NHI upload (XML)", "健保署上傳檔（XML）"),
    "nhi-zip": ("NHI upload (ZIP)", "健保署上傳檔（ZIP）"),
    "check-report": ("NHI check report", "健保署檢核報告"),
    "unknown": ("unknown format", "無法辨識格式"),
}
_LAYOUTS: Mapping[str, tuple[str, str]] = {
    "daily": ("daily", "每日上傳"),
    "monthly": ("monthly", "每月上傳"),
    "mixed": ("daily and monthly mixed", "每日與每月混雜"),
}
_SEVERITIES: Mapping[Severity, tuple[str, str]] = {
    Severity.ERROR: ("error", "錯誤"),
    Severity.WARNING: ("warning", "警告"),
    Severity.INFORMATION: ("note", "說明"),
}
_NEEDS: Mapping[str, tuple[str, str]] = {
    "visit": ("needs the visit", "待就醫資料"),
    "agreement": ("needs the agreement who uploads", "待上傳約定"),
    "receipt": ("set when the report is received", "收到報告時填入"),
    "sealing": ("set when the package is sealed", "封裝時填入"),
}


def check_as_text(result: FileCheck, language: Language) -> str:
    """Several lines: what the file is, the records that come of it, every finding."""
    return "\n".join(_lines(result, language)) + "\n"


def _lines(result: FileCheck, language: Language) -> Iterator[str]:
    zh = language == "zh"
    kind = KINDS.get(result.kind, (result.kind, result.kind))[zh]
    if result.message and result.message != result.kind:
        named = _LAYOUTS.get(result.message, (result.message, result.message))[zh]
        kind += f"，{named}" if zh else f", {named}"
    counts = [
        (len(result.reports), "report(s)", "份報告"),
        (result.visits, "visit(s)", "筆就醫"),
        (result.record_count, "NHI record(s)", "筆上傳醫令"),
    ]
    told = ("、" if zh else ", ").join(
        f"{count} {chinese if zh else english}" for count, english, chinese in counts if count
    )
    if result.error is not None and not told:
        nothing = "未讀出資料" if zh else "nothing could be read"
    else:
        nothing = "無檢驗結果" if zh else "no results"
    yield f"{result.file}: {kind}: {told or nothing}"
    for number, preview in enumerate(result.records[:_MOST_RECORDS], start=1):
        yield from _record(number, preview, zh)
    shown = min(len(result.records), _MOST_RECORDS)
    if result.record_count > shown:
        yield f"  … {result.record_count - shown} " + ("筆未列出" if zh else "more records")
    limit = _MOST_FINDINGS if result.limit is None else result.limit
    for finding in result.findings[:limit]:
        if finding.code != NOT_RUN:
            yield from _finding(finding, language)
    if result.unchecked:
        yield f"  {not_checked_here(result.unchecked, language)}"
    total = result.counts.total()
    if total > limit:
        more = total - limit
        yield f"  … {more} " + ("項未列出（--jsonl 全部列出）" if zh else "more (--jsonl has all)")
        yield from _counts(result, zh)
    if result.record_count and result.exit_code == 0:
        yield "  檢核未發現須更正事項。" if zh else "  Nothing was found that must be corrected."
    if result.error is not None:
        head = "無法讀取：" if zh else "unreadable: "
        yield f"  {head}{result.error.sentence(language)}"
        yield f"      → {result.error.remedy(language)}"
        if result.fault_place:
            yield f"      ({result.fault_place})"


def _counts(result: FileCheck, zh: bool) -> Iterator[str]:
    """How often each code was found at each field, the most frequent first."""
    for (severity, code, field), count in result.counts.most_common():
        name = " ".join(part for part in (_SEVERITIES[severity][zh], code, field) if part)
        yield f"  {count:>9,} × {name}"


def _record(number: int, preview: RecordPreview, zh: bool) -> Iterator[str]:
    known = order_code(preview.order_code)
    name = f" {known.name_zh}" if known else ""
    place = chinese_place(preview.place) if zh else preview.place
    yield f"  [{number}] {preview.order_code}{name} ({place})"
    fields = preview.record.header
    header = " ".join(f"{tag}={fields[tag].value}" for tag in sorted(fields, key=_tag_order))
    if header:
        yield f"      {header}"
    for row in preview.record.rows:
        yield f"      {_row(row)}"
    for source, texts in _NEEDS.items():
        named = (tag for tag, need in preview.needs.items() if need == source)
        tags = " ".join(sorted(named, key=_tag_order))
        if tags:
            yield f"      {texts[zh]}: {tags}"


def _tag_order(tag: str) -> tuple[str, int, str]:
    """``h2`` before ``h10``; a file may hold tags that no edition knows."""
    number = tag[1:].partition("-")[0]
    return tag[:1], int(number) if number.isascii() and number.isdigit() else 0, tag


def _row(row: Fields) -> str:
    def value(tag: str) -> str:
        return row[tag].value if tag in row else ""

    parts = [
        f"{value('r1')}.",
        value("r2"),
        value("r4") or value("r7") or value("r8-1"),
        value("r5"),
    ]
    low, high = value("r6-1"), value("r6-2")
    if low or high:
        parts.append(f"[{low} – {high}]" if high else f"[{low}]")
    if value("r12") == "1":
        parts.append("*")
    # A report text goes on under its own beginning.
    return " ".join(part for part in parts if part).replace("\n", "\n" + 9 * " ")


def _finding(finding: Finding, language: Language) -> Iterator[str]:
    message, remedy = finding_texts(finding, language)
    severity = _SEVERITIES[finding.severity][language == "zh"]
    at = chinese_place(finding.place) if language == "zh" else finding.place
    place = " ".join(part for part in (at, finding.field) if part)
    colon = "：" if language == "zh" else ": "
    yield f"  {severity} {finding.code}" + (f" ({place})" if place else "") + colon + message
    if remedy:
        yield f"      → {remedy}"
