"""Upload records out of any well-formed XML, by lxml: the careful way of reading.

libxml2's own Big5 lacks characters that CP950 has, which is why it gets text that Python decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lxml import etree

from mapping.record import Fields, PlacedFields, UploadRecord
from mapping.upload_errors import MalformedXml, UnexpectedStructure, UploadTooLarge

ROOT = "<patient>"


class Start(NamedTuple):
    """Where a text begins in its file: records, line ends and characters of the line before it.

    ``inside``: the root element was opened before and is put in front of the text again.
    """

    records: int = 0
    lines: int = 0
    columns: int = 0
    inside: bool = False

    def after(self, text: str, records: int = 0) -> Start:
        """Where the text behind ``text`` begins, with so many records read by then."""
        lines = text.count("\n")
        columns = len(text) - text.rfind("\n") - 1 + (0 if lines else self.columns)
        return Start(records, self.lines + lines, columns, self.inside)


def read_tree(
    texts: Iterable[str], largest_record: int, start: Start | None = None
) -> Iterator[UploadRecord]:
    """The records of a text given in pieces. Raises :class:`MalformedXml`,
    :class:`UnexpectedStructure`, :class:`UploadTooLarge`."""
    start = start or Start()
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
    count, pending = start.records, 0
    root: etree._Element | None = None
    done: etree._Element | None = None
    try:
        if start.inside:
            parser.feed(ROOT.encode())
        for text in texts:
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
        # libxml2 does not say where an undefined entity stands; then the record's line is told.
        line = max(line, 1)
        if line == 1:
            column = max(column + start.columns - (len(ROOT) if start.inside else 0), 0)
        raise MalformedXml(line=line + start.lines, column=column) from None
    if root is None:
        raise UnexpectedStructure(expected="<patient>", place="/")
    _check_rest(root, done)


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
    header: dict[str, str] = {}
    rows: list[Fields] = []
    if _is_text(element.text):
        raise UnexpectedStructure(expected="elements", place=place)
    for child in element:
        if child.tag != "rdata":
            _add_leaf(header, child, place)
            continue
        row: dict[str, str] = {}
        row_place = f"{place}/rdata[{len(rows) + 1}]"
        if _is_text(child.text) or _is_text(child.tail):
            raise UnexpectedStructure(expected="elements", place=row_place)
        for leaf in child:
            _add_leaf(row, leaf, row_place)
        rows.append(PlacedFields(tuple(row), tuple(row.values()), row_place))
    fields = PlacedFields(tuple(header), tuple(header.values()), place)
    return UploadRecord(fields, tuple(rows))


def _add_leaf(values: dict[str, str], leaf: etree._Element, place: str) -> None:
    if len(leaf) or _is_text(leaf.tail):
        raise UnexpectedStructure(expected="one text in each field", place=place)
    value = leaf.text
    if not value:
        return
    tag = str(leaf.tag)
    if tag in values:
        raise UnexpectedStructure(expected="each field once", place=place)
    values[tag] = value


def _is_text(text: str | None) -> bool:
    return text is not None and not text.isspace() and text != ""
