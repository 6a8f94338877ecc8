"""The rows of a dBASE, FoxPro or Clipper table (DBF): the field names are its header.

Layout: header of 32 bytes, a descriptor of 32 bytes for each field, 0D, then records of fixed
width, each with a mark of deletion before it (dBASE III PLUS; Visual FoxPro adds types and flags).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from adapters.folder.formats.csv_text import codec_of
from adapters.folder.formats.errors import TableUnreadable, TextUndecodable
from adapters.folder.formats.table_rows import CELL_ERROR, CUT_CHARACTER, Rows

_VERSIONS = frozenset(b"\x02\x03\x30\x31\x32\x43\x63\x83\x8b\x8e\xcb\xf5\xfb")
_HEADER = struct.Struct("<B3BIHH")
_FIELD_BYTES = 32
_END_OF_FIELDS = 0x0D
_DELETED = 0x2A
_CODE_PAGES = {0x78: "cp950", 0x4F: "cp950", 0x7A: "gb18030", 0x4D: "gb18030"}
_NUMBER = re.compile(rb"[+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?")
_JULIAN_OF_YEAR_1 = 1721425


@dataclass(frozen=True, slots=True)
class _Field:
    name: bytes
    kind: str
    at: int
    length: int


def is_dbf(raw: bytes) -> bool:
    """Whether header and field descriptors fit together as only a DBF's do."""
    return _fields(raw) is not None


def dbf_table(raw: bytes, encoding: str) -> Rows:
    """The header row (number 1) and the records (from 2), deleted ones left out.

    Characters are of the code page that the file names, else ``encoding``. Memo fields are no
    part of the file and are left out. Raises TableUnreadable or TextUndecodable.
    """
    fields = _fields(raw)
    if fields is None:
        raise _unreadable("it is no DBF table", "並非 DBF 檔", "header")
    codec = _CODE_PAGES.get(raw[29]) or codec_of(encoding)
    count, header_bytes, record_bytes = _HEADER.unpack_from(raw)[4:7]
    if len(raw) < header_bytes + count * record_bytes:
        whole = (len(raw) - header_bytes) // record_bytes
        raise _unreadable("it is cut off", "檔案不完整", f"record {whole + 1}")
    try:
        yield 1, [field.name.decode(codec) for field in fields], ""
    except (UnicodeDecodeError, LookupError):
        raise TextUndecodable(
            reason=f"a field name is no {codec} text",
            reason_zh=f"欄位名稱並非 {codec} 編碼",
            place="header",
        ) from None
    for number in range(count):
        start = header_bytes + number * record_bytes
        if raw[start] == _DELETED:
            continue
        cells: list[str] = []
        fault = ""
        for field in fields:
            part = raw[start + field.at : start + field.at + field.length]
            try:
                cells.append(_READERS[field.kind](part, codec))
            except UnicodeDecodeError:
                cells.append("")
                fault = CUT_CHARACTER
            except (ValueError, OverflowError, struct.error):
                cells.append("")
                fault = CELL_ERROR
        yield number + 2, cells, fault


def _fields(raw: bytes) -> tuple[_Field, ...] | None:
    if len(raw) < 65 or raw[0] not in _VERSIONS:
        return None
    _, _, month, day, _, header_bytes, record_bytes = _HEADER.unpack_from(raw)
    if not (month <= 12 and day <= 31 and 65 <= header_bytes <= len(raw)):
        return None
    fields = []
    at, place = 32, 1
    while at < header_bytes and raw[at] != _END_OF_FIELDS:
        descriptor = raw[at : at + _FIELD_BYTES]
        if len(descriptor) < _FIELD_BYTES:
            return None
        kind, length = chr(descriptor[11]), descriptor[16]
        if kind == "C":
            # Clipper keeps the high byte of a long text where decimals would stand.
            length += descriptor[17] << 8
        if not length or kind not in _WIDTHS or length not in (_WIDTHS[kind] or (length,)):
            return None
        if kind in _READERS:
            fields.append(_Field(descriptor[:11].split(b"\0")[0].strip(), kind, place, length))
        place += length
        at += _FIELD_BYTES
    if at >= header_bytes or place != record_bytes or not fields:
        return None
    return tuple(fields)


def _text(part: bytes, codec: str) -> str:
    return part.rstrip(b" \0").decode(codec)


def _number(part: bytes, codec: str) -> str:
    digits = part.strip(b" \0")
    if not digits:
        return ""
    if _NUMBER.fullmatch(digits) is None:
        # ****: what did not fit into the field.
        raise ValueError("no number")
    return digits.decode("ascii")


def _day(part: bytes, codec: str) -> str:
    day = part.strip(b" \0")
    if day and not (len(day) == 8 and day.isdigit()):
        raise ValueError("no day")
    return day.decode("ascii")


def _logical(part: bytes, codec: str) -> str:
    return part.strip(b" ?\0").decode("ascii")


def _integer(part: bytes, codec: str) -> str:
    return str(struct.unpack("<i", part)[0])


def _double(part: bytes, codec: str) -> str:
    value = struct.unpack("<d", part)[0]
    if not abs(value) < 1e15:
        raise ValueError("no number that a person typed")
    return repr(value).removesuffix(".0")


def _time(part: bytes, codec: str) -> str:
    day, milliseconds = struct.unpack("<iI", part)
    if not day:
        return ""
    seconds = round(milliseconds / 1000)
    on = date(1, 1, 1) + timedelta(days=day - _JULIAN_OF_YEAR_1 - 1 + seconds // 86400)
    hours, rest = divmod(seconds % 86400, 3600)
    return f"{on.isoformat()} {hours:02d}:{rest // 60:02d}:{rest % 60:02d}"


_READERS: Mapping[str, Callable[[bytes, str], str]] = {
    "C": _text,
    "N": _number,
    "F": _number,
    "D": _day,
    "L": _logical,
    "I": _integer,
    "B": _double,
    "T": _time,
}
# The widths that a type may have; None any. M, G, P, W are kept outside the file, Y and 0 unread.
_WIDTHS: Mapping[str, tuple[int, ...] | None] = {
    "C": None,
    "N": None,
    "F": None,
    "D": (8,),
    "L": (1,),
    "I": (4,),
    "B": (8, 10),
    "T": (8,),
    "M": (4, 10),
    "G": (4, 10),
    "P": (4, 10),
    "W": (4,),
    "Y": (8,),
    "0": None,
}


def _unreadable(reason: str, reason_zh: str, place: str) -> TableUnreadable:
    return TableUnreadable(reason=reason, reason_zh=reason_zh, place=place)
