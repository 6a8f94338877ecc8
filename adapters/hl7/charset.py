"""The character set of a message: declared in MSH-18 or in the profile, decoded strictly, once.

The whole payload is decoded before anything is split, because the second bytes of Big5 and GBK
characters are ER7 delimiters (功 ends in a backslash, 育 in a bar). Only what lets us read
MSH-18 itself is looked at in bytes. Names are those of HL7 table 0211 and their common
misspellings.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from mapping.errors import UnreadablePayload

_TABLE_0211: Final = {
    "ascii": "ascii",
    "usascii": "ascii",
    "isoir6": "ascii",
    "unicode": "utf-8",
    "unicodeutf8": "utf-8",
    "utf8": "utf-8",
    "unicodeutf16": "utf-16",
    "utf16": "utf-16",
    "unicodeutf32": "utf-32",
    "utf32": "utf-32",
    "big5": "cp950",
    "cp950": "cp950",
    "ms950": "cp950",
    "950": "cp950",
    "big5hkscs": "big5hkscs",
    "gb18030": "gb18030",
    "gb180302000": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "cp936": "gb18030",
    "latin1": "iso8859-1",
    "windows1252": "cp1252",
    "cp1252": "cp1252",
    "isoir87": "iso2022_jp",
    "isoir159": "iso2022_jp_1",
    "shiftjis": "shift_jis",
    "eucjp": "euc_jp",
    "ksx1001": "euc_kr",
    "euckr": "euc_kr",
} | {
    f"{prefix}8859{part}": f"iso8859-{part}"
    for prefix in ("", "iso")
    for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)
}

# Which codecs a header that holds other than ASCII may be in, before its MSH-18 can be read.
_CANDIDATES: Final = ("utf-8", "cp950", "gb18030", "euc_kr", "shift_jis", "cp1252", "iso8859-1")
_C1_CONTROLS: Final = re.compile("[\x80-\x9f]")
_HEADER_NAMES: Final = (b"MSH", b"FHS", b"BHS")


class UndecodablePayload(UnreadablePayload):
    """The bytes are not text in the character set that was declared. Never guessed."""

    code = "hl7-undecodable"
    en = (
        "The message is no {charset} text: byte {offset} does not decode.",
        "Let the sender declare the right character set in MSH-18, or set `charset` in the "
        "profile of this source, then run `labbroker replay`.",
    )
    zh = (
        "訊息不是 {charset} 編碼：第 {offset} 個位元組無法解碼。",
        "請送件端於 MSH-18 宣告正確字元集，或於來源設定檔設定 `charset`，"
        "再以 `labbroker replay` 重新處理。",
    )

    def __init__(self, *, charset: str, offset: int) -> None:
        super().__init__(
            charset=charset, offset=offset, reason="undecodable", place=f"byte {offset}"
        )
        self.charset, self.offset = charset, offset


class UnknownCharset(UnreadablePayload):
    """MSH-18 or the profile names a character set that we do not have, and it matters."""

    code = "hl7-unknown-charset"
    en = (
        "The character set {charset!r} of the message is not known.",
        "Use UNICODE UTF-8, BIG-5, GB 18030-2000, 8859/1 or another name of HL7 table 0211.",
    )
    zh = (
        "不認得訊息的字元集 {charset!r}。",
        "請使用 HL7 表 0211 的名稱，例如 UNICODE UTF-8、BIG-5、GB 18030-2000、8859/1。",
    )

    def __init__(self, *, charset: str) -> None:
        super().__init__(charset=charset, reason="unknown character set", place="MSH-18")
        self.charset = charset


def decode_payload(raw: bytes, fallback: str = "utf-8") -> tuple[str, str]:
    """The text of a payload and the codec that gave it.

    A byte-order mark wins, then MSH-18 of the first header that has one (its repetitions in
    turn), then ``fallback``, the profile's charset. Raises :class:`UndecodablePayload` or
    :class:`UnknownCharset`.
    """
    if raw.isascii() and b"\0" not in raw and b"\x1b" not in raw:
        return raw.decode("ascii"), "ascii"
    wide = _wide_codec(raw)
    if wide:
        return _strictly(raw, wide).removeprefix("\ufeff"), wide
    if raw.startswith(codecs.BOM_UTF8):
        return _strictly(raw, "utf-8").removeprefix("\ufeff"), "utf-8"
    names = declared_charsets(raw, fallback) or (fallback,)
    unknown = ""
    failure: UndecodablePayload | None = None
    for name in names:
        codec = codec_of(name)
        if codec is None:
            unknown = unknown or name
            continue
        if codec in ("utf-16", "utf-32"):
            codec = "utf-8"  # a header that reads byte by byte is not UTF-16, whatever it says
        try:
            return _strictly(raw, codec), codec
        except UndecodablePayload as error:
            failure = failure or error
    if failure is not None:
        raise failure
    raise UnknownCharset(charset=unknown[:24] if unknown.isascii() else "?")


def codec_of(name: str) -> str | None:
    """The Python codec for a name of table 0211 or of a profile; ``None`` when unknown."""
    return _TABLE_0211.get(re.sub(r"[^a-z0-9]", "", name.lower()))


def known_names() -> tuple[str, ...]:
    """The names that :func:`codec_of` knows, in lower case without punctuation."""
    return tuple(_TABLE_0211)


def declared_charsets(raw: bytes, fallback: str = "utf-8") -> tuple[str, ...]:
    """The repetitions of MSH-18 (FHS, BHS have none) in the first header that declares any."""
    for line in _header_lines(raw):
        fields, _ = split_header(line, fallback)
        repetition = fields[1][1:2] if len(fields) > 1 else ""
        declared = fields[17] if len(fields) > 17 else ""
        names = declared.split(repetition) if repetition else [declared]
        found = tuple(name.strip() for name in names if name.strip())
        if found:
            return found
    return ()


def split_header(line: bytes, fallback: str = "utf-8") -> tuple[list[str], str]:
    """The fields of a header segment (``[0]`` is its name, ``[1]`` MSH-2) and their codec.

    The codec is the one under which the header's own MSH-18 names that codec; else
    ``fallback`` or the first candidate that decodes. Latin-1 always does, so this never fails.
    """
    if line.isascii():
        text = line.decode("ascii")
        return text.split(text[3:4] or "|"), "ascii"
    readable: list[tuple[list[str], str]] = []
    for candidate in dict.fromkeys((codec_of(fallback) or "utf-8", *_CANDIDATES)):
        try:
            text = line.decode(candidate)
        except UnicodeDecodeError:
            continue
        fields = text.split(text[3:4] or "|")
        if (
            len(fields) > 17
            and codec_of(fields[17].partition(fields[1][1:2] or "~")[0]) == candidate
        ):
            return fields, candidate
        readable.append((fields, candidate))
    return readable[0]


def _header_lines(raw: bytes) -> list[bytes]:
    lines: list[bytes] = []
    position = 0
    while len(lines) < 3:
        starts = [at for at in (raw.find(name, position) for name in _HEADER_NAMES) if at >= 0]
        if not starts:
            break
        start = min(starts)
        ends = [at for at in (raw.find(end, start) for end in (b"\r", b"\n")) if at >= 0]
        stop = min(ends, default=len(raw))
        lines.append(raw[start:stop])
        position = stop
    return lines


def _wide_codec(raw: bytes) -> str:
    """UTF-16 or UTF-32 by byte-order mark, or by the zero bytes around the letters of MSH."""
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for name in _HEADER_NAMES:
        letters = name.decode("ascii")
        for codec in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
            if raw.startswith(letters.encode(codec)):
                return codec
    return ""


def _strictly(raw: bytes, codec: str) -> str:
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError as error:
        raise UndecodablePayload(charset=codec, offset=error.start) from None
    if codec.startswith("iso8859"):
        control = _C1_CONTROLS.search(text)
        if control:
            raise UndecodablePayload(charset=codec, offset=control.start())
    return text
