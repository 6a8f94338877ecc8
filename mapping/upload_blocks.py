"""The records of an upload file that are not plainly written, one block of text after the other.

A block is what stands before a ``</hdata>``. One that cannot be read is either an error, or, where
somebody takes faults, a fault of its own record: the next record is read all the same.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from mapping.errors import UnreadablePayload
from mapping.finding import Finding
from mapping.record import UploadRecord
from mapping.upload_errors import (
    MalformedXml,
    TagsInCapitals,
    UndecodableText,
    UploadCutOff,
    UploadTooLarge,
)
from mapping.upload_faults import MARK, Undecoded, byte_faults, form_fault, unclosed_fault
from mapping.upload_shapes import RECORD_END, RecordShapes
from mapping.upload_tree import Start, read_tree

_CLOSING = re.compile(r"[ \t\n]*</patient>[ \t\n]*")
_ROOT_END = re.compile(r"</patient\s*>")
_RECORD_IN_CAPITALS = re.compile(r"<((?!hdata)[Hh][Dd][Aa][Tt][Aa])[\s>]")
_RECORD_START = re.compile(r"<hdata(?=[\s>])")
_ENDED = re.compile(r"</hdata\s*>\s*\Z")
_CONSTRUCT = re.compile(r"<!--|<!\[CDATA\[|<\?(?=[A-Za-z_])")
_ENDS = {"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>"}


class BlockReader:
    """``count`` is the number of records read or faulty so far. Without ``on_fault`` the errors of
    ``mapping.upload_errors`` are raised; ``undecoded`` says what the marks in the text stand for.
    """

    def __init__(
        self,
        shapes: RecordShapes,
        largest_record: int,
        on_fault: Callable[[Finding], None] | None,
        undecoded: deque[Undecoded] | None,
    ) -> None:
        self.count = 0
        self.waits = False
        """Whether a comment or the like is open, which may hold what looks like ends of records."""
        self._shapes = shapes
        self._largest = largest_record
        self._on_fault = on_fault
        self._undecoded = deque[Undecoded]() if undecoded is None else undecoded
        self._waiting: list[str] = []
        self._size = 0
        self._end = ""
        self._here = Start()

    def add(self, block: str, here: Start) -> Iterator[UploadRecord]:
        """The records of ``block``, which begins at ``here``, or of all blocks that waited."""
        if not self.waits:
            self._here, self.count = here, here.records
        self._waiting.append(block)
        self._size += len(block)
        self._end = _left_open(block, self._end)
        self.waits = bool(self._end) and self._size <= self._largest
        if self.waits:
            return
        blocks = self._taken()
        if self._end and self._on_fault is None:
            place = f"hdata[{self.count + 1}]"
            raise UploadTooLarge(limit=self._largest, unit="bytes", place=place)
        if self._end:
            self._end = ""
            yield from self._apart(blocks)
        else:
            yield from self._read(RECORD_END.join(blocks), self._here)

    def finish(self, rest: str, here: Start) -> Iterator[UploadRecord]:
        """What stands behind the last ``</hdata>``. Raises where the file does not end there."""
        if self.waits:
            here = self._here
            blocks = self._taken()
            self.waits = False
            if self._on_fault is None or not _left_open(rest, self._end):
                rest = RECORD_END.join((*blocks, rest))
            else:
                yield from self._apart(blocks)
                here = here.after(RECORD_END.join((*blocks, "")), self.count)
        if _CLOSING.fullmatch(rest) is not None:
            return
        if self._on_fault is not None:
            self.count = here.records
            end = _ROOT_END.search(rest)
            body = rest[: end.start()] if end else rest
            if _RECORD_START.search(body) is not None:
                yield from self._pieces(body, here, ends=False)
            if end is None:
                raise UploadCutOff(line=here.lines + 1, column=0, records=here.records)
            if _RECORD_START.search(body) is not None:
                rest, here = rest[end.start() :], here.after(body, self.count)
            if MARK in rest:
                first = self._undecoded[0]
                raise UndecodableText(encoding=first.encoding, offset=first.offset)
        capitals = _RECORD_IN_CAPITALS.search(rest)
        if capitals is not None and not here.records:
            raise TagsInCapitals(found=capitals.group(1))
        yield from read_tree((rest,), self._largest, here)

    def _taken(self) -> list[str]:
        blocks, self._waiting, self._size = self._waiting, [], 0
        return blocks

    def _apart(self, blocks: list[str]) -> Iterator[UploadRecord]:
        here = self._here
        for block in blocks:
            record = self._shapes.read(block, self.count + 1)
            if record is not None:
                self.count += 1
                yield record
            else:
                yield from self._read(block, here)
            here = here.after(block + RECORD_END, self.count)

    def _read(self, text: str, here: Start) -> Iterator[UploadRecord]:
        if self._on_fault is None:
            for record in read_tree((text, RECORD_END, "</patient>"), self._largest, here):
                self.count += 1
                yield record
        else:
            yield from self._pieces(text, here, ends=True)

    def _pieces(self, text: str, here: Start, ends: bool) -> Iterator[UploadRecord]:
        """The text read as a whole or else parted where a record begins. ``ends``: a ``</hdata>``
        follows."""
        fault: tuple[UploadRecord, ...] | list[int] = []
        if ends:
            fault = self._tried(text, here, RECORD_END)
        if isinstance(fault, tuple):
            yield from fault
            return
        starts = [match.start() for match in _RECORD_START.finditer(text)][1:]
        for start, stop in zip((0, *starts), (*starts, len(text)), strict=True):
            piece, is_last = text[start:stop], stop == len(text)
            at = here.after(text[:start], self.count)
            if is_last and ends:
                end = RECORD_END
            elif _ENDED.search(piece) is not None:
                end = ""
            else:
                self._tell(piece, at, [unclosed_fault(piece, self.count + 1)])
                continue
            if starts or not ends:
                fault = self._tried(piece, at, end)
            if isinstance(fault, tuple):
                yield from fault
            else:
                self._tell(piece, at, [form_fault(piece, self.count + 1, *fault)])

    def _tried(self, text: str, here: Start, end: str) -> tuple[UploadRecord, ...] | list[int]:
        """The records of ``text``, or a list with line and column of the fault where known."""
        if MARK in text:
            return []
        try:
            records = tuple(read_tree((text, end, "</patient>"), self._largest, here))
        except MalformedXml as error:
            return [int(str(error.parameters[name])) for name in ("line", "column")]
        except UploadTooLarge:
            raise
        except UnreadablePayload:
            return []
        self.count += len(records)
        return records

    def _tell(self, text: str, here: Start, findings: list[Finding]) -> None:
        assert self._on_fault is not None  # noqa: S101 - the callers know it
        self.count += 1
        if MARK in text:
            findings = list(byte_faults(text, self.count, self._undecoded))
        line = str(here.lines + 1 + text[: max(text.find("<hdata"), 0)].count("\n"))
        for finding in findings:
            self._on_fault(replace(finding, parameters=(("line", line), *finding.parameters)))


def _left_open(text: str, end: str) -> str:
    """The end that is still waited for behind ``text``, when ``end`` was waited for before it."""
    at = 0
    while True:
        if end:
            found = text.find(end, at)
            if found < 0:
                return end
            at = found + len(end)
        start = _CONSTRUCT.search(text, at)
        if start is None:
            return ""
        end, at = _ENDS[start.group()], start.end()
