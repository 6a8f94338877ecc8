"""A tolerant reader and writer of ER7, the pipe-and-caret form of HL7 v2 (chapter 2, section 2.5).

Works on decoded text, never on bytes: trail bytes of Big5 and GBK are ER7 delimiters. Reading
is lazy: a segment is split into fields once, and everything below only where it is asked for.
Nothing is validated against a version of the standard and no segment is dropped, Z-segments
included; writing back gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from adapters.hl7.escapes import Delimiters, unescape
from mapping.errors import UnreadablePayload

_HEADERS: Final = frozenset({"MSH", "FHS", "BHS"})
_BATCH: Final = frozenset({"FHS", "BHS", "BTS", "FTS"})
_NULL: Final = '""'
_FILLING: Final = " \t\0\x1a"
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}[^A-Za-z0-9\s]")
_MOST_LINES: Final = 50_000
_OBX_VALUE: Final = 5
_NTE_COMMENT: Final = 3
# Value types of HL7 table 0125 whose values come in lines: text, and documents in Base64.
_IN_LINES: Final = frozenset({"TX", "FT", "ED", "RP"})
# Senders write optional segments without a field. Any other bare word is somebody's text.
_BARE: Final = frozenset(
    {"ADD", "AL1", "BLG", "CTI", "DG1", "DSC", "ERR", "EVN", "FT1", "GT1", "IN1", "IN2", "INV",
     "MSA", "NK1", "NTE", "OBR", "OBX", "ORC", "PD1", "PID", "PR1", "PRT", "PV1", "PV2", "ROL",
     "SAC", "SFT", "SPM", "TCD", "TQ1", "TQ2", "UAC"}
)  # fmt: skip

_USUAL: Final = _BARE - {"ADD"}


class NotEr7(UnreadablePayload):
    """No MSH, delimiters that cannot be, or more segments than a message can have."""

    code = "hl7-not-er7"
    en = (
        "The payload is no HL7 v2 message: {reason} (at {place}).",
        "Check that the sender sends HL7 v2 in ER7 form, beginning with MSH|^~\\&, to this door.",
    )
    zh = (
        "內容不是 HL7 v2 訊息：{reason}（位置：{place}）。",
        "請確認送件端送出的是以 MSH|^~\\& 開頭的 HL7 v2 (ER7) 訊息。",
    )


class Segment:
    """One segment. Field numbers are those of the standard, MSH-1 and MSH-2 included."""

    __slots__ = ("_message", "fields", "name", "ordinal")

    def __init__(self, fields: list[str], message: Message, ordinal: int) -> None:
        self.name = fields[0]
        self.fields = fields
        self._message = message
        self.ordinal = ordinal
        """1 for the first segment of this name in the message."""

    def place(self, number: int = 0) -> str:
        """``OBX[3]`` or ``OBX[3]-5``, led by ``MSH[2]/`` where the payload has several MSH."""
        prefix = self._message.place_prefix
        at = (
            prefix[:-1] if prefix and self.name == "MSH" else f"{prefix}{self.name}[{self.ordinal}]"
        )
        return f"{at}-{number}" if number else at

    def place_in(self, report_place: str, number: int = 0) -> str:
        """The same, led by the place of the report that it belongs to: ``OBR[2]/PID[1]-7``, and
        ``OBR[2]-7`` in the segment that names the report."""
        place = self.place()
        if place != report_place:
            place = f"{report_place}/{place.removeprefix(self._message.place_prefix)}"
        return f"{place}-{number}" if number else place

    def raw(self, number: int) -> str:
        """The field as written, ``""`` where absent."""
        fields = self.fields
        return fields[number] if number < len(fields) else ""

    def __len__(self) -> int:
        """The number of the last field."""
        return len(self.fields) - 1

    def text(self, number: int, component: int = 1, subcomponent: int = 1) -> str:
        """One value of the first repetition, unescaped. HL7's null (``""``) reads as empty."""
        fields = self.fields
        if number >= len(fields):
            return ""
        value = fields[number]
        if not value or value.isalnum():
            return value if component == 1 and subcomponent == 1 else ""
        delimiters = self._message.delimiters
        if delimiters.repetition in value:
            value = value.partition(delimiters.repetition)[0]
        return self._message.part(value, component, subcomponent)

    def whole(self, number: int) -> str:
        """The whole field unescaped, delimiters and all: for types without components."""
        value = self.raw(number)
        return "" if value == _NULL else self._message.decode(value)

    def repetitions(self, number: int) -> list[str]:
        """The repetitions of a field as written, for :meth:`Message.part`."""
        value = self.raw(number)
        return value.split(self._message.delimiters.repetition) if value else []

    def decoded_repetitions(self, number: int) -> list[str]:
        """The repetitions of a field, each whole and unescaped."""
        decode = self._message.decode
        return [decode(part) for part in self.repetitions(number) if part != _NULL]

    def components(self, number: int) -> list[str]:
        """The components of the first repetition, unescaped (subcomponents left joined)."""
        message = self._message
        value = self.raw(number)
        delimiters = message.delimiters
        if delimiters.repetition in value:
            value = value.partition(delimiters.repetition)[0]
        parts = value.split(delimiters.component)
        if delimiters.escape in value:
            parts = [message.decode(part) for part in parts]
        return ["" if part == _NULL else part for part in parts]

    def takes_text(self) -> bool:
        """Whether text behind the segment may go on in its last field: running text or a document
        in OBX-5, a comment in NTE-3. Anything else would be changed by it."""
        last = len(self.fields) - 1
        if self.name == "OBX":
            return last == _OBX_VALUE and self.fields[2].strip().upper() in _IN_LINES
        return self.name == "NTE" and last == _NTE_COMMENT

    def join(self, link: str, fields: list[str]) -> None:
        """Continue the last field with ``link`` and the first of ``fields``; append the rest."""
        self.fields[-1] += link + fields[0] if fields else ""
        self.fields.extend(fields[1:])

    def written(self) -> str:
        """The segment as ER7, without its terminator."""
        fields = self.fields
        separator = self._message.delimiters.field
        if self.name in _HEADERS:
            return fields[0] + separator + separator.join(fields[2:])
        return separator.join(fields)


@dataclass(slots=True)
class Message:
    """The segments from one MSH to the next, in their order."""

    delimiters: Delimiters
    charset: str = "utf-8"
    place_prefix: str = ""
    segments: list[Segment] = field(default_factory=list)
    stray_lines: list[str] = field(default_factory=list)
    """Places of segments to which lines that are no segment were joined."""
    refused_lines: list[Segment] = field(default_factory=list)
    """Segments behind which stood text that cannot belong to them: it was not joined."""

    def release(self) -> None:
        """Let go of the segments, which refer back to the message: their memory would else wait
        for the cycle collector."""
        self.segments.clear()
        self.refused_lines.clear()

    def first(self, name: str) -> Segment | None:
        """The first segment of this name."""
        return next((segment for segment in self.segments if segment.name == name), None)

    def every(self, name: str) -> Iterator[Segment]:
        """All segments of this name."""
        return (segment for segment in self.segments if segment.name == name)

    def decode(self, text: str) -> str:
        """Escape sequences decoded, once."""
        mark = self.delimiters.escape
        if mark and mark in text:
            return unescape(text, self.delimiters, self.charset)
        return text

    def part(self, repetition: str, component: int, subcomponent: int = 1) -> str:
        """One value of a repetition as written, unescaped."""
        delimiters = self.delimiters
        mark = delimiters.component
        if mark in repetition:
            parts = repetition.split(mark, component)
            value = parts[component - 1] if len(parts) >= component else ""
        else:
            value = repetition if component == 1 else ""
        mark = delimiters.subcomponent
        if mark and mark in value:
            parts = value.split(mark, subcomponent)
            value = parts[subcomponent - 1] if len(parts) >= subcomponent else ""
        elif subcomponent != 1:
            return ""
        return "" if value == _NULL else self.decode(value)


@dataclass(frozen=True, slots=True)
class Er7Payload:
    """What one payload holds. Places tell a person where something stands that we cannot use."""

    messages: tuple[Message, ...]
    unreadable: tuple[str, ...] = ()
    """``MSH[2]``: headers without usable delimiters; their segments are in no message."""
    outside: tuple[str, ...] = ()
    """``line 1``: lines before the first MSH that are no batch header."""


def read_delimiters(header: str) -> Delimiters:
    """MSH-1 and MSH-2 (FHS, BHS alike). MSH-2 may have five characters (v2.7 truncation); the
    escape and subcomponent characters may be missing; an empty MSH-2 means ``^~\\&``.

    Raises :class:`NotEr7` where the separators are letters, digits or control characters.
    """
    separator = header[3:4]
    declared = header[4:].partition(separator)[0] if separator else ""
    if (
        not separator
        or separator.isalnum()
        or separator <= " "
        or len(declared) > 5
        or any(character.isalnum() or character <= " " for character in declared)
    ):
        raise NotEr7(reason="MSH-1 and MSH-2 are no delimiters", place=header[:3])
    return _delimiters(separator, declared)


@lru_cache(maxsize=64)
def _delimiters(separator: str, declared: str) -> Delimiters:
    if not declared:
        return Delimiters(field=separator)
    component, repetition, escape, subcomponent, truncation = (*declared, "", "", "", "")[:5]
    return Delimiters(separator, component, repetition or "~", escape, subcomponent, truncation)


def parse_er7(text: str, charset: str = "utf-8") -> Er7Payload:
    """Every message of a payload: one MSH, several in a row, or an FHS/BHS batch.

    Lines may end in CR, LF or CRLF. A line that is no segment is joined with a line end to running
    text before it, which ADD continues too (section 2.10.2); behind anything else it is left out
    and told in ``Message.refused_lines``.
    ``charset`` is the codec that the text was decoded with. Raises :class:`NotEr7` when there
    is no MSH, or none with usable delimiters.
    """
    lines = _lines(text)
    heads = [
        number
        for number, line in enumerate(lines)
        if line.startswith("MSH") and not line[3:4].isalnum()
    ]
    if not heads:
        raise NotEr7(reason="there is no MSH segment", place="line 1")
    outside = tuple(
        f"line {number}"
        for number, line in enumerate(lines[: heads[0]], start=1)
        if line[:3] not in _BATCH
    )
    if len(heads) == 1:
        return Er7Payload((_read_message(lines[heads[0] :], "", charset),), (), outside)
    messages: list[Message] = []
    unreadable: list[str] = []
    for ordinal, start in enumerate(heads, start=1):
        stop = heads[ordinal] if ordinal < len(heads) else len(lines)
        try:
            messages.append(_read_message(lines[start:stop], f"MSH[{ordinal}]/", charset))
        except NotEr7:
            unreadable.append(f"MSH[{ordinal}]")
    if not messages:
        raise NotEr7(reason="MSH-1 and MSH-2 are no delimiters", place="MSH[1]")
    return Er7Payload(tuple(messages), tuple(unreadable), outside)


def write_er7(segments: Iterable[Segment]) -> str:
    """Segments as ER7, each ended by CR."""
    return "".join(segment.written() + "\r" for segment in segments)


def _lines(text: str) -> list[str]:
    if "\n" in text or "\x1c" in text or "\x0b" in text:
        for end in ("\r\n", "\n", "\x1c", "\x0b"):
            text = text.replace(end, "\r")
    if text.count("\r") > _MOST_LINES:
        raise NotEr7(reason=f"it has more than {_MOST_LINES} lines", place="end")
    if "\r " in text or "\r\t" in text or text[:1] in " \t":
        return [_unindented(line) for line in text.split("\r") if line.strip(_FILLING)]
    return [line for line in text.split("\r") if line.strip(_FILLING)]


def _unindented(line: str) -> str:
    stripped = line.lstrip(" \t")
    return stripped if _SEGMENT.match(stripped) else line


def _read_message(lines: list[str], place_prefix: str, charset: str) -> Message:
    delimiters = read_delimiters(lines[0])
    message = Message(delimiters, charset, place_prefix)
    separator = delimiters.field
    segments = message.segments
    counts: dict[str, int] = {}
    for line in lines:
        fields = line.split(separator)
        name = fields[0]
        if name in _USUAL and len(fields) > 1:
            ordinal = counts[name] = counts.get(name, 0) + 1
            segments.append(Segment(fields, message, ordinal))
            continue
        if len(name) != 3 or not name.isalnum() or not name.isupper() or _is_bare_word(fields):
            if line[:3] not in _BATCH:
                _go_on(message, "\n", fields)
            continue
        if name == "ADD" and len(segments) > 1:
            if len(fields) > 1:
                _go_on(message, "", fields[1:])
            continue
        if name in _HEADERS:
            fields.insert(1, separator)
        ordinal = counts[name] = counts.get(name, 0) + 1
        segments.append(Segment(fields, message, ordinal))
    return message


def _is_bare_word(fields: list[str]) -> bool:
    """``NIL`` or ``POS`` on a line of its own is text, ``PV1`` is a segment without fields."""
    name = fields[0]
    return len(fields) == 1 and name not in _BARE and name[0] != "Z" and name not in _HEADERS


def _go_on(message: Message, link: str, fields: list[str]) -> None:
    last = message.segments[-1]
    # What was left out once is not told a second time, and nothing goes on behind a gap.
    if message.refused_lines and message.refused_lines[-1] is last:
        return
    if not last.takes_text():
        message.refused_lines.append(last)
        return
    last.join(link, fields)
    if link:
        message.stray_lines.append(last.place())
