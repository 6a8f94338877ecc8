"""A request body that knows whether its first byte was asked for."""

from __future__ import annotations

from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter

_PIECE = 65_536


class PackageBody(payload.Payload):
    """Frozen bytes, written in pieces. While ``started`` is False nothing of them was sent."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw, content_type="application/zip")
        self._raw = raw
        self._size = len(raw)
        self.started = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """A package is no text."""
        raise TypeError("a package is bytes")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write all pieces."""
        self.started = True
        for start in range(0, len(self._raw), _PIECE):
            await writer.write(self._raw[start : start + _PIECE])

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """The length is always that of the whole."""
        await self.write(writer)
