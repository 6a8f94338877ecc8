"""The floor: what a durable answer costs when nothing else is done.

A bare asyncio server that gathers what arrives in one turn of the loop, writes and syncs it with
one ``os.write`` and one ``os.fdatasync``, and answers a ready-made AA. It reads no field but
MSH-10, keeps no index, detects no duplicate and could not find a message again.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import cast

_ANSWER = b"\x0bMSH|^~\\&|||||20250101000000||ACK^R01^ACK|1|P|2.5.1\rMSA|AA|%s\r\x1c\r"


class _Group:
    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._loop = loop
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []

    def add(self, transport: asyncio.Transport, frame: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self._commit)
        self._waiting.append((transport, frame))

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        os.write(self._file, b"".join([frame for _, frame in waiting]))
        os.fdatasync(self._file)
        for transport, frame in waiting:
            transport.write(_ANSWER % frame.split(b"|", 10)[9])


class _Connection(asyncio.Protocol):
    def __init__(self, group: _Group) -> None:
        self._group = group
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        if data.endswith(b"\x1c\r"):
            self._rest = b""
            self._group.add(self._transport, data)
        else:
            self._rest = data


async def _serve(path: Path) -> None:
    loop = asyncio.get_running_loop()
    group = _Group(path, loop)
    server = await loop.create_server(lambda: _Connection(group), "127.0.0.1", 0)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
