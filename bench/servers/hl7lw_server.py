"""hl7lw's MLLP server with the callback of its own documentation; it stores nothing."""

from __future__ import annotations

import socket
from typing import Any

from hl7lw import Hl7Parser
from hl7lw.mllp import MllpServer
from hl7lw.utils import Acks, generate_ack

_create_server = socket.create_server


def _on_loopback(address: tuple[str, int], **more: Any) -> socket.socket:
    listening = _create_server(("127.0.0.1", address[1]), **more)
    print("ready", listening.getsockname()[1], flush=True)
    return listening


def _answer(message: bytes) -> bytes:
    parser = Hl7Parser()
    answer: bytes = parser.format_message(
        generate_ack(parser.parse_message(message), Acks.AA), encoding="ascii"
    )
    return answer


if __name__ == "__main__":
    # It binds every interface and names no port; this process listens on loopback alone.
    socket.create_server = _on_loopback  # type: ignore[assignment]
    MllpServer(0, _answer).serve_forever()
