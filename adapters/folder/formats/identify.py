"""What is this file? By its content; exactly one format must match, or an error names both."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from adapters.folder.formats.csv_layout import known_texts
from adapters.folder.formats.csv_text import DELIMITERS, csv_rows
from adapters.folder.formats.dbf_table import is_dbf
from adapters.folder.formats.errors import CsvUnreadable, FileAmbiguous, FileUnidentified
from adapters.folder.formats.safe_xml import peek_root
from adapters.folder.formats.visits_csv import is_visit_header
from adapters.folder.formats.xls_table import is_xls
from adapters.folder.formats.xlsx_table import is_workbook
from adapters.folder.formats.zip_directory import member_names
from adapters.ports.intake import Media
from mapping.file_profile import TableFormat
from mapping.profile import SourceProfile

FHIR_NAMESPACE = "http://hl7.org/fhir"
_HEAD_BYTES = 8192
_LONGEST_RESOURCE = 1 << 20
_TEXTS = {TableFormat.CSV: Media.CSV, TableFormat.FIXED: Media.FIXED_WIDTH, None: None}
# MSH and its field separator; FHS and BHS open HL7 batches. A frame's VT may have come along.
_HL7_START = re.compile(rb"[\x0b\s]*(?:MSH|FHS|BHS)[^A-Za-z0-9\s\x80-\xff]")
_HL7_WIDE = frozenset(
    name.encode(codec) for name in ("MSH", "FHS", "BHS") for codec in ("utf-16-le", "utf-16-be")
)
_RESOURCE_TYPE = re.compile(rb"\"resourceType\"\s*:")
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_REPORT_MARKS = ("程式代號".encode("cp950"), "程式代號".encode())
_ROOTS_IN_OTHER_CASE = {
    "PATIENT": "patient",
    "Patient": "patient",
    "recs": "RECS",
    "Recs": "RECS",
}
_RULER = re.compile(rb"^ *=+(?: +=+)+ *\r?$", re.MULTILINE)


def identify(raw: bytes, name: str, otherwise: Media | None = None) -> Media:
    """The format of ``raw``. ``name`` helps only with a CSV whose header texts are not ours;
    ``otherwise`` is what a file that cannot be told by its content is here.

    Raises FileUnidentified or FileAmbiguous, or ZipUnreadable for a damaged ZIP.
    """
    found = [media for media, matches in _FORMATS if matches(raw)]
    if not found and otherwise is not None and _may_be_text(raw):
        return otherwise
    if not found and _is_csv_by_name(raw, name):
        return Media.CSV
    if not found:
        raise _unidentified(raw)
    if len(found) > 1:
        first, second = found[:2]
        raise FileAmbiguous(
            first=first.value, second=second.value, reason="two formats match", place="start"
        )
    return found[0]


def text_media(profile: SourceProfile) -> Media | None:
    """What a source's text files are that do not say so themselves: CSV or fixed width."""
    layout = profile.file
    return _TEXTS.get(layout.format) if layout is not None else None


def _may_be_text(raw: bytes) -> bool:
    start = raw[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return b"\0" not in start and not start.startswith((b"<", b"{", b"PK\x03\x04"))


def _is_hl7(raw: bytes) -> bool:
    if _HL7_START.match(raw.removeprefix(b"\xef\xbb\xbf")) is not None:
        return True
    return raw.removeprefix(codecs.BOM_UTF16_LE).removeprefix(codecs.BOM_UTF16_BE)[:6] in _HL7_WIDE


def _is_fhir_json(raw: bytes) -> bool:
    return _is_json_with_type(raw) and not _is_fhir_ndjson(raw)


def _is_fhir_ndjson(raw: bytes) -> bool:
    """Resources line by line: the first line is a whole one, and another one begins behind it."""
    if not _is_json_with_type(raw):
        return False
    head = raw[:_LONGEST_RESOURCE].removeprefix(b"\xef\xbb\xbf").lstrip()
    first, _, rest = head.partition(b"\n")
    return first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{")


def _is_json_with_type(raw: bytes) -> bool:
    start = raw[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    return start.startswith(b"{") and _RESOURCE_TYPE.search(raw) is not None


def _is_fhir_xml(raw: bytes) -> bool:
    root = peek_root(raw)
    return root is not None and root.namespace == FHIR_NAMESPACE


def _is_ic_card(raw: bytes) -> bool:
    root = peek_root(raw)
    return root is not None and root.name == "RECS"


def _is_nhi_xml(raw: bytes) -> bool:
    root = peek_root(raw)
    return root is not None and root.name == "patient"


def _is_nhi_zip(raw: bytes) -> bool:
    if not raw.startswith(_ZIP_STARTS):
        return False
    names = member_names(raw)
    return len(names) == 1 and names[0].lower().endswith(".xml")


def _is_xlsx(raw: bytes) -> bool:
    return raw.startswith(_ZIP_STARTS) and is_workbook(member_names(raw))


def _is_archive(raw: bytes) -> bool:
    """A ZIP of files: none of the kinds that are a ZIP by themselves, nor an Office document."""
    if not raw.startswith(_ZIP_STARTS):
        return False
    names = member_names(raw)
    return (
        bool(names)
        and "[Content_Types].xml" not in names
        and not (_is_nhi_zip(raw) or _is_check_report(raw))
    )


def _is_check_report(raw: bytes) -> bool:
    """NHI's printed check report by its header and ruler; its ZIP, which may be encrypted, by the
    names in it (``*.assaychk.txt``)."""
    if raw.startswith(_ZIP_STARTS):
        names = [name.lower() for name in member_names(raw)]
        return any("assaychk" in name for name in names) and all(
            name.endswith(".txt") for name in names
        )
    head = raw[:_HEAD_BYTES]
    return any(mark in head for mark in _REPORT_MARKS) and _RULER.search(head) is not None


def _is_visits_csv(raw: bytes) -> bool:
    return any(is_visit_header(cells) for text in _first_lines(raw) for cells in _as_rows(text))


def _is_csv_by_header(raw: bytes) -> bool:
    rows = [cells for text in _first_lines(raw) for cells in _as_rows(text)]
    return any(known_texts(cells) >= 2 for cells in rows) and not _is_visits_csv(raw)


def _is_csv_by_name(raw: bytes, name: str) -> bool:
    if not name.lower().endswith((".csv", ".txt", ".tsv")):
        return False
    start = raw.lstrip()[:1]
    return start not in (b"<", b"{", b"[") and any(
        len(cells) >= 2 for text in _first_lines(raw) for cells in _as_rows(text)
    )


_FORMATS: tuple[tuple[Media, Callable[[bytes], bool]], ...] = (
    (Media.HL7V2, _is_hl7),
    (Media.FHIR_JSON, _is_fhir_json),
    (Media.FHIR_NDJSON, _is_fhir_ndjson),
    (Media.FHIR_XML, _is_fhir_xml),
    (Media.IC_CARD_XML, _is_ic_card),
    (Media.NHI_XML, _is_nhi_xml),
    (Media.NHI_ZIP, _is_nhi_zip),
    (Media.XLSX, _is_xlsx),
    (Media.ZIP, _is_archive),
    (Media.XLS, is_xls),
    (Media.DBF, is_dbf),
    (Media.CHECK_REPORT, _is_check_report),
    (Media.VISITS_CSV, _is_visits_csv),
    (Media.CSV, _is_csv_by_header),
)


def _first_lines(raw: bytes) -> list[str]:
    """The first line in each character set that can be meant; the reader proves it later."""
    head = raw[:_HEAD_BYTES]
    is_utf_16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    lines = []
    for codec in ("utf-16",) if is_utf_16 else ("utf-8-sig", "cp950"):
        try:
            # The head may end inside a character; what comes before it must be sound.
            text = codecs.getincrementaldecoder(codec)().decode(head)
        except UnicodeDecodeError:
            continue
        lines.append(re.split(r"[\r\n]", text, maxsplit=1)[0])
    return lines


def _as_rows(line: str) -> list[list[str]]:
    rows = []
    for delimiter in DELIMITERS:
        try:
            rows += list(csv_rows(line, delimiter))
        except CsvUnreadable:
            continue
    return rows


def _unidentified(raw: bytes) -> FileUnidentified:
    start = raw[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    reason, reason_zh = "no known format matches", "與任何已知格式不符"
    root = peek_root(raw)
    if not raw.strip():
        reason, reason_zh = "the file is empty", "檔案是空的"
    elif raw.startswith(_ZIP_STARTS):
        names = member_names(raw)
        if "[Content_Types].xml" in names:
            reason, reason_zh = (
                "an Office document that is no Excel workbook",
                "並非 Excel 活頁簿的 Office 文件",
            )
        else:
            reason, reason_zh = (
                "a ZIP must hold exactly one XML file, or check reports",
                "ZIP 內應僅含一個 XML 檔或檢核報告",
            )
    elif start.startswith((b"{", b"[")):
        reason, reason_zh = "JSON without a FHIR resourceType", "JSON 中沒有 FHIR resourceType"
    elif b"<!doctype" in start.lower():
        reason, reason_zh = (
            "XML with a DOCTYPE, which none of the formats has and which is never read",
            "XML 含有 DOCTYPE 宣告；各格式皆無此宣告，一律不予讀取",
        )
    elif root is not None and root.name in _ROOTS_IN_OTHER_CASE:
        reason, reason_zh = (
            f"the root is <{root.name}>; tags are in the case of the format, "
            f"<{_ROOTS_IN_OTHER_CASE[root.name]}>",
            f"根元素為 <{root.name}>；標籤大小寫須依格式，應為 <{_ROOTS_IN_OTHER_CASE[root.name]}>",
        )
    elif start.startswith(b"<"):
        reason, reason_zh = (
            "XML whose root is none of FHIR, RECS or patient",
            "XML 根元素並非 FHIR、RECS 或 patient",
        )
    return FileUnidentified(reason=reason, reason_zh=reason_zh, place="start of file")
