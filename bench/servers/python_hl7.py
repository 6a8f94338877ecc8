"""python-hl7's own MLLP server: parses each message, answers ``create_ack()``, stores nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from hl7.mllp import start_hl7_server


async def _converse(reader: Any, writer: Any) -> None:
    try:
        while True:
            message = await reader.readmessage()
            writer.writemessage(message.create_ack())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve() -> None:
    async with await start_hl7_server(_converse, "127.0.0.1", 0, encoding="utf-8") as server:
        print("ready", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
