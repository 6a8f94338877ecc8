"""MLLP block framing as a pure machine: bytes in, whole frames and faults out.

A block is ``<VT> content <FS><CR>`` (HL7 Version 2 Transport: MLLP Release 1, section 2). The
content cannot hold VT or FS, so UTF-16 belongs in files, not on this wire.

What peers do beyond the standard, and what we make of it:

* a VT inside a block: the sender started again; the first part is discarded, reported, and
  never becomes a frame;
* bytes outside a block: reported; blank line ends between blocks are not worth a word;
* FS not followed by CR: the block ends if VT follows, or if the peer stays silent (see
  ``awaiting_end`` and :meth:`MllpFramer.finish`); before any other byte it is content, because
  cutting there would acknowledge half a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

_VT: Final = 0x0B
_CR: Final = 0x0D
_BLANK: Final = b"\r\n \t"
_HEAD_BYTES: Final = 1024

DEFAULT_FRAME_BYTES: Final = 5 * 1024 * 1024


class FaultKind(StrEnum):
    OUTSIDE = "outside"
    """Bytes that stand in no block."""
    RESTARTED = "restarted"
    """VT inside a block: the part before it is discarded."""
    TOO_LARGE = "too-large"
    """More content than the limit; the rest of the block is skipped."""
    TRUNCATED = "truncated"
    """The peer left in the middle of a block."""


@dataclass(frozen=True, slots=True)
class FrameFault:
    """``size`` is the number of bytes discarded (for ``TOO_LARGE`` the limit passed). ``head``
    is the beginning of a block that was too large, for the answer; it may hold patient data."""

    kind: FaultKind
    size: int
    head: bytes = field(default=b"", repr=False)


Framed: TypeAlias = bytes | FrameFault


def can_enclose(content: bytes) -> bool:
    """Whether it holds neither VT nor FS, which UTF-16 and files of other kinds may."""
    return b"\x0b" not in content and b"\x1c" not in content


def enclose(content: bytes) -> bytes:
    """``content`` as one MLLP block. Raises :class:`ValueError` when it holds VT or FS."""
    if not can_enclose(content):
        raise ValueError("the content of an MLLP block cannot hold VT (0x0B) or FS (0x1C)")
    return b"\x0b" + content + b"\x1c\r"


class MllpFramer:
    """One direction of one connection. The same bytes give the same result however chunked."""

    __slots__ = ("_buffer", "_fs_pending", "_inside", "_limit", "_outside", "_overflowed")

    def __init__(self, limit: int = DEFAULT_FRAME_BYTES) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._inside = False
        self._fs_pending = False
        self._overflowed = False
        self._outside = 0

    @property
    def partial(self) -> bool:
        """A block has begun and not ended, or bytes stand outside a block."""
        return self._inside or self._outside > 0

    @property
    def awaiting_end(self) -> bool:
        """The last byte was FS: CR is due, or will never come."""
        return self._fs_pending

    def feed(self, data: bytes) -> list[Framed]:
        """Take what was read; return the frames (contents) and faults that it completed."""
        if (
            not self._inside
            and not self._outside
            and data.startswith(b"\x0b")
            and data.endswith(b"\x1c\r")
            and data.find(b"\x1c") == len(data) - 2
            and data.find(b"\x0b", 1) < 0
            and len(data) - 3 <= self._limit
        ):
            return [data[1:-2]]
        out: list[Framed] = []
        position = 0
        end = len(data)
        while position < end:
            if self._inside:
                position = self._read_inside(data, position, out)
            else:
                position = self._read_outside(data, position, out)
        return out

    def finish(self) -> list[Framed]:
        """The peer sent FS and fell silent: take the block as ended."""
        out: list[Framed] = []
        if self._fs_pending:
            self._end_block(out)
        return out

    def close(self) -> list[Framed]:
        """The peer is gone: what is left over is a fault, unless FS already ended the block."""
        out = self.finish()
        if self._inside and not self._overflowed:
            out.append(FrameFault(FaultKind.TRUNCATED, len(self._buffer)))
        elif self._outside:
            out.append(FrameFault(FaultKind.OUTSIDE, self._outside))
        self._inside = False
        self._outside = 0
        self._buffer.clear()
        return out

    def _read_outside(self, data: bytes, position: int, out: list[Framed]) -> int:
        start = data.find(b"\x0b", position)
        skipped = data[position:start] if start >= 0 else data[position:]
        self._outside += len(skipped.translate(None, _BLANK))
        if start < 0:
            return len(data)
        if self._outside:
            out.append(FrameFault(FaultKind.OUTSIDE, self._outside))
            self._outside = 0
        stop = data.find(b"\x1c", start)
        if (
            data[stop + 1 : stop + 2] == b"\r"
            and stop > start
            and stop - start - 1 <= self._limit
            and data.find(b"\x0b", start + 1, stop) < 0
        ):
            out.append(data[start + 1 : stop])
            return stop + 2
        self._inside = True
        return start + 1

    def _read_inside(self, data: bytes, position: int, out: list[Framed]) -> int:
        if self._fs_pending:
            following = data[position]
            if following == _CR:
                self._end_block(out)
                return position + 1
            if following == _VT:
                self._end_block(out)
                return position
            self._fs_pending = False
            self._append(b"\x1c", out)
        stop = data.find(b"\x1c", position)
        restart = data.find(b"\x0b", position, stop if stop >= 0 else len(data))
        if restart >= 0:
            self._append(data[position:restart], out)
            if self._buffer:
                out.append(FrameFault(FaultKind.RESTARTED, len(self._buffer)))
            self._buffer.clear()
            self._overflowed = False
            return restart + 1
        if stop < 0:
            self._append(data[position:], out)
            return len(data)
        self._append(data[position:stop], out)
        self._fs_pending = True
        return stop + 1

    def _append(self, piece: bytes, out: list[Framed]) -> None:
        if self._overflowed:
            return
        self._buffer += piece
        if len(self._buffer) > self._limit:
            head = bytes(self._buffer[: min(_HEAD_BYTES, self._limit)])
            out.append(FrameFault(FaultKind.TOO_LARGE, self._limit, head))
            self._overflowed = True
            self._buffer.clear()

    def _end_block(self, out: list[Framed]) -> None:
        if not self._overflowed:
            out.append(bytes(self._buffer))
        self._buffer.clear()
        self._inside = False
        self._fs_pending = False
        self._overflowed = False
