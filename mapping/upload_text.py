"""The text of an upload file: its encoding found, decoded strictly, piece by piece."""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO

from mapping.upload_errors import (
    ForbiddenDoctype,
    UnacceptedEncoding,
    UndecodableText,
    UploadTooLarge,
)
from mapping.upload_faults import MARK, Undecoded

_CHUNK = 1 << 15
_DECLARATION = re.compile(rb"<\?xml\s[^>]*?\?>")
_ENCODING = re.compile(rb"""encoding\s*=\s*["']([^"']*)["']""")
_DOCTYPE = "<!DOCTYPE"
_MOST_UNDECODED = 10_000
_LEAD = 0x81
_BIG5_NAMES = frozenset(("big5", "big-5", "cp950", "ms950", "windows-950", "x-windows-950"))
_UTF8_NAMES = frozenset(("utf-8", "utf8"))


def decoded_text(
    stream: BinaryIO,
    largest: int,
    on_encoding: Callable[[str], None] | None = None,
    undecoded: deque[Undecoded] | None = None,
) -> Iterator[str]:
    """The text after the XML declaration, in pieces of some ten thousand characters.

    ``on_encoding`` is told ``Big5`` or ``UTF-8`` before the first piece. CRLF is given as LF, as
    an XML reader has to see it (XML 1.0, 2.11). No DOCTYPE gets through. Where ``undecoded`` is
    given it takes what has no meaning in the encoding, and a ``MARK`` stands in its place; else,
    and after ten thousand of them, that is an error. Raises
    :class:`UnacceptedEncoding`, :class:`UndecodableText`, :class:`ForbiddenDoctype` and, over
    ``largest`` bytes, :class:`UploadTooLarge`.
    """
    chunk = stream.read(_CHUNK)
    encoding, start = _encoding(chunk)
    name = "Big5" if encoding == "cp950" else "UTF-8"
    if on_encoding is not None:
        on_encoding(name)
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    offset, tail, held_return, count = start, "", b"", 0
    chunk = chunk[start:]
    while True:
        final = not chunk
        if offset + len(chunk) > largest:
            raise UploadTooLarge(limit=largest, unit="bytes", place="/")
        begun = decoder.getstate()[0]
        whole = held_return + chunk
        held_return = b"\r" if whole[-1:] == b"\r" and not final else b""
        # Neither byte is ever part of another character, in Big5 as in UTF-8.
        lines = (whole[:-1] if held_return else whole).replace(b"\r\n", b"\n")
        try:
            text = decoder.decode(lines, final)
        except UnicodeDecodeError:
            place = offset - (len(whole) - len(chunk)) - len(begun)
            piece = begun + (whole[:-1] if held_return else whole)
            text, found = _marked(decoder, encoding, piece, final, name)
            count += len(found)
            if undecoded is None or count > _MOST_UNDECODED:
                raise UndecodableText(encoding=name, offset=place + found[0].offset) from None
            undecoded.extend(each._replace(offset=place + each.offset) for each in found)
        offset += len(chunk)
        # The sign is rare: looking for it alone spares the file a second pass.
        if ("!" in tail or "!" in text or tail[-1:] == "<") and _DOCTYPE in (tail + text).upper():
            raise ForbiddenDoctype()
        if text:
            tail = (tail + text)[1 - len(_DOCTYPE) :]
            yield text
        if final:
            return
        chunk = stream.read(_CHUNK)


def _marked(
    decoder: codecs.IncrementalDecoder, encoding: str, piece: bytes, final: bool, name: str
) -> tuple[str, list[Undecoded]]:
    """``piece`` with a ``MARK`` for each character without meaning, and where in it these are.

    In Big5 two bytes that could be a character are one: so users define their own (造字).
    """
    texts, found, start = [], [], 0
    while True:
        decoder.reset()
        try:
            texts.append(decoder.decode(piece[start:], final))
        except UnicodeDecodeError as error:
            at = start + error.start
            length = 1
            if encoding == "cp950" and piece[at] >= _LEAD and _is_trail(piece[at + 1 : at + 2]):
                length = 2
            texts += (piece[start:at].decode(encoding), MARK)
            start = at + length
            found.append(Undecoded(at, piece[at:start], name))
            if len(found) > _MOST_UNDECODED:
                return "", found
        else:
            return "".join(texts).replace("\r\n", "\n"), found


def _is_trail(byte: bytes) -> bool:
    return b"\x40" <= byte <= b"\x7e" or b"\xa1" <= byte <= b"\xfe"


def _encoding(head: bytes) -> tuple[str, int]:
    """The codec of the file and the number of bytes before its text."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UnacceptedEncoding(encoding="UTF-16")
    start = 3 if head[:3] == codecs.BOM_UTF8 else 0
    declaration = _DECLARATION.match(head, start)
    end = declaration.end() if declaration else start
    if start:
        return "utf-8", end
    named = _ENCODING.search(declaration.group()) if declaration else None
    if named is None:
        try:
            codecs.getincrementaldecoder("utf-8")("strict").decode(head)
        except UnicodeDecodeError:
            return "cp950", end
        return "utf-8", end
    name = named.group(1).decode("ascii", "backslashreplace").lower()
    if name in _BIG5_NAMES:
        return "cp950", end
    if name in _UTF8_NAMES:
        return "utf-8", end
    raise UnacceptedEncoding(encoding=name[:40])
