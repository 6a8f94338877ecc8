"""File profiles as TOML: reading with every mistake named, and writing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mapping.errors import LabbrokerError
from mapping.file_profile import (
    RESULT_COLUMNS,
    Count,
    DateOrder,
    FileProfile,
    Place,
    Places,
    RowFilter,
    Sections,
    TableFormat,
    WideItem,
)

_KEYS = (
    "format",
    "encoding",
    "delimiter",
    "sheet",
    "header_row",
    "dates",
    "counts",
    "columns",
    "constants",
    "sections",
    "filters",
    "items",
)
WIDE_TEXTS = ("order_code", "item_code", "item_name", "unit", "reference", "low", "high", "method")
"""What an entry of ``[[items]]`` may say beside its ``column``."""
_RANGE = re.compile(r"([1-9][0-9]{0,4})-([1-9][0-9]{0,4})")
_MOST_COLUMNS = 16384


class FileProfileWrong(LabbrokerError):
    """``place`` is the key; its value is not repeated."""

    code = "profile-wrong"
    en = (
        "The profile's {place} does not take this: {expected}.",
        "Correct it; docs/how-to/connect-a-lab-by-files.md explains every key, and "
        "`labbroker profile suggest FILE` writes a profile.",
    )
    zh = (
        "來源檔案設定的 {place} 不正確：{expected}。",
        "請更正；各項說明見 docs/how-to/connect-a-lab-by-files.md，"
        "亦可用 `labbroker profile suggest 檔案` 產生。",
    )


def parse_file_profile(data: Mapping[str, Any]) -> FileProfile:
    """The profile of a parsed TOML document. Raises FileProfileWrong."""
    _known(data, _KEYS, "")
    format_ = TableFormat(_choice(data, "format", TableFormat, "")) if "format" in data else None
    fixed = format_ is TableFormat.FIXED
    header_row = data.get("header_row", 0 if fixed else 1)
    if type(header_row) is not int or not 0 <= header_row <= 1000:
        raise _wrong("header_row", "a row number, 0 where there is no header")
    sheet = data.get("sheet", "")
    if not (isinstance(sheet, str) or (type(sheet) is int and sheet > 0)):
        raise _wrong("sheet", "a name, or a number from 1")
    delimiter = _text(data, "delimiter", ",")
    if len(delimiter) != 1:
        raise _wrong("delimiter", "one character")
    profile = FileProfile(
        format=format_,
        encoding=_text(data, "encoding", "utf-8"),
        delimiter=delimiter,
        sheet=sheet,
        header_row=header_row,
        dates=DateOrder(_choice(data, "dates", DateOrder, "")),
        counts=Count(_choice(data, "counts", Count, "bytes")),
        columns=_columns(data.get("columns", {}), "columns"),
        constants=_constants(data.get("constants", {})),
        sections=_sections(data["sections"]) if "sections" in data else None,
        filters=tuple(_filter(each, n) for n, each in _entries(data, "filters")),
        items=tuple(_item(each, n) for n, each in _entries(data, "items")),
        only_named=True,
    )
    _check(profile)
    return profile


def file_profile_toml(profile: FileProfile, notes: Mapping[str, str]) -> str:
    """``profile`` as TOML. ``notes`` are remarks by key (``columns.unit``), written behind it."""
    lines = []
    for name, value, default in (
        ("format", str(profile.format or ""), ""),
        ("encoding", profile.encoding, "utf-8"),
        ("delimiter", profile.delimiter, ","),
        ("sheet", profile.sheet, ""),
        ("header_row", profile.header_row, None),
        ("dates", str(profile.dates), ""),
        ("counts", str(profile.counts), "bytes"),
    ):
        if value != default:
            lines.append(_line(name, value, notes.get(name, "")))
    _table(lines, "columns", profile.columns, notes)
    _table(lines, "constants", profile.constants, notes)
    if profile.sections is not None:
        lines += ["", "[sections]", _line("mark", profile.sections.mark, "")]
        lines.append(_line("column", profile.sections.column, ""))
        _table(lines, "sections.columns", profile.sections.columns, notes)
    for each in profile.filters:
        lines += ["", "[[filters]]", _line("column", each.column, "")]
        if each.keep:
            lines.append(_line("keep", list(each.keep), ""))
        if each.drop:
            lines.append(_line("drop", list(each.drop), ""))
    for item in profile.items:
        lines += [
            "",
            "[[items]]",
            _line("column", item.place, notes.get(f"items.{item.place}", "")),
        ]
        lines += [_line(name, text, "") for name, text in item.texts.items()]
    return "\n".join(lines).lstrip("\n") + "\n"


def range_of(place: Place) -> tuple[int, int] | None:
    """``"11-20"`` as (10, 20), a slice; None where it is no range."""
    match = _RANGE.fullmatch(place) if isinstance(place, str) else None
    if match is None or int(match.group(1)) > int(match.group(2)):
        return None
    return int(match.group(1)) - 1, int(match.group(2))


def _check(profile: FileProfile) -> None:
    inside = profile.sections.columns if profile.sections else {}
    named = {*profile.columns, *profile.constants, *inside}
    for name in inside:
        if name in profile.columns:
            raise _wrong(f"sections.columns.{name}", "a column that [columns] does not name too")
    for name in profile.constants:
        if name in profile.columns or name in inside:
            raise _wrong(f"constants.{name}", "a column that is not named elsewhere too")
    if not profile.columns and not profile.items:
        raise _wrong("columns", "at least the columns of the value and of whose it is")
    if profile.items:
        if "value" in named:
            raise _wrong("columns.value", "nothing, where [[items]] are columns of values")
    elif "value" not in named:
        raise _wrong("columns", "a column for value")
    if not named & {"national_id", "accession_number", "placer_order_number"}:
        raise _wrong("columns", "a column for national_id, accession_number or placer_order_number")
    if not profile.items and not named & {"order_code", "item_code", "item_name"}:
        raise _wrong("columns", "a column for order_code, item_code or item_name")
    fixed = profile.format is TableFormat.FIXED
    for place in profile.places():
        if fixed and range_of(place) is None:
            raise _wrong("columns", 'ranges such as "11-20" where format = "fixed"')
        if isinstance(place, str) and profile.header_row == 0 and not fixed:
            raise _wrong("columns", "numbers of columns where header_row = 0")


def _columns(data: Any, key: str) -> dict[str, Places]:
    if not isinstance(data, dict):
        raise _wrong(key, "a table of column = place")
    _known(data, RESULT_COLUMNS, f"{key}.")
    return {name: _places(value, f"{key}.{name}") for name, value in data.items()}


def _places(value: Any, key: str) -> Places:
    places = value if isinstance(value, list) else [value]
    if not places:
        raise _wrong(key, "a header text, a column number, or a list of them")
    return tuple(_place(each, key) for each in places)


def _place(value: Any, key: str) -> Place:
    if isinstance(value, str) and value.strip():
        return value
    if type(value) is int and 0 < value <= _MOST_COLUMNS:
        return value
    raise _wrong(key, "a header text, a column number from 1, or a range such as 11-20")


def _constants(data: Any) -> dict[str, str]:
    if not isinstance(data, dict) or not all(isinstance(each, str) for each in data.values()):
        raise _wrong("constants", 'a table of column = "text"')
    _known(data, RESULT_COLUMNS, "constants.")
    if "value" in data:
        raise _wrong("constants.value", "no constant: a result is never made up")
    return dict(data)


def _sections(data: Any) -> Sections:
    if not isinstance(data, dict):
        raise _wrong("sections", "a table with mark, column and columns")
    _known(data, ("mark", "column", "columns"), "sections.")
    mark = _text(data, "mark", "")
    if not mark.strip():
        raise _wrong("sections.mark", "the text that opens a section, such as ***")
    columns = _columns(data.get("columns", {}), "sections.columns")
    return Sections(mark, _place(data.get("column", 1), "sections.column"), columns)


def _filter(data: Mapping[str, Any], number: int) -> RowFilter:
    key = f"filters[{number}]"
    _known(data, ("column", "keep", "drop"), f"{key}.")
    if "column" not in data or ("keep" in data) == ("drop" in data):
        raise _wrong(key, "column, and either keep or drop")
    return RowFilter(
        _place(data["column"], f"{key}.column"),
        _texts(data, "keep", key),
        _texts(data, "drop", key),
    )


def _item(data: Mapping[str, Any], number: int) -> WideItem:
    key = f"items[{number}]"
    _known(data, ("column", *WIDE_TEXTS), f"{key}.")
    texts = {name: _text(data, name, "") for name in WIDE_TEXTS if name in data}
    if "column" not in data or not {"order_code", "item_code", "item_name"} & texts.keys():
        raise _wrong(key, "column, and order_code, item_code or item_name")
    return WideItem(_place(data["column"], f"{key}.column"), texts)


def _entries(data: Mapping[str, Any], key: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    rows = data.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _wrong(key, f"entries written [[{key}]]")
    return enumerate(rows, start=1)


def _texts(data: Mapping[str, Any], name: str, key: str) -> tuple[str, ...]:
    value = data.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _wrong(f"{key}.{name}", "a list of texts")
    return tuple(value)


def _text(data: Mapping[str, Any], name: str, default: str) -> str:
    value = data.get(name, default)
    if not isinstance(value, str):
        raise _wrong(name, "a text")
    return value


def _choice(data: Mapping[str, Any], name: str, choices: Iterable[str], default: str) -> str:
    value = data.get(name, default)
    known = [str(each) for each in choices]
    if value not in known:
        raise _wrong(name, f"one of {', '.join(each for each in known if each)}")
    return str(value)


def _known(data: Mapping[str, Any], names: Iterable[str], prefix: str) -> None:
    known = tuple(names)
    for name in data:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
            nearest = near[0] if near else ", ".join(known)
            raise _wrong(f"{prefix}{name}", f"there is no such key; did you mean {nearest}?")


def _wrong(place: str, expected: str) -> FileProfileWrong:
    return FileProfileWrong(place=place, expected=expected)


def _table(
    lines: list[str], name: str, values: Mapping[str, Any], notes: Mapping[str, str]
) -> None:
    if values:
        lines += ["", f"[{name}]"]
        lines += [
            _line(key, value, notes.get(f"{name}.{key}", "")) for key, value in values.items()
        ]


def _line(name: str, value: object, note: str) -> str:
    remark = f"  # {' '.join(note.split())}" if note else ""
    return f"{name} = {_value(value)}{remark}"


def _value(value: object) -> str:
    if isinstance(value, tuple) and len(value) == 1:
        return _value(value[0])
    if isinstance(value, tuple | list):
        return f"[{', '.join(_value(each) for each in value)}]"
    return str(value) if isinstance(value, int) else _quoted(str(value))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04X}" for c in escaped) + '"'
