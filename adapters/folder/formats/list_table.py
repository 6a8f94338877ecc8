"""Tables of codes that an operator imports: CSV with a header, Big5 or UTF-8."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapters.folder.formats.csv_text import csv_rows, csv_text
from mapping.errors import UnreadablePayload


class ListUnreadable(UnreadablePayload):
    """A list of codes or claims that is not whole; ``reason`` never quotes a value."""

    code = "list-unreadable"
    en = (
        "The list cannot be read: {reason} (at {place}).",
        "Export it again, with the official column names, as CSV in UTF-8 or Big5.",
    )
    zh = (
        "清單無法讀取：{reason_zh}（位置：{place}）。",
        "請以官方欄位名稱重新匯出為 UTF-8 或 Big5 的 CSV。",
    )

    @classmethod
    def of(cls, reason: str, reason_zh: str, place: str) -> ListUnreadable:
        return cls(reason=reason, reason_zh=reason_zh, place=place)


def table_rows(
    raw: bytes, columns: Mapping[str, Sequence[str]], needed: Sequence[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """``(place, cells)`` of each row that is not blank, cells by our names, without the empty ones.

    ``columns`` gives for each of our names the header texts that mean it; of several that are
    there the first with a value counts. Raises ListUnreadable and TextUndecodable.
    """
    text = csv_text(raw, "big5")
    rows = csv_rows(text, _delimiter(text))
    header = [cell.strip() for cell in next(rows, [])]
    positions = {
        name: [header.index(each) for each in texts if each in header]
        for name, texts in columns.items()
    }
    for name in needed:
        if not positions[name]:
            column = " / ".join(columns[name])
            raise ListUnreadable.of(f"it has no column {column}", f"缺少欄位 {column}", "row 1")
    for number, cells in enumerate(rows, start=2):
        if not any(map(str.strip, cells)):
            continue
        if len(cells) != len(header):
            raise ListUnreadable.of(
                "it has another number of cells than the header",
                "欄數與標題列不同",
                f"row {number}",
            )
        yield f"row {number}", _cells(cells, positions)


def _cells(cells: Sequence[str], positions: Mapping[str, Sequence[int]]) -> dict[str, str]:
    found = {}
    for name, places in positions.items():
        value = next((cells[place].strip() for place in places if cells[place].strip()), "")
        if value:
            found[name] = value
    return found


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return "\t" if "\t" in first and "," not in first else ","
