"""Code maps as a CSV file for a spreadsheet: UTF-8 with a byte order mark, one decision a row.

No cell can be taken for a formula, whatever a laboratory's code begins with; reading the file
takes the mark off again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from broker.store.code_maps import CodeDecision
from mapping.code_map import LocalCode
from mapping.errors import LabbrokerError

NEVER = "-"
"""In the column ``order_code``: these lines are never uploaded."""

_COLUMNS = (
    "source",
    "code",
    "name",
    "specimen",
    "unit",
    "method",
    "order_code",
    "item",
    "reason",
    "decided_by",
    "decided_at",
)
_NEEDED = frozenset({"source", "code", "order_code"})
_FORMULA = frozenset("=+-@\t\r")


class UnreadableCodeMap(LabbrokerError):
    code = "unreadable-code-map"
    en = (
        "The code map cannot be read: {reason} ({place}).",
        "Take a file of `labbroker codes export` as the pattern. Nothing was changed.",
    )
    zh = (
        "無法讀取代碼對照檔：{reason}（{place}）。",
        "請以 `labbroker codes export` 的檔案為範本。未做任何變更。",
    )


def write_code_map(decisions: Iterable[CodeDecision]) -> bytes:
    """The file of ``decisions``."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for each in decisions:
        local = each.local
        cells = (
            each.source_id,
            local.code,
            each.name,
            local.specimen,
            local.unit,
            local.method,
            each.order_code,
            str(each.item_number or ""),
            each.reason,
            each.decided_by,
            each.decided_at.isoformat(timespec="seconds"),
        )
        safe = [_safe(cell) for cell in cells]
        safe[6] = each.order_code or NEVER
        writer.writerow(safe)
    return text.getvalue().encode("utf-8-sig")


def read_code_map(raw: bytes, by: str) -> list[CodeDecision]:
    """The decisions of a file, which ``by`` brings; who decided before is not taken over.

    UTF-8, or Big5 as a spreadsheet saves it. Raises :class:`UnreadableCodeMap`.
    """
    rows = csv.reader(io.StringIO(_decode(raw), newline=""))
    try:
        return _read_rows(rows, by)
    except csv.Error as error:
        place = f"line {rows.line_num}"
        raise UnreadableCodeMap(reason="it is no CSV", place=place) from error


def _read_rows(rows: Iterable[list[str]], by: str) -> list[CodeDecision]:
    decisions: list[CodeDecision] = []
    header: list[str] | None = None
    for number, row in enumerate(rows, start=1):
        if not any(cell.strip() for cell in row):
            continue
        if header is None:
            header = [cell.strip() for cell in row]
            missing = sorted(_NEEDED.difference(header))
            if missing:
                raise UnreadableCodeMap(
                    reason=f"no column {', '.join(missing)}", place=f"row {number}"
                )
            continue
        if len(row) != len(header):
            reason = f"{len(row)} cells, not {len(header)}"
            raise UnreadableCodeMap(reason=reason, place=f"row {number}")
        told = {name: _plain(cell) for name, cell in zip(header, row, strict=True)}
        decisions.append(_decision(told, by, number))
    if header is None:
        raise UnreadableCodeMap(reason="it is empty", place="row 1")
    return decisions


def _decision(told: dict[str, str], by: str, number: int) -> CodeDecision:
    item = told.get("item", "").strip()
    if item and not (item.isascii() and item.isdecimal() and len(item) <= 6):
        raise UnreadableCodeMap(reason="item is no number", place=f"row {number}")
    order_code = told["order_code"].strip()
    if not order_code:
        reason = f"no order_code ({NEVER} where the line is never uploaded)"
        raise UnreadableCodeMap(reason=reason, place=f"row {number}")
    local = LocalCode(
        told["code"], *(told.get(name, "") for name in ("specimen", "unit", "method"))
    )
    return CodeDecision(
        told["source"].strip(),
        local,
        "" if order_code == NEVER else order_code.upper(),
        int(item) if item else None,
        name=told.get("name", ""),
        decided_by=by,
        reason=told.get("reason", ""),
    )


def _decode(raw: bytes) -> str:
    for encoding in ("utf-8-sig", "cp950"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableCodeMap(reason="it is neither UTF-8 nor Big5", place="the whole file")


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.lstrip("'")[:1] in _FORMULA else cell


def _plain(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'")[:1] in _FORMULA else cell
