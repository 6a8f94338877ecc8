"""The upload XML, written and read record by record.

Form (SPEC114 pp. 1-2; sample of an accepted file): declaration with encoding Big5, CP950 bytes,
CRLF line ends, ``<patient>``, in it ``<hdata>`` with h-elements and ``<rdata>`` rows, elements in
the order of the edition, empty ones left out.

Writer and reader share no code: reading back what was written is a real comparison. The reader
takes what is plainly written by patterns (:mod:`mapping.upload_shapes`) and all else by lxml
(:mod:`mapping.upload_tree`), record by record; both read the same values.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain
from typing import BinaryIO

from mapping.big5 import encode
from mapping.editions.edition import Edition
from mapping.finding import Finding
from mapping.record import Fields, UploadRecord
from mapping.upload_blocks import BlockReader
from mapping.upload_errors import UndecodableText, UnwritableRecord, UploadTooLarge
from mapping.upload_faults import Undecoded
from mapping.upload_shapes import RECORD_END, RecordShapes
from mapping.upload_text import decoded_text
from mapping.upload_tree import Start, read_tree

LARGEST_FILE = 1 << 30
LARGEST_RECORD = 16 << 20
_HEAD = b'<?xml version="1.0" encoding="Big5"?>\r\n<patient>\r\n'
_FOOT = b"</patient>\r\n"
ENVELOPE_BYTES = len(_HEAD) + len(_FOOT)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f]")
_OPENING = re.compile(r"(?:[ \t\n]|<!--(?:[^-]|-[^-])*-->)*<patient[ \t\n]*>")


def write_upload(records: Iterable[UploadRecord], out: BinaryIO, edition: Edition) -> int:
    """Write a whole file and return the number of records.

    ``records`` is read once; one record is in memory at a time. Raises
    :class:`~mapping.upload_errors.UnwritableRecord` for a tag that the edition does not have or a
    character without a CP950 code; nothing is ever replaced. What was written so far is then
    worthless.
    """
    out.write(_HEAD)
    count = 0
    for count, record in enumerate(records, start=1):
        out.write(_record_bytes(record, edition, count))
    out.write(_FOOT)
    return count


def record_bytes(record: UploadRecord, edition: Edition) -> int:
    """How many bytes :func:`write_upload` writes for one record, beside ``ENVELOPE_BYTES`` for
    the file. Raises :class:`~mapping.upload_errors.UnwritableRecord`."""
    return len(_record_bytes(record, edition, 1))


def read_upload(
    stream: BinaryIO,
    *,
    largest_file: int = LARGEST_FILE,
    largest_record: int = LARGEST_RECORD,
    on_encoding: Callable[[str], None] | None = None,
    on_fault: Callable[[Finding], None] | None = None,
) -> Iterator[UploadRecord]:
    """The records of a file, one at a time; fields say ``hdata[n]`` as their origin.

    Daily and monthly files alike: :func:`mapping.monthly.variant_of` tells which a record is.
    Reads Big5 (as CP950) and UTF-8, by byte order mark, declaration, or, without either, UTF-8
    where the beginning is UTF-8 and else CP950. Accepts empty elements and elements that the
    edition does not know (the old r6): the checks name those. ``on_encoding`` is told ``Big5`` or
    ``UTF-8`` before the first record. ``on_fault`` is told of each record that is not well formed,
    before the next one is given out; such a record has its number and is left out. Without it,
    and where the file as a whole is none, that is an error. Refuses every DOCTYPE. Raises the
    :class:`~mapping.errors.UnreadablePayload` classes of ``mapping.upload_errors``, possibly
    after some records were given out.
    """
    undecoded = None if on_fault is None else deque[Undecoded]()
    texts = decoded_text(stream, largest_file, on_encoding, undecoded)
    first = next(texts, "")
    opening = _OPENING.match(first)
    if opening is None:
        whole = _sound(chain((first,), texts), undecoded) if first else ()
        yield from read_tree(whole, largest_record)
        return
    shapes = RecordShapes()
    careful = BlockReader(shapes, largest_record, on_fault, undecoded)
    count, at, rest = 0, Start(inside=True).after(opening.group()), ""
    for parts in _blocks(chain((first[opening.end() :],), texts), largest_record):
        blocks, rest = parts[:-1], parts[-1]
        for index, block in enumerate(blocks):
            record = None if careful.waits else shapes.read(block, count + 1)
            if record is not None:
                count += 1
                yield record
                continue
            here = at.after(RECORD_END.join((*blocks[:index], "")), count)
            yield from careful.add(block, here)
            count = careful.count
        at = at.after(RECORD_END.join((*blocks, "")), count)
    yield from careful.finish(rest, at)


def _sound(texts: Iterable[str], undecoded: deque[Undecoded] | None) -> Iterator[str]:
    """The texts up to the first that holds a mark."""
    for text in texts:
        if undecoded:
            raise UndecodableText(encoding=undecoded[0].encoding, offset=undecoded[0].offset)
        yield text


def _blocks(texts: Iterable[str], largest_record: int) -> Iterator[list[str]]:
    """The text parted at the ends of records. The last part of each list is not whole yet and
    stands again at the start of the next list, until there is nothing behind it."""
    waiting: list[str] = []
    count = size = 0
    tail = ""
    for text in texts:
        waiting.append(text)
        size += len(text)
        tail += text
        if RECORD_END in tail:
            blocks = "".join(waiting).split(RECORD_END)
            yield blocks
            count += len(blocks) - 1
            tail = blocks[-1]
            waiting, size = [tail], len(tail)
        elif size > largest_record:
            place = f"hdata[{count + 1}]"
            raise UploadTooLarge(limit=largest_record, unit="bytes", place=place)
        tail = tail[1 - len(RECORD_END) :]
    yield ["".join(waiting)]


def _record_bytes(record: UploadRecord, edition: Edition, number: int) -> bytes:
    parts = ["<hdata>\n"]
    header_tags, row_tags = _written_tags(edition)
    _append(parts, record.header, header_tags, f"hdata[{number}]")
    for index, row in enumerate(record.rows, start=1):
        parts.append("<rdata>\n")
        _append(parts, row, row_tags, f"hdata[{number}]/rdata[{index}]")
        parts.append("</rdata>\n")
    parts.append("</hdata>\n")
    text = "".join(parts)
    if _CONTROLS.search(text):
        raise UnwritableRecord(reason="a control character", place=f"hdata[{number}]")
    try:
        return encode(text.replace("\n", "\r\n"))
    except ValueError as error:
        raise UnwritableRecord(reason=str(error), place=f"hdata[{number}]") from None


def _append(
    parts: list[str], fields: Fields, tags: tuple[tuple[str, str, str], ...], place: str
) -> None:
    left = len(fields)
    for tag, start, end in tags:
        field = fields.get(tag)
        if field is None:
            continue
        left -= 1
        value = field.value
        if not value:
            continue
        if "&" in value or "<" in value or ">" in value:
            value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        parts.append(start)
        parts.append(value)
        parts.append(end)
    if left:
        raise UnwritableRecord(reason="a field that the edition does not have", place=place)


@cache
def _written_tags(
    edition: Edition,
) -> tuple[tuple[tuple[str, str, str], ...], tuple[tuple[str, str, str], ...]]:
    header = tuple((r.tag, f"<{r.tag}>", f"</{r.tag}>\n") for r in edition.header)
    row = tuple((r.tag, f"<{r.tag}>", f"</{r.tag}>\n") for r in edition.rows)
    return header, row
