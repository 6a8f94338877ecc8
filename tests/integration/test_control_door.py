"""The control door takes orders with its token alone, whatever the header holds."""

from __future__ import annotations

import asyncio

from aiohttp import web

from broker.web.control import control_routes


async def _nothing(_: int) -> bool:
    return False


async def ask(authorization: bytes) -> int:
    """The status of an order sent with this header, byte for byte."""
    application = web.Application()
    application.add_routes(control_routes("token", _nothing))
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(
            b"POST /control/replay/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Length: 0\r\nAuthorization: " + authorization + b"\r\n\r\n"
        )
        status = int((await reader.read()).split(b" ", 2)[1])
        writer.close()
        await writer.wait_closed()
        return status
    finally:
        await runner.cleanup()


async def test_the_token_opens_and_anything_else_does_not() -> None:
    assert await ask(b"Bearer token") == 404
    for other in (b"Bearer other", b"", b"Bearer tok\xff\xfeen", b"\xed\xa0\x80"):
        assert await ask(other) == 401
