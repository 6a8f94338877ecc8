"""The rows of a sheet of an Excel workbook (ECMA-376), read from its XML.

Read by ourselves because the workbook's own text of a number is what a laboratory said: a reader
that hands out floating point has lost it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from adapters.folder.formats.errors import TableUnreadable
from adapters.folder.formats.number_formats import (
    GENERAL,
    NumberFormat,
    number_format,
    number_text,
)
from adapters.folder.formats.table_rows import CELL_ERROR, UNCOMPUTED, Rows
from adapters.folder.formats.zip_members import ZipMembers
from mapping.file_profile import Place

_LARGEST_ROWS = 1_048_576
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_RELATION = re.compile(r"\{[^}]*officeDocument/[^}]*relationships\}id")
# Halves of surrogate pairs are no characters.
_ESCAPED = re.compile(r"_x((?![Dd][89A-Fa-f])[0-9A-Fa-f]{4})_")
_DOCTYPES = tuple(
    mark.encode(codec)
    for mark in ("<!DOCTYPE", "<!ENTITY")
    for codec in ("ascii", "utf-16-le", "utf-16-be")
)


@dataclass(frozen=True, slots=True)
class _Book:
    members: ZipMembers
    sheets: tuple[tuple[str, str, bool], ...]
    """Name, path and whether it is shown."""
    shared: tuple[str, ...]
    formats: tuple[NumberFormat, ...]
    from_1904: bool


def xlsx_table(raw: bytes, sheet: Place) -> Rows:
    """The rows of the sheet named or numbered ``sheet``, or of the first that is shown.

    Numbers are texts of at least the decimals that are shown, days ISO 8601. Raises
    TableUnreadable or ZipUnreadable.
    """
    book = _open(raw)
    path = _choose(book, sheet)
    xml = book.members.read(path)
    if not xml:
        raise _unreadable("its sheet is missing", "缺少工作表", "sheet")
    found = False
    for row in _rows(xml, book):
        found = found or any(row[1])
        yield row
    if not found:
        raise _unreadable("its sheet has no cells", "工作表沒有資料", "sheet")


def sheet_names(raw: bytes) -> tuple[str, ...]:
    """The names of the sheets that are shown. Raises like :func:`xlsx_table`."""
    return tuple(name for name, _, shown in _open(raw).sheets if shown)


def is_workbook(names: tuple[str, ...]) -> bool:
    """Whether a ZIP with these members is an Excel workbook of this kind."""
    return "[Content_Types].xml" in names and any(
        name.lower().endswith("workbook.xml") for name in names
    )


def _open(raw: bytes) -> _Book:
    members = ZipMembers(raw)
    path = next((n for n in members.names if n.lower().endswith("xl/workbook.xml")), "")
    if not path:
        raise _unreadable("it holds no workbook of kind XLSX", "並非 XLSX 活頁簿", "workbook")
    folder = posixpath.dirname(path)
    relations_path = f"{folder}/_rels/{posixpath.basename(path)}.rels"
    targets = {
        each.get("Id", ""): _joined(folder, each.get("Target", ""))
        for each in _all(members.read(relations_path), "Relationship", "relationships")
        if each.get("TargetMode") != "External"
    }
    sheets = []
    from_1904 = False
    for element in _all(members.read(path), "*", "workbook"):
        name = etree.QName(element).localname
        if name == "workbookPr":
            from_1904 = element.get("date1904", "") in ("1", "true")
        elif name == "sheet":
            relation = next((v for k, v in element.attrib.items() if _RELATION.match(str(k))), "")
            shown = element.get("state", "visible") == "visible"
            sheets.append((element.get("name", ""), targets.get(str(relation), ""), shown))
    if not sheets:
        raise _unreadable("it has no sheets", "沒有工作表", "workbook")
    shared = _shared(members.read(_named(members, folder, "sharedStrings.xml")))
    formats = _formats(members.read(_named(members, folder, "styles.xml")))
    return _Book(members, tuple(sheets), shared, formats, from_1904)


def _named(members: ZipMembers, folder: str, name: str) -> str:
    wanted = f"{folder}/{name}".lower()
    return next((each for each in members.names if each.lower() == wanted), "")


def _joined(folder: str, target: str) -> str:
    path = target.lstrip("/") if target.startswith("/") else f"{folder}/{target}"
    return posixpath.normpath(path)


def _choose(book: _Book, sheet: Place) -> str:
    if isinstance(sheet, int):
        if sheet <= len(book.sheets):
            return book.sheets[sheet - 1][1]
        raise _unreadable(f"it has no sheet {sheet}", f"沒有第 {sheet} 張工作表", "workbook")
    if sheet:
        for name, path, _ in book.sheets:
            if name.strip() == sheet.strip():
                return path
        raise _unreadable(
            f"it has no sheet “{sheet}”, which the profile names",
            f"缺少設定的工作表「{sheet}」",
            "workbook",
        )
    return next((path for _, path, shown in book.sheets if shown), book.sheets[0][1])


def _all(xml: bytes, name: str, part: str) -> Iterator[etree._Element]:
    """The elements ``name`` of any namespace: there are two of these formats, alike but in that."""
    if any(mark in xml for mark in _DOCTYPES):
        raise _unreadable("it declares a DOCTYPE", "含有 DOCTYPE 宣告", part)
    parser = etree.XMLPullParser(
        events=("end",),
        tag=f"{{*}}{name}" if name != "*" else None,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        for start in range(0, len(xml), 1 << 16):
            parser.feed(xml[start : start + (1 << 16)])
            for _, element in parser.read_events():
                yield element
        if xml:
            parser.close()
    except etree.XMLSyntaxError:
        raise _unreadable("its XML is not well-formed", "XML 格式不正確", part) from None


def _shared(xml: bytes) -> tuple[str, ...]:
    texts = []
    for element in _all(xml, "si", "sharedStrings"):
        texts.append(_rich_text(element))
        _free(element)
    return tuple(texts)


def _rich_text(element: etree._Element) -> str:
    """The text of its runs; what only tells how to read it aloud (rPh) is left out."""
    parts = []
    for child in element:
        name = etree.QName(child).localname
        if name == "t":
            parts.append(child.text or "")
        elif name == "r":
            parts += [t.text or "" for t in child if etree.QName(t).localname == "t"]
    return _unescaped("".join(parts))


def _unescaped(text: str) -> str:
    """``_x000D_`` is how the format writes a character that XML cannot hold."""
    if "_x" not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), text)


def _formats(xml: bytes) -> tuple[NumberFormat, ...]:
    codes: dict[int, str] = {}
    found: list[NumberFormat] = []
    for element in _all(xml, "*", "styles"):
        name = etree.QName(element).localname
        if name == "numFmt":
            codes[_number(element.get("numFmtId"))] = element.get("formatCode", "")
        elif name == "cellXfs":
            for xf in element:
                number = _number(xf.get("numFmtId"))
                found.append(number_format(number, codes.get(number, "")))
    return tuple(found)


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else 0


def _rows(xml: bytes, book: _Book) -> Rows:
    number = 0
    for element in _all(xml, "row", "sheet"):
        told = _number(element.get("r"))
        number = told if told > number else number + 1
        if number > _LARGEST_ROWS:
            raise _unreadable("it has too many rows", "列數過多", "sheet")
        cells: list[str] = []
        fault = ""
        for cell in element:
            column = _column(cell.get("r"), len(cells))
            while len(cells) < column:
                cells.append("")
            text, wrong = _cell(cell, book)
            cells.append(text)
            fault = fault or wrong
        yield number, cells, fault
        _free(element)


def _column(reference: str | None, next_one: int) -> int:
    match = _REFERENCE.fullmatch(reference or "")
    if match is None:
        return next_one
    column = 0
    for letter in match.group(1):
        column = column * 26 + ord(letter) - 64
    return max(column - 1, next_one)


def _cell(cell: etree._Element, book: _Book) -> tuple[str, str]:
    value, is_formula, inline = None, False, ""
    for child in cell:
        name = etree.QName(child).localname
        if name == "v":
            value = child.text
        elif name == "f":
            is_formula = True
        elif name == "is":
            inline = _rich_text(child)
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        return inline, ""
    if value is None:
        return "", UNCOMPUTED if is_formula else ""
    if kind == "s":
        index = _number(value)
        return (book.shared[index], "") if index < len(book.shared) else ("", CELL_ERROR)
    if kind in ("str", "d"):
        return _unescaped(value), ""
    if kind == "e":
        return "", CELL_ERROR
    if kind == "b":
        return ("TRUE" if value.strip() == "1" else "FALSE"), ""
    style = _number(cell.get("s"))
    form = book.formats[style] if style < len(book.formats) else GENERAL
    try:
        return number_text(value, form, from_1904=book.from_1904), ""
    except ValueError:
        return "", CELL_ERROR


def _free(element: etree._Element) -> None:
    element.clear(keep_tail=False)
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _unreadable(reason: str, reason_zh: str, place: str) -> TableUnreadable:
    return TableUnreadable(reason=reason, reason_zh=reason_zh, place=place)
