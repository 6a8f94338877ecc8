"""The daily upload XML, written and read record by record.

Form (SPEC114 pp. 1-2; sample of an accepted file): declaration with encoding Big5, CP950 bytes,
CRLF line ends, ``<patient>``, in it ``<hdata>`` with h-elements and ``<rdata>`` rows, elements in
the order of the edition, empty ones left out.

The writer is plain string work and the reader is lxml on text that Python decoded, so the two
share no code: reading back what was written is a real comparison. libxml2's own Big5 lacks
characters that CP950 has, which is why it never sees the original bytes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import BinaryIO

from lxml import etree

from mapping.big5 import encode
from mapping.editions.edition import Edition
from mapping.record import Field, Fields, UploadRecord
from mapping.upload_errors import (
    ForbiddenDoctype,
    MalformedXml,
    UnacceptedEncoding,
    UndecodableText,
    UnexpectedStructure,
    UnwritableRecord,
    UploadTooLarge,
)

LARGEST_FILE = 1 << 30
LARGEST_RECORD = 16 << 20
_CHUNK = 1 << 16
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f]")
_DECLARATION = re.compile(rb"<\?xml\s[^>]*?\?>")
_ENCODING = re.compile(rb"""encoding\s*=\s*["']([^"']*)["']""")
_DOCTYPE = "<!DOCTYPE"
_BIG5_NAMES = frozenset(("big5", "big-5", "cp950", "ms950", "windows-950", "x-windows-950"))
_UTF8_NAMES = frozenset(("utf-8", "utf8"))


def write_upload(records: Iterable[UploadRecord], out: BinaryIO, edition: Edition) -> int:
    """Write a whole file and return the number of records.

    ``records`` is read once; one record is in memory at a time. Raises
    :class:`~mapping.upload_errors.UnwritableRecord` for a tag that the edition does not have or a
    character without a CP950 code; nothing is ever replaced. What was written so far is then
    worthless.
    """
    out.write(b'<?xml version="1.0" encoding="Big5"?>\r\n<patient>\r\n')
    count = 0
    for count, record in enumerate(records, start=1):
        out.write(_record_bytes(record, edition, count))
    out.write(b"</patient>\r\n")
    return count


def read_upload(
    stream: BinaryIO, *, largest_file: int = LARGEST_FILE, largest_record: int = LARGEST_RECORD
) -> Iterator[UploadRecord]:
    """The records of a file, one at a time; fields say ``hdata[n]`` as their origin.

    Reads Big5 (as CP950) and UTF-8, by byte order mark, declaration, or, without either, UTF-8
    where the beginning is UTF-8 and else CP950. Accepts empty elements and elements that the
    edition does not know (the old r6): the checks name those. Refuses every DOCTYPE. Raises the
    :class:`~mapping.errors.UnreadablePayload` classes of ``mapping.upload_errors``, possibly
    after some records were given out.
    """
    parser = etree.XMLPullParser(
        events=("start", "end"),
        tag=("patient", "hdata"),
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    count = pending = 0
    root: etree._Element | None = None
    done: etree._Element | None = None
    try:
        for text in _decoded(stream, largest_file):
            pending += len(text)
            parser.feed(text.encode("utf-8"))
            for event, element in parser.read_events():
                if event == "start":
                    root = _checked_root(element) if root is None else root
                elif element.tag == "hdata":
                    count += 1
                    pending = 0
                    _drop_previous(element, root, done, count)
                    yield _record(element, count)
                    element.clear(keep_tail=True)
                    done = element
            if pending > largest_record:
                raise UploadTooLarge(
                    limit=largest_record, unit="bytes", place=f"hdata[{count + 1}]"
                )
        parser.close()
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise MalformedXml(line=line, column=column) from None
    if root is None:
        raise UnexpectedStructure(expected="<patient>", place="/")
    _check_rest(root, done)


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


def _decoded(stream: BinaryIO, largest: int) -> Iterator[str]:
    """The text after the declaration, in pieces; a DOCTYPE never gets through."""
    chunk = stream.read(_CHUNK)
    encoding, start = _encoding(chunk)
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    offset, tail = start, ""
    chunk = chunk[start:]
    while True:
        final = not chunk
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            name = "Big5" if encoding == "cp950" else "UTF-8"
            raise UndecodableText(encoding=name, offset=offset - held + error.start) from None
        offset += len(chunk)
        if offset > largest:
            raise UploadTooLarge(limit=largest, unit="bytes", place="/")
        if _DOCTYPE in (tail + text).upper():
            raise ForbiddenDoctype()
        if text:
            tail = (tail + text)[1 - len(_DOCTYPE) :]
            yield text
        if final:
            return
        chunk = stream.read(_CHUNK)


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


def _checked_root(element: etree._Element) -> etree._Element:
    if element.tag != "patient" or element.getparent() is not None:
        raise UnexpectedStructure(expected="<patient>", place="/")
    return element


def _drop_previous(
    element: etree._Element,
    root: etree._Element | None,
    done: etree._Element | None,
    number: int,
) -> None:
    """Free the record before this one, and refuse whatever else stands between them."""
    place = f"hdata[{number}]"
    if root is None or element.getparent() is not root:
        raise UnexpectedStructure(expected="<hdata> in <patient>", place=place)
    between = root.text if done is None else done.tail
    if element.getprevious() is not done or _is_text(between):
        raise UnexpectedStructure(expected="<hdata>", place=f"before {place}")
    if done is not None:
        root.remove(done)


def _check_rest(root: etree._Element, done: etree._Element | None) -> None:
    tail = root.text if done is None else done.tail
    if len(root) > (done is not None) or _is_text(tail):
        raise UnexpectedStructure(expected="</patient>", place="the end")


def _record(element: etree._Element, number: int) -> UploadRecord:
    place = f"hdata[{number}]"
    header: dict[str, Field] = {}
    rows: list[Fields] = []
    if _is_text(element.text):
        raise UnexpectedStructure(expected="elements", place=place)
    for child in element:
        if child.tag != "rdata":
            _add_leaf(header, child, place)
            continue
        row: dict[str, Field] = {}
        row_place = f"{place}/rdata[{len(rows) + 1}]"
        if _is_text(child.text) or _is_text(child.tail):
            raise UnexpectedStructure(expected="elements", place=row_place)
        for leaf in child:
            _add_leaf(row, leaf, row_place)
        rows.append(row)
    return UploadRecord(header, tuple(rows))


def _add_leaf(fields: dict[str, Field], leaf: etree._Element, place: str) -> None:
    tail = leaf.tail
    if len(leaf) or (tail is not None and not tail.isspace()):
        raise UnexpectedStructure(expected="one text in each field", place=place)
    value = leaf.text
    if not value:
        return
    tag = str(leaf.tag)
    if tag in fields:
        raise UnexpectedStructure(expected="each field once", place=place)
    fields[tag] = Field(value, place)


def _is_text(text: str | None) -> bool:
    return text is not None and not text.isspace() and text != ""
