"""MSH of a received frame, read from its bytes alone: what a door needs before anybody parses.

FHS and BHS, which lead a batch, have the same layout up to field 7; their control id is
field 11 (HL7 v2.5.1 sections 2.14.9, 2.15.1, 2.15.2).
"""

from __future__ import annotations

import codecs
import hashlib
from typing import Final, NamedTuple

from adapters.hl7.charset import split_header

_NAMES: Final = (b"MSH", b"FHS", b"BHS")
_LEADING: Final = b"\r\n \t"
_LONGEST_HEADER: Final = 4096
_LONGEST_CONTROL_ID: Final = 199
_SEPARATORS: Final = {byte: chr(byte) for byte in range(0x21, 0x7F) if not chr(byte).isalnum()}


class MessageHeader(NamedTuple):
    """``fields[n - 1]`` is field n as written; the codec gives back the same bytes."""

    fields: list[str]
    separator: str
    codec: str

    def field(self, number: int) -> str:
        """A field as written; ``""`` where absent or not printable, so that it can be echoed."""
        if number > len(self.fields):
            return ""
        value = self.fields[number - 1]
        return value if value.isprintable() else ""

    def name_in(self, number: int) -> str:
        """The first component of a field (HD namespace), for telling who sends."""
        value = self.field(number)
        component = self.fields[1][:1] if len(self.fields) > 1 else ""
        return value.partition(component)[0] if component else value

    @property
    def echo_id(self) -> str:
        """The control id where it can be echoed in MSA-2, else ``""``."""
        control_id = self._control_id
        usable = len(control_id) <= _LONGEST_CONTROL_ID and control_id.isprintable()
        return control_id if usable else ""

    @property
    def control_id(self) -> str:
        """A stable text for the control id: itself, or a digest where it is not printable."""
        control_id = self._control_id
        if not control_id or self.echo_id:
            return control_id
        digest = hashlib.sha256(control_id.encode(self.codec)).hexdigest()
        return f"sha256:{digest[:32]}"

    @property
    def _control_id(self) -> str:
        position = 9 if self.fields[0] == "MSH" else 10
        return self.fields[position] if len(self.fields) > position else ""


def read_header(frame: bytes) -> MessageHeader | None:
    """The header of a frame; ``None`` where it does not begin with MSH, FHS or BHS and a
    separator. Never raises."""
    end = frame.find(b"\r", 0, _LONGEST_HEADER)
    head = frame[: end if end > 0 else _LONGEST_HEADER]
    if not head.startswith(_NAMES):
        head = frame[:_LONGEST_HEADER].removeprefix(codecs.BOM_UTF8).lstrip(_LEADING)
        if not head.startswith(_NAMES):
            return None
        head = head.partition(b"\r")[0]
    end = head.find(b"\n")
    if end >= 0:
        head = head[:end]
    separator = _SEPARATORS.get(head[3]) if len(head) > 3 else None
    if separator is None:
        return None
    if head.isascii():
        return MessageHeader(head.decode("ascii").split(separator), separator, "ascii")
    fields, codec = split_header(head)
    return MessageHeader(fields, separator, codec)
