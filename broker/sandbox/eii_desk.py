"""What the stand-in for NHI's EII library asks of the stand-in gateway.

``POST /eii/packages?name=&institution=`` takes a file; ``POST /eii/requests`` takes a request for
its check report, one line ``FILE=`` and the file's name without ``.zip`` (the real content is not
public); ``GET /eii/requests/{id}`` gives the report. There is no login: the real library signs with
the SAM, so these routes are open to whoever reaches them and exist only when they are asked for.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from aiohttp import web

from broker.sandbox.reception import Refused

if TYPE_CHECKING:
    from broker.sandbox.gateway import Gateway

_LARGEST_REQUEST = 4096


class EiiDesk:
    """Requests live as long as the process."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._requests: dict[str, tuple[str, str]] = {}
        self._numbers = itertools.count(1)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/eii/packages", self.take),
            web.post("/eii/requests", self.request),
            web.get("/eii/requests/{number}", self.answer),
        ]

    async def take(self, request: web.Request) -> web.StreamResponse:
        """201 and the receipt, with the faults that are ordered for a submission."""
        institution = request.query.get("institution", "")
        return await self._gateway.receive(
            request, request.query.get("name", ""), lambda: institution
        )

    async def request(self, request: web.Request) -> web.StreamResponse:
        """201 and ``{"request"}``: 12 digits."""
        if self._gateway.faults.next_fault("query"):
            return web.Response(status=500, text="query down")
        raw = await request.content.read(_LARGEST_REQUEST)
        key, _, stem = raw.decode("ascii", "replace").strip().partition("=")
        if key != "FILE" or not stem.isalnum():
            raise Refused("json", "請求檔內容不符", 400)
        number = f"{next(self._numbers):012d}"
        self._requests[number] = (request.query.get("institution", ""), f"{stem}.zip")
        return web.json_response({"request": number}, status=201)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """200 and the ZIP; 202 while it is checked; 404 for what is not there: not yet, or
        never."""
        if self._gateway.faults.next_fault("report"):
            return web.Response(status=500, text="report down")
        institution, name = self._requests.get(request.match_info["number"], ("", ""))
        taken = self._gateway.ledger.find_name(name)
        now = self._gateway.settings.clock()
        if (
            taken is None
            or taken.institution != institution
            or request.query.get("institution") != institution
            or taken.visible_at > now
        ):
            raise Refused("receipt", "交易不存在", 404)
        if taken.due_at > now:
            return web.json_response({"state": "checking"}, status=202)
        raw = await self._gateway.report_of(taken)
        return web.Response(body=raw, content_type="application/zip")
