"""The local control door: what ``replay``, ``verdict``, ``fix`` and ``optout`` ask of a running
service.

It takes orders only with the token of ``control.json``, a file of the data folder that the
service's own user alone can read.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aiohttp import web

from mapping.errors import LabbrokerError, Language

Replay = Callable[[int], Awaitable[bool]]
Order = Callable[[bytes, Mapping[str, str]], Awaitable[dict[str, Any]]]
"""``(body, query)`` → what came of it, as plain values. Raises ``LabbrokerError``."""

LOOPBACK = "127.0.0.1"
"""The only address that the control door listens on."""
_FILE = "control.json"


@dataclass(frozen=True, slots=True)
class ControlAddress:
    """Where a running service takes orders. ``token`` is secret."""

    port: int
    token: str

    def url(self, order: str) -> str:
        """Where to post ``order`` (``fix``, ``replay/12``)."""
        return f"http://{LOOPBACK}:{self.port}/control/{order}"

    def __repr__(self) -> str:
        return f"ControlAddress(port={self.port})"


def control_routes(
    token: str, replay: Replay, orders: Mapping[str, Order] = MappingProxyType({})
) -> list[web.RouteDef]:
    """``POST /control/replay/{id}``: 202, or 404 where there is no such receipt.
    ``POST /control/{order}``: 200 with what came of it, or 409 with the error as :func:`plain`."""

    def allowed(request: web.Request) -> bool:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        # A header that is no UTF-8 arrives with surrogates in it.
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())

    async def replay_receipt(request: web.Request) -> web.Response:
        if not allowed(request):
            return web.Response(status=401)
        done = await replay(int(request.match_info["receipt_id"]))
        return web.Response(status=202 if done else 404)

    async def obey(request: web.Request) -> web.Response:
        if not allowed(request):
            return web.Response(status=401)
        order = orders.get(request.match_info["order"])
        if order is None:
            return web.Response(status=404)
        try:
            return web.json_response(await order(await request.read(), request.query))
        except LabbrokerError as error:
            return web.json_response(plain(error), status=409)

    return [
        web.post(r"/control/replay/{receipt_id:\d{1,12}}", replay_receipt),
        web.post(r"/control/{order:[a-z-]{1,30}}", obey),
    ]


def plain(error: LabbrokerError) -> dict[str, Any]:
    """An error as JSON: ``{"code", "en": [sentence, remedy], "zh": [sentence, remedy]}``."""
    languages: tuple[Language, ...] = ("en", "zh")
    return {"code": error.code} | {
        language: [error.sentence(language), error.remedy(language)] for language in languages
    }


def new_token() -> str:
    """A token for one run of the service."""
    return secrets.token_urlsafe(32)


def announce(folder: Path, address: ControlAddress) -> None:
    """Write ``control.json`` for the service's own user."""
    path = folder / _FILE
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        json.dump({"port": address.port, "token": address.token}, file)


def withdraw(folder: Path) -> None:
    """The service takes no more orders."""
    (folder / _FILE).unlink(missing_ok=True)


def find_control(folder: Path) -> ControlAddress | None:
    """The running service of a data folder, as far as the folder tells."""
    try:
        found = json.loads((folder / _FILE).read_text("ascii"))
    except FileNotFoundError:
        return None
    return ControlAddress(found["port"], found["token"])
