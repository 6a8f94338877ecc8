"""Reads the daily XML by the gateway's own means: strict Big5, strict structure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lxml import etree

KEY_TAGS = ("h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9", "h10", "h15", "h20")
"""Uploads that agree in these are versions of one order (SPEC114 table 7, p. 51)."""

_DECLARATION = re.compile(rb"\A<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"'][^>]*?\?>")
_BIG5 = frozenset((b"big5", b"big-5", b"cp950", b"ms950", b"windows-950"))


@dataclass(frozen=True, slots=True)
class UploadedOrder:
    """One ``hdata``: its fields in the order written, its rows, and tags that came twice."""

    header: dict[str, str]
    rows: tuple[dict[str, str], ...]
    repeated: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """The twelve values of the correction key."""
        return tuple(self.header.get(tag, "") for tag in KEY_TAGS)

    @property
    def content(self) -> tuple[object, ...]:
        """All that was said, without the upload time: equal content is a second upload."""
        header = tuple(sorted(item for item in self.header.items() if item[0] != "h16"))
        return (header, tuple(tuple(sorted(row.items())) for row in self.rows))


class UnreadableDocument(Exception):
    """The file as a whole is refused; the message holds no content of it."""


def read_document(raw: bytes) -> tuple[UploadedOrder, ...]:
    """All orders of the file. Raises :class:`UnreadableDocument`."""
    declared = _DECLARATION.match(raw)
    if declared is None or declared.group(1).lower() not in _BIG5:
        raise UnreadableDocument("the declaration must say encoding Big5")
    try:
        text = raw[declared.end() :].decode("cp950")
    except UnicodeDecodeError as error:
        raise UnreadableDocument(f"byte {declared.end() + error.start} is not Big5") from None
    if "<!DOCTYPE" in text.upper():
        raise UnreadableDocument("a DOCTYPE is not allowed")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text.strip().encode("utf-8"), parser)
    except etree.XMLSyntaxError as error:
        raise UnreadableDocument(f"not well-formed at line {error.lineno or 0}") from None
    if root.tag != "patient":
        raise UnreadableDocument("the root element must be patient")
    if _stray_text(root) or any(child.tag != "hdata" for child in root):
        raise UnreadableDocument("patient may hold hdata only")
    orders = tuple(_order(element) for element in root)
    if not orders:
        raise UnreadableDocument("there is no hdata")
    return orders


def _order(element: etree._Element) -> UploadedOrder:
    header: dict[str, str] = {}
    rows: list[dict[str, str]] = []
    repeated: list[str] = []
    if _stray_text(element):
        raise UnreadableDocument("text stands between the elements of an hdata")
    for child in element:
        if child.tag == "rdata":
            if _stray_text(child):
                raise UnreadableDocument("text stands between the elements of an rdata")
            row: dict[str, str] = {}
            for field in child:
                _add(row, field, repeated)
            rows.append(row)
        elif rows:
            raise UnreadableDocument("a header field stands after an rdata")
        else:
            _add(header, child, repeated)
    return UploadedOrder(header, tuple(rows), tuple(repeated))


def _add(fields: dict[str, str], element: etree._Element, repeated: list[str]) -> None:
    if len(element) or element.attrib:
        raise UnreadableDocument("a field holds elements or attributes")
    tag = str(element.tag)
    if tag in fields:
        repeated.append(tag)
    elif element.text:
        fields[tag] = element.text


def _stray_text(element: etree._Element) -> bool:
    return bool(
        (element.text or "").strip() or any((child.tail or "").strip() for child in element)
    )
