"""A profile proposed from a sample: what is sure, and what a person should look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice

from adapters.folder.fixed_ranges import column_ranges, is_fixed_width, split_ranges
from adapters.folder.formats.csv_group import SHARED
from adapters.folder.formats.csv_text import DELIMITERS, csv_rows
from adapters.folder.formats.dbf_table import dbf_table
from adapters.folder.formats.errors import CsvUnreadable, FileUnidentified
from adapters.folder.formats.identify import identify
from adapters.folder.formats.table_results import LINE
from adapters.folder.formats.xls_table import xls_table
from adapters.folder.formats.xlsx_table import sheet_names, xlsx_table
from adapters.folder.profile_columns import Assignment, Column, Doubt, assign, column_of, date_order
from adapters.folder.profile_words import HEADER_HINTS
from adapters.ports.intake import Media
from mapping.errors import LabbrokerError
from mapping.file_profile import FileProfile, Place, Sections, TableFormat, WideItem

_MOST_ROWS = 400
_HEADER_WITHIN = 30
_FORMATS = {
    Media.XLSX: TableFormat.XLSX,
    Media.XLS: TableFormat.XLS,
    Media.DBF: TableFormat.DBF,
    Media.CSV: TableFormat.CSV,
}
_WHOSE = ("national_id", "accession_number", "placer_order_number")
_WHAT = ("order_code", "item_code", "item_name")
_WISHED = ("reported_at", "unit", "reference")
_ENCODINGS = ("utf-8", "big5", "gb18030")


class NoProfileNeeded(LabbrokerError):
    code = "profile-not-needed"
    en = (
        "The file is {media}: it says itself where everything stands.",
        "Drop it into the watched folder of its source; `labbroker check FILE` shows what it says.",
    )
    zh = (
        "檔案為 {media}，格式本身已載明各欄位。",
        "直接放入該來源的監看資料夾即可；可用 `labbroker check 檔案` 檢視內容。",
    )


class NoTable(LabbrokerError):
    code = "profile-no-table"
    en = (
        "No table of results can be seen in the file: {reason}.",
        "Write the profile by hand: docs/how-to/connect-a-lab-by-files.md explains every key.",
    )
    zh = (
        "檔案中看不出檢驗結果表格：{reason}。",
        "請依 docs/how-to/connect-a-lab-by-files.md 手動撰寫設定。",
    )


@dataclass(frozen=True, slots=True)
class Proposal:
    """``doubts`` by the key of the profile that they concern; ``missing`` are our columns without
    which records are held."""

    profile: FileProfile
    doubts: dict[str, Doubt]
    missing: tuple[str, ...]


def propose_profile(raw: bytes, name: str, today: date) -> Proposal:
    """Propose how files like this one are laid out.

    Raises NoProfileNeeded for HL7, FHIR and NHI's own files, NoTable, or UnreadablePayload.
    """
    try:
        media = identify(raw, name)
    except FileUnidentified:
        media = Media.UNKNOWN
    if media not in _FORMATS and media is not Media.UNKNOWN:
        raise NoProfileNeeded(media=media.value)
    doubts: dict[str, Doubt] = {}
    encoding, delimiter = "utf-8", ","
    kind = _FORMATS.get(media)
    if kind is TableFormat.XLSX:
        rows = [cells for _, cells, _ in islice(xlsx_table(raw, ""), _MOST_ROWS)]
        if len(names := sheet_names(raw)) > 1:
            doubts["sheet"] = Doubt("sheets", str(len(names)))
    elif kind is TableFormat.XLS:
        rows = [cells for _, cells, _ in islice(xls_table(raw, ""), _MOST_ROWS)]
    elif kind is TableFormat.DBF:
        encoding = _dbf_encoding(raw)
        rows = [cells for _, cells, _ in islice(dbf_table(raw, encoding), _MOST_ROWS)]
    else:
        encoding = _encoding(raw, doubts)
        text = raw.decode("utf-8-sig" if encoding == "utf-8" else _codec(encoding))
        delimiter, rows = _table(text)
        kind = TableFormat.CSV
        if not delimiter:
            return _fixed(raw, encoding, today, doubts)
    header_row = 1 if kind is TableFormat.DBF else _header_row(rows)
    header = rows[header_row - 1] if header_row else []
    body = [row for row in rows[header_row:] if any(cell.strip() for cell in row)]
    if not body:
        raise NoTable(reason="no rows below the header" if header else "no rows")
    mark = _section_mark(body)
    sections = None
    items: tuple[WideItem, ...] = ()
    if mark:
        inside = assign(
            _columns(header, [r for r in body if _opens(r, mark)], skip=1), today, SHARED
        )
        found = assign(_columns([], [r for r in body if not _opens(r, mark)]), today, LINE)
        order = date_order(_columns(header, [r for r in body if _opens(r, mark)]), inside, today)
        sections = Sections(mark, 1, inside.places)
        doubts |= {
            key.replace("columns", "sections.columns"): v for key, v in inside.doubts.items()
        }
    else:
        columns = _columns(header, body)
        found = assign(columns, today)
        order = date_order(columns, found, today)
        items = _wide_items(found, columns)
    doubts |= {key: doubt for key, doubt in found.doubts.items() if _is_named(key, found)}
    profile = FileProfile(
        format=kind,
        encoding=encoding,
        delimiter=delimiter,
        header_row=header_row,
        dates=order,
        columns=found.places,
        sections=sections,
        items=items,
        only_named=True,
    )
    if items:
        doubts[f"items.{items[0].place}"] = Doubt("wide")
    return Proposal(profile, doubts, _missing(profile))


def _is_named(key: str, found: Assignment) -> bool:
    return not key.startswith("columns.") or key.removeprefix("columns.") in found.places


def _fixed(raw: bytes, encoding: str, today: date, doubts: dict[str, Doubt]) -> Proposal:
    lines = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r", b"").split(b"\n")
    if not is_fixed_width(lines):
        raise NoTable(reason="neither a delimiter nor columns of fixed width")
    columns = []
    for first, last in split_ranges(lines, column_ranges(lines), today):
        cells = [_cut(line[first:last], encoding) for line in lines[:_MOST_ROWS]]
        columns.append(column_of(f"{first + 1}-{last}", "", cells))
    found = assign(columns, today)
    doubts |= found.doubts
    doubts["format"] = Doubt("ranges")
    profile = FileProfile(
        format=TableFormat.FIXED,
        encoding=encoding,
        header_row=0,
        dates=date_order(columns, found, today),
        columns=found.places,
        only_named=True,
    )
    return Proposal(profile, doubts, _missing(profile))


def _cut(part: bytes, encoding: str) -> str:
    try:
        return part.decode(_codec(encoding))
    except UnicodeDecodeError:
        # The range is wrong there, and reading will say so.
        return ""


def _encoding(raw: bytes, doubts: dict[str, Doubt]) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    for encoding in _ENCODINGS:
        try:
            raw.decode(_codec(encoding))
        except UnicodeDecodeError:
            continue
        if encoding == "gb18030":
            doubts["encoding"] = Doubt("encoding")
        return encoding
    raise NoTable(reason="it is text in none of UTF-8, Big5 and GB18030")


def _dbf_encoding(raw: bytes) -> str:
    for encoding in ("utf-8", "big5"):
        if not any(fault for _, _, fault in islice(dbf_table(raw, encoding), _MOST_ROWS)):
            return encoding
    return "big5"


def _codec(encoding: str) -> str:
    return "cp950" if encoding == "big5" else encoding


def _table(text: str) -> tuple[str, list[list[str]]]:
    """The delimiter that cuts most rows into the same number of cells, and the rows."""
    best: tuple[int, str, list[list[str]]] = (0, "", [])
    for delimiter in DELIMITERS:
        try:
            rows = list(islice(csv_rows(text, delimiter), _MOST_ROWS))
        except CsvUnreadable:
            continue
        filled = [len(row) for row in rows if any(row)]
        if not filled:
            continue
        width, times = Counter(filled).most_common(1)[0]
        score = times * (width - 1)
        if width > 1 and times * 2 >= len(filled) and score > best[0]:
            best = score, delimiter, rows
    return best[1], best[2]


def _header_row(rows: Sequence[Sequence[str]]) -> int:
    """The row, from 1, in which most cells are header texts; 0 where none has two of them."""
    best, at = 1, 0
    for number, row in enumerate(rows[:_HEADER_WITHIN], start=1):
        known = sum(
            any(hint.search(cell.strip()) for _, hint in HEADER_HINTS)
            for cell in row
            if cell.strip() and not any(c.isdigit() for c in cell)
        )
        if known > best:
            best, at = known, number
    return at


def _section_mark(body: Sequence[Sequence[str]]) -> str:
    first = Counter(row[0].strip() for row in body if row)
    marks = [
        text
        for text, times in first.items()
        if text and times > 1 and len(text) > 1 and not any(c.isalnum() for c in text)
    ]
    return marks[0] if len(marks) == 1 else ""


def _opens(row: Sequence[str], mark: str) -> bool:
    return bool(row) and row[0].strip().startswith(mark)


def _columns(header: Sequence[str], body: Sequence[Sequence[str]], skip: int = 0) -> list[Column]:
    width = max([len(header), *(len(row) for row in body)])
    texts = Counter(cell.strip().casefold() for cell in header)
    columns = []
    for index in range(skip, width):
        title = header[index].strip() if index < len(header) else ""
        # A text that stands there twice names neither of its columns.
        place: Place = title if title and texts[title.casefold()] == 1 else index + 1
        cells = [row[index] for row in body if index < len(row)]
        columns.append(column_of(place, title, cells))
    return columns


def _wide_items(found: Assignment, columns: Sequence[Column]) -> tuple[WideItem, ...]:
    if found.places.keys() & {"item_code", "item_name", "order_code"}:
        return ()
    # The first of them may have been taken for the column of all values.
    taken = found.places.get("value", ())
    left = [each for each in columns if each in found.left or each.place in taken]
    wide = [each for each in left if each.header and each.all_are("value")]
    if len(wide) < 2:
        return ()
    found.places.pop("value", None)
    return tuple(WideItem(each.place, {"item_code": each.header}) for each in wide)


def _missing(profile: FileProfile) -> tuple[str, ...]:
    named = {*profile.columns, *(profile.sections.columns if profile.sections else ())}
    missing = [] if named & set(_WHOSE) else [" / ".join(_WHOSE)]
    if not profile.items:
        missing += [] if "value" in named else ["value"]
        missing += [] if named & set(_WHAT) else [" / ".join(_WHAT)]
    wished = [name for name in _WISHED if name not in named]
    if {"low", "high"} & named and "reference" in wished:
        wished.remove("reference")
    return (*missing, *wished)
