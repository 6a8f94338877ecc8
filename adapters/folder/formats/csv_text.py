"""The text of a CSV: its character set is declared or proved, never guessed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from adapters.folder.formats.csv_layout import known_texts
from adapters.folder.formats.errors import CsvQuotingBroken, TextUndecodable

_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_BIG5 = frozenset({"big5", "big-5", "cp950", "ms950", "windows-950"})
DELIMITERS = ",;\t|"
_CELL_CHARACTERS = 1_000_000


def csv_text(raw: bytes, encoding: str, delimiter: str = ",") -> str:
    """Decode all of ``raw``, strictly.

    A byte order mark decides. Else UTF-8 and the profile's ``encoding`` are tried: exactly one
    must decode all bytes (or both to the same text). Where neither does, CP950 is proved by a
    header in known Chinese texts. Raises TextUndecodable.
    """
    for mark, codec in _BOMS:
        if raw.startswith(mark):
            return _decode(raw, codec)
    if raw.isascii():
        return raw.decode("ascii")
    declared = codec_of(encoding)
    found = {text for codec in {"utf-8", declared} if (text := _try(raw, codec)) is not None}
    if len(found) == 1:
        return found.pop()
    if found:
        raise _undecodable(
            f"the bytes are text both in utf-8 and in {declared}",
            f"內容同時可解讀為 utf-8 與 {declared}",
            "row 1",
        )
    text = _try(raw, "cp950")
    if text is not None and _has_chinese_header(text, delimiter):
        return text
    return _decode(raw, declared)


def csv_rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """The rows, cells verbatim. Raises CsvQuotingBroken where the quoting is broken."""
    # The module's limit is global; a larger one already set by somebody else stays.
    csv.field_size_limit(max(csv.field_size_limit(), _CELL_CHARACTERS))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise CsvQuotingBroken(
                reason="the quoting is broken or a cell is too long",
                reason_zh="引號不成對或欄位內容過長",
                place=f"line {reader.line_num}",
            ) from None
        yield row


def usual_delimiter(text: str, delimiter: str) -> str:
    """``delimiter``, unless another one alone makes the first line a header in known texts."""
    line = text[: text.find("\n")] if "\n" in text else text
    if known_texts(line.rstrip("\r").split(delimiter)) >= 2:
        return delimiter
    others = [
        other
        for other in DELIMITERS
        if other != delimiter and known_texts(line.rstrip("\r").split(other)) >= 2
    ]
    return others[0] if len(others) == 1 else delimiter


def codec_of(encoding: str) -> str:
    """Python's name for a character set; Big5 is read as CP950."""
    name = encoding.strip().lower()
    if name in _BIG5:
        return "cp950"
    return name or "utf-8"


def _try(raw: bytes, codec: str) -> str | None:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return None
    except LookupError:
        raise _undecodable(
            "the profile names an unknown encoding", "來源設定的編碼名稱不明", "profile"
        ) from None


def _decode(raw: bytes, codec: str) -> str:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _undecodable(f"not {codec} text", f"並非 {codec} 編碼", f"line {line}") from None


def _has_chinese_header(text: str, delimiter: str) -> bool:
    header = next(csv_rows(text, usual_delimiter(text, delimiter)), [])
    return known_texts([cell for cell in header if not cell.isascii()]) >= 2


def _undecodable(reason: str, reason_zh: str, place: str) -> TextUndecodable:
    return TextUndecodable(reason=reason, reason_zh=reason_zh, place=place)
