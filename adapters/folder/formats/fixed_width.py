"""Files of fixed width: the ranges of the profile are cut out of each line.

Taiwanese systems count bytes of Big5, two for a Chinese character; a range that cuts through one
is a fault of its line. The ranges themselves are the header row, so that places are found by them.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.folder.formats.csv_text import codec_of, csv_text
from adapters.folder.formats.errors import TableUnreadable
from adapters.folder.formats.table_rows import CUT_CHARACTER, Rows
from mapping.file_profile import Count, FileProfile
from mapping.file_profile_toml import range_of


def fixed_table(raw: bytes, profile: FileProfile) -> Rows:
    """The row of the ranges (number 0), then the cells of each line behind ``header_row``, blanks
    around them cut off. Raises TableUnreadable, or TextUndecodable where characters are counted."""
    named = [str(place) for place in profile.places()]
    slices = [slice(*found) for place in named if (found := range_of(place)) is not None]
    if len(slices) != len(named) or not slices:
        raise TableUnreadable(
            reason="the source has no profile with ranges for it",
            reason_zh="來源未設定固定寬度欄位範圍",
            place="profile",
        )
    yield 0, named, ""
    if profile.counts is Count.CHARACTERS or raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        for number, text in enumerate(csv_text(raw, profile.encoding).split("\n"), start=1):
            if number > profile.header_row:
                line = text.rstrip("\r\x1a")
                yield number, [line[each].strip() for each in slices], ""
        return
    codec = codec_of(profile.encoding)
    for number, part in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if number > profile.header_row:
            cells, fault = _cut(part.rstrip(b"\r\x1a"), slices, codec)
            yield number, cells, fault


def _cut(line: bytes, slices: Sequence[slice], codec: str) -> tuple[list[str], str]:
    try:
        return [line[each].decode(codec).strip() for each in slices], ""
    except UnicodeDecodeError:
        return [], CUT_CHARACTER
    except LookupError:
        raise TableUnreadable(
            reason="the profile names an unknown encoding",
            reason_zh="來源設定的編碼名稱不明",
            place="profile",
        ) from None
