"""A reading child whose HL7 reader does to it what hostile payloads would do."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import broker.bootstrap.readers
from adapters.ports.intake import Media
from broker.reading_child import main
from mapping.errors import UnreadablePayload

readers: Any = broker.bootstrap.readers.READERS
right = readers[Media.HL7V2]


def read(raw: bytes, profile: Any) -> Any:
    if b"HANG" in raw:
        time.sleep(600)
    if b"DIE" in raw:
        os._exit(3)
    if b"EAT" in raw:
        eaten = [bytes(64 * 1024 * 1024)]
        while True:
            eaten.append(eaten[-1] + b"x")
    if b"REFUSE" in raw:
        raise UnreadablePayload(reason="no reason", place="line 1")
    if b"FAULT" in raw:
        raise ValueError("A123456789")
    if b"PRINT" in raw:
        print("a library that prints")  # noqa: T201
        os.write(1, b"and one that writes")
    return right(raw, profile)


readers[Media.HL7V2] = read

if __name__ == "__main__":
    sys.exit(main())
