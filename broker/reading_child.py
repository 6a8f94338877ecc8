"""``python -m broker.reading_child``: reads payloads for a parent that may end it at any time.

Frames on standard input and output are an 8-byte length and a pickle: ``(media, raw, profile)`` in,
a :class:`broker.reading_room.Refusal` or a ``ParsedPayload`` out. Nothing is printed or logged.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
from dataclasses import replace
from typing import Any, BinaryIO

from adapters.ports.intake import Media
from broker.bootstrap.readers import READERS
from broker.reading_room import MEMORY_BYTES, Refusal, TooComplex
from mapping.errors import LabbrokerError

_LENGTH = struct.Struct(">Q")


def main() -> int:
    """Reads until the parent closes its end."""
    _limit_memory()
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # A library that prints must not break the frames.
    os.dup2(2, 1)
    while (frame := _receive(source)) is not None:
        answer = pickle.dumps(_read(*pickle.loads(frame)))  # noqa: S301 - from our parent
        target.write(_LENGTH.pack(len(answer)) + answer)
        target.flush()
    return 0


def _read(media: Media, raw: bytes, profile: Any) -> Any:
    try:
        return READERS[media](raw, profile)
    except LabbrokerError as error:
        return Refusal.of(error)
    except (RecursionError, MemoryError):
        return Refusal.of(TooComplex())
    except Exception as error:  # noqa: BLE001 - the parent tells it as a fault of the reader
        return replace(Refusal.of(LabbrokerError()), text=type(error).__name__)


def _receive(source: BinaryIO) -> bytes | None:
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    return source.read(length)


def _limit_memory() -> None:
    if sys.platform == "win32":
        return  # There the parent's time limit alone ends what grows without end.
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    sys.exit(main())
