"""Reads NHI's printed check report (``*.assaychk.txt``) back into fields and codes.

No specimen is public. What is known: the column ranges come from a ruler line of ``=``, six
columns, a flag character before each value, a page header that repeats, a form feed between
pages, 133 hyphens after each record, the error code on the line before them.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import replace

from adapters.nhi.report_columns import Columns, is_ruler, likelier_measure
from adapters.nhi.report_layout import PUBLISHED_ROWS, rows_of_labels
from adapters.nhi.report_records import Cells, RecordReader, Rows, blocks_of
from adapters.nhi.verdict_archive import read_entries
from mapping.errors import LabbrokerError
from mapping.verdict import CheckedRecord, CheckReport

_HEADER_MARK = "程式代號"
_RECEIPT = re.compile(r"(?<![0-9])[0-9]{13}(?![0-9])")
_DAY = re.compile(r"(?<![0-9])([0-9]{3})/([0-9]{2})/([0-9]{2})(?![0-9])")
_SHORT_DAY = re.compile(r"(?<![0-9])[0-9]{7}(?![0-9])")
_INSTITUTION = re.compile(r"(?<![0-9A-Z])[0-9A-Z]{10}(?![0-9A-Z])")
_ENTRY = re.compile(r"([0-9A-Z]{10})-([0-9]{7})-[^-]*-([0-9]{13})-")
_LONGEST_LINE = 4_000
_BYTES = re.compile("[\udc80-\udcff]")


class UnreadableCheckReport(LabbrokerError):
    """The text is not a check report of the known layout."""

    code = "unreadable-check-report"
    en = (
        "The check report cannot be read: {reason}.",
        "Download it again from the NHI's VPN (it is kept there for 14 days) and read it there.",
    )
    zh = (
        "檢核報告無法讀取：{reason_zh}。",
        "請至健保 VPN 重新下載（保留 14 天）並直接查看內容。",
    )


def read_check_report(text: str) -> CheckReport:
    """All records of one report. Raises :class:`UnreadableCheckReport`.

    A report with several codes for a record yields a record for each code. Lines that belong to
    no record are kept in ``unknown_lines``.
    """
    header, lines = _without_headers(text)
    ruler = next(line for line in reversed(header) if is_ruler(line))
    columns = Columns.of_ruler(ruler)
    measure = likelier_measure(lines, columns)
    labels = [columns.cut(line, measure) for line in header if not is_ruler(line)]
    rows = rows_of_labels([cells for cells in labels if cells is not None])
    candidates: tuple[Rows, ...] = (
        (rows,) if rows is not None else (PUBLISHED_ROWS, PUBLISHED_ROWS[:-1])
    )
    if max(len(row) for rows in candidates for row in rows) > len(columns.spans):
        raise UnreadableCheckReport(
            reason="the ruler has fewer columns than a record", reason_zh="標尺行欄位數少於紀錄所需"
        )
    torn = False
    reader = RecordReader(candidates, columns.widths(), measure)
    records: list[CheckedRecord] = []
    unknown: list[str] = []
    for block, ended in blocks_of(lines):
        if not ended:
            unknown.extend(line for line in block if line.strip())
            continue
        cells: list[Cells] = []
        for line in block:
            cut = columns.cut(line, measure)
            if cut is None:
                unknown.append(line)
            else:
                cells.append(cut)
        if not any(cell.strip() for row in cells for cell in row):
            continue
        found, whole = reader.read(cells)
        records.extend(map(_legible, found))
        torn = torn or not whole
        if not whole or any(not line.isascii() and _BYTES.search(line) for line in block):
            unknown.extend(line for line in block if line.strip())
    institution, day, receipt = _identity(header)
    accepted = _is_correct(header, records, torn)
    kept = tuple(map(_shown, unknown))
    return CheckReport(institution, day, receipt, tuple(records), kept, accepted)


def open_verdict(raw_zip: bytes, password: str, name: str = "") -> tuple[CheckReport, ...]:
    """All check reports of a ZIP (AES, ZipCrypto or open) or of a plain text, which may be known
    by its file ``name``.

    Raises :class:`UnreadableCheckReport`, or ``VerdictPasswordWrong`` / ``VerdictArchiveUnsafe``
    of :mod:`adapters.nhi.verdict_archive`.
    """
    if not raw_zip.startswith(b"PK"):
        return (_entry(name, raw_zip),)
    return tuple(_entry(entry, raw) for entry, raw in read_entries(raw_zip, password))


def _entry(name: str, raw: bytes) -> CheckReport:
    report = read_check_report(_decoded(raw))
    named = _ENTRY.match(name)
    return _named(report, *named.groups()) if named else report


def _decoded(raw: bytes) -> str:
    """The text; a byte without meaning in Big5 as a lone surrogate of its own, so that it spoils
    its cell and no other."""
    if raw.startswith(codecs.BOM_UTF8):
        return raw[3:].decode("utf-8", "surrogateescape")
    for encoding in ("cp950", "utf-8"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("cp950", "surrogateescape")


def _legible(record: CheckedRecord) -> CheckedRecord:
    """Without the values that hold such a byte: they say nothing sure of the record."""
    values = {
        tag: value
        for tag, value in record.values.items()
        if value.isascii() or not _BYTES.search(value)
    }
    return replace(record, values=values) if len(values) < len(record.values) else record


def _shown(line: str) -> str:
    """A line for people: ``‹FA›`` for a byte without meaning."""
    return _BYTES.sub(lambda found: f"‹{ord(found.group()) - 0xDC00:02X}›", line)


def _named(report: CheckReport, institution: str, day: str, receipt: str) -> CheckReport:
    """``report`` completed from its file name, which must not contradict it."""
    for printed, named in (
        (report.institution_code, institution),
        (report.receipt_number, receipt),
    ):
        if printed and printed != named:
            raise UnreadableCheckReport(
                reason="file name and header name different packages",
                reason_zh="檔名與表頭所指上傳檔不同",
            )
    return replace(
        report,
        institution_code=institution,
        uploaded_on=report.uploaded_on or day,
        receipt_number=receipt,
    )


def _without_headers(text: str) -> tuple[list[str], list[str]]:
    """The header lines of the first page, and the lines of all pages without their headers."""
    header: list[str] = []
    lines: list[str] = []
    for page in text.replace("\r\n", "\n").split("\f"):
        printed = page.split("\n")
        if printed[-1] == "":
            printed.pop()
        if any(len(line) > _LONGEST_LINE for line in printed):
            raise UnreadableCheckReport(
                reason="a line is longer than any page is wide", reason_zh="有一行超過頁面寬度"
            )
        start = 0
        while start < len(printed):
            ruler = _next_ruler(printed, start, first=start == 0)
            if ruler is None:
                lines.extend(printed[start:])
                break
            begin = _header_start(printed, start, ruler)
            lines.extend(printed[start:begin])
            header = header or printed[begin : ruler + 1]
            # The header ends with the ruler and one more line.
            start = ruler + 2
    if not header:
        raise UnreadableCheckReport(
            reason="it has no ruler line", reason_zh="找不到以 = 組成的標尺行"
        )
    return header, lines


def _next_ruler(lines: list[str], start: int, first: bool) -> int | None:
    """The ruler of the next header: at the top of a page, or after the mark of a header."""
    marked = first
    for number in range(start, len(lines)):
        marked = marked or _HEADER_MARK in lines[number]
        if marked and is_ruler(lines[number]):
            return number
    return None


def _header_start(lines: list[str], start: int, ruler: int) -> int:
    """Where the header begins: a page's top, or the line with the mark further down."""
    if start == 0:
        return 0
    return next(n for n in range(start, ruler) if _HEADER_MARK in lines[n])


def _identity(header: list[str]) -> tuple[str, str, str]:
    """Institution, upload day (7 digits) and receipt number, each ``""`` when not printed."""
    for line in header:
        receipt = _RECEIPT.search(line)
        if receipt is None:
            continue
        day, short = _DAY.search(line), _SHORT_DAY.search(line)
        institution = _INSTITUTION.search(line)
        printed = "".join(day.groups()) if day else short.group() if short else ""
        return (institution.group() if institution else "", printed, receipt.group())
    return "", "", ""


def _is_correct(header: list[str], records: list[CheckedRecord], torn: bool) -> bool:
    """A report is one of correct records when it has no code and marks no field; what the header
    says cannot make it more. ``torn``: a block was not understood, so that it tells nothing."""
    said = "".join(header)
    if "檢核錯誤" in said or any(record.error_code for record in records):
        return False
    return "檢核正確" in said or (bool(records) and not torn)
