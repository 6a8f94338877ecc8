"""The routes of the stand-in gateway, and what each of them does to the ledger."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from aiohttp import web

from broker.sandbox.archive import pack_reports
from broker.sandbox.eii_desk import EiiDesk
from broker.sandbox.faults import FaultPlan, GatewayFault, OrderedFault
from broker.sandbox.identity import Doorkeeper
from broker.sandbox.ledger import Ledger, TakenPackage
from broker.sandbox.reception import (
    PackageName,
    Refused,
    check_owner_and_day,
    open_package,
    parse_name,
)
from broker.sandbox.settings import RepeatRule, SandboxSettings
from broker.sandbox.verdict import judge, print_verdict

_LOGIN_PAGE = "<!DOCTYPE html><html><body><h1>醫事機構登入</h1></body></html>"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DRAWN_LAG = timedelta(minutes=2)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway:
    """One gateway with its ledger. ``faults`` and ``ledger`` are open to tests."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.faults = FaultPlan(settings.fault_rate, settings.fault_seed)
        self.ledger = Ledger(settings.folder)
        self._door = Doorkeeper(settings)
        self._taking = asyncio.Lock()
        self._closing = asyncio.Event()

    async def challenge(self, request: web.Request) -> web.StreamResponse:
        """``GET /challenge?institution=`` → ``{"nonce"}``."""
        if self.faults.next_fault("login"):
            return web.Response(status=500, text="login down")
        institution = request.query.get("institution", "")
        if not (len(institution) == 10 and institution.isascii() and institution.isalnum()):
            raise Refused("login", "醫事機構代碼須為10碼", 400)
        return web.json_response({"nonce": self._door.challenge(institution)})

    async def login(self, request: web.Request) -> web.StreamResponse:
        """``POST /login`` with institution, nonce, certificate, signature → ``{"token"}``."""
        body = await _json_object(request)
        try:
            fields = [body[name] for name in ("institution", "nonce", "certificate", "signature")]
            institution, nonce, certificate, signature = (_text(field) for field in fields)
            raw_signature = base64.b64decode(signature, validate=True)
        except (KeyError, TypeError, binascii.Error, ValueError):
            raise Refused("login", "登入內容不完整", 400) from None
        token, session = self._door.login(
            institution, nonce, certificate.encode("utf-8"), raw_signature
        )
        return web.json_response({"token": token, "expires_at": session.ends_at.isoformat()})

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """``POST /packages?name=`` with the ZIP as body → 201 and the receipt."""
        return await self.receive(
            request,
            request.query.get("name", ""),
            lambda: self._door.session(_token(request)).institution,
        )

    async def receive(
        self, request: web.Request, label: str, institution: Callable[[], str]
    ) -> web.StreamResponse:
        """Take the body as the package ``label`` of ``institution``, with the faults that are
        ordered."""
        ordered = self.faults.next_fault("submit", label)
        fault = ordered.fault if ordered else None
        if fault is GatewayFault.UNAVAILABLE_BEFORE_READING:
            return _unavailable()
        if fault is GatewayFault.ERROR_BEFORE_READING:
            return _closing(web.Response(status=500, text="internal error"))
        if fault is GatewayFault.LOGIN_PAGE:
            return _closing(web.Response(text=_LOGIN_PAGE, content_type="text/html"))
        owner = institution()
        name = parse_name(label)
        owner = "" if fault is GatewayFault.WRONG_INSTITUTION else owner
        check_owner_and_day(name, owner, self.settings)
        half = fault is GatewayFault.CLOSE_AT_HALF
        raw = await _read_body(request, self.settings.largest_package, half)
        if half:
            return _abort(request)
        lag = self._lag(ordered)
        async with self._taking:
            taken = await asyncio.to_thread(self._take, name, raw, lag)
        return await self._answer(request, taken, ordered)

    async def query(self, request: web.Request) -> web.StreamResponse:
        """``GET /packages/{name}?sha256=`` → state absent, pending, arrived or other-bytes."""
        if self.faults.next_fault("query"):
            return web.Response(status=500, text="query down")
        session = self._door.session(_token(request))
        name = parse_name(request.match_info["name"])
        if name.institution != session.institution:
            raise Refused("institution", "檔名之醫事機構代碼與登入機構不符", 403)
        sha256 = request.query.get("sha256", "")
        if not _SHA256.fullmatch(sha256):
            raise Refused("sha256", "缺少檔案之SHA-256", 400)
        taken = self.ledger.find_name(f"{name.stem}.zip")
        if taken is None:
            return web.json_response({"state": "absent"})
        if taken.visible_at > self.settings.clock():
            return web.json_response({"state": self.settings.lagging_answer})
        if taken.sha256 != sha256:
            return web.json_response({"state": "other-bytes"})
        return web.json_response({"state": "arrived", **_receipt(taken)})

    async def report(self, request: web.Request) -> web.StreamResponse:
        """``GET /packages/{receipt}/report`` → 202 while checking, else the ZIP."""
        ordered = self.faults.next_fault("report")
        if ordered and ordered.fault is GatewayFault.REPORT_DOWN:
            return web.Response(status=500, text="report down")
        session = self._door.session(_token(request))
        taken = self.ledger.find_receipt(request.match_info["receipt"])
        if taken is None or taken.institution != session.institution:
            raise Refused("receipt", "查無此收件序號", 404)
        now = self.settings.clock()
        if taken.due_at > now:
            return web.json_response({"state": "checking"}, status=202)
        if now - taken.due_at > self.settings.report_kept:
            raise Refused("expired", "檔案僅保留14天", 410)
        raw = await self.report_of(taken)
        if ordered:
            raw = raw[: len(raw) // 2]
        return web.Response(body=raw, content_type="application/zip")

    async def report_of(self, taken: TakenPackage) -> bytes:
        """The ZIP of a package's check report."""
        return await asyncio.to_thread(self._pack, taken)

    async def read_ledger(self, request: web.Request) -> web.StreamResponse:
        """``GET /ledger`` for the operator: what arrived, how often."""
        self._operator_only(request)
        return web.json_response(await asyncio.to_thread(self.ledger.summary))

    async def order_fault(self, request: web.Request) -> web.StreamResponse:
        """``POST /faults`` ``{"fault", "times", "seconds"}``, ``GET``, ``DELETE``."""
        self._operator_only(request)
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "POST":
            body = await _json_object(request)
            try:
                seconds = body.get("seconds")
                duration = None if seconds is None else timedelta(seconds=float(seconds))
                fault = GatewayFault(body["fault"])
                self.faults.order(fault, int(body.get("times", 1)), duration)
            except (KeyError, TypeError, ValueError):
                raise Refused("fault", "未知的故障種類", 400) from None
        return web.json_response({"waiting": self.faults.waiting()})

    async def health(self, request: web.Request) -> web.StreamResponse:
        """``GET /health``."""
        return web.json_response({"gateway": "labbroker sandbox"})

    async def shut_down(self, application: web.Application) -> None:
        """Let held answers go."""
        self._closing.set()

    async def close(self, application: web.Application) -> None:
        """Close the ledger, after the last answer."""
        self.ledger.close()

    def _take(self, name: PackageName, raw: bytes, lag: timedelta) -> TakenPackage:
        settings, sha256, label = self.settings, hashlib.sha256(raw).hexdigest(), f"{name.stem}.zip"
        again = settings.repeats is RepeatRule.ACCEPT
        earlier = self.ledger.find_name(label)
        if earlier is not None and not again:
            self.ledger.note_refusal(label, "27", sha256, settings.clock())
            raise _repeated(earlier, settings.repeats)
        try:
            document = open_package(raw, name, settings.largest_document)
        except Refused as refusal:
            self.ledger.note_refusal(label, refusal.code, sha256, settings.clock())
            raise
        orders, outcome = judge(document, name, settings, self.ledger.standing_upload)
        taken = self.ledger.take(
            label,
            name.institution,
            sha256,
            orders,
            outcome,
            settings.clock(),
            lag,
            settings.verdict_delay,
            again,
        )
        if taken is None:
            raise Refused("27", "流水號重覆", 409)
        return taken

    def _pack(self, taken: TakenPackage) -> bytes:
        encryption, password = self.settings.report_encryption, self.settings.report_password
        return pack_reports(print_verdict(taken), encryption, password)

    async def _answer(
        self, request: web.Request, taken: TakenPackage, ordered: OrderedFault | None
    ) -> web.StreamResponse:
        receipt = _receipt(taken)
        fault = ordered.fault if ordered else None
        if fault in (GatewayFault.TIMEOUT_AFTER_ACCEPTING, GatewayFault.SLOW_ANSWER):
            hold = (ordered and ordered.duration) or self.settings.hold
            await self._hold(hold)
            if fault is GatewayFault.TIMEOUT_AFTER_ACCEPTING:
                return _abort(request)
        if fault is GatewayFault.CLOSE_AFTER_ACCEPTING:
            return _abort(request)
        if fault is GatewayFault.ERROR_AFTER_ACCEPTING:
            return web.Response(status=500, text="internal error")
        if fault is GatewayFault.LOGIN_PAGE_AFTER_ACCEPTING:
            return web.Response(text=_LOGIN_PAGE, content_type="text/html")
        if fault is GatewayFault.TRUNCATED_RECEIPT:
            body = json.dumps(receipt)
            return web.Response(
                status=201,
                text=body[: 1 + secrets.randbelow(len(body) - 1)],
                content_type="application/json",
            )
        return web.json_response(receipt, status=201)

    def _lag(self, ordered: OrderedFault | None) -> timedelta:
        if ordered and ordered.fault is GatewayFault.LAGGING_QUERY:
            return ordered.duration or _DRAWN_LAG
        return self.settings.query_lag

    async def _hold(self, duration: timedelta) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(duration.total_seconds()):
                await self._closing.wait()

    def _operator_only(self, request: web.Request) -> None:
        token = self.settings.operator_token
        given = request.headers.get("X-Operator-Token", "")
        if not token or not secrets.compare_digest(given.encode(), token.encode()):
            raise Refused("operator", "僅供操作者使用", 403)


GATEWAY = web.AppKey("gateway", Gateway)


def gateway_application(settings: SandboxSettings) -> web.Application:
    """The gateway as an aiohttp application; the :class:`Gateway` is under ``GATEWAY``."""
    gateway = Gateway(settings)

    @web.middleware
    async def refusals(request: web.Request, handler: _Handler) -> web.StreamResponse:
        operator = request.path in ("/faults", "/ledger", "/health")
        if gateway.faults.maintenance() and not operator:
            return _unavailable()
        try:
            return await handler(request)
        except Refused as refusal:
            body = {"code": refusal.code, "text": refusal.text, "taken": False, **refusal.details}
            return _closing(web.json_response(body, status=refusal.status))

    application = web.Application(middlewares=[refusals])
    application[GATEWAY] = gateway
    application.add_routes(
        [
            web.get("/health", gateway.health),
            web.get("/challenge", gateway.challenge),
            web.post("/login", gateway.login),
            web.post("/packages", gateway.submit),
            web.get("/packages/{name}", gateway.query),
            web.get("/packages/{receipt}/report", gateway.report),
            web.get("/ledger", gateway.read_ledger),
            web.route("*", "/faults", gateway.order_fault),
        ]
    )
    if settings.eii:
        application.add_routes(EiiDesk(gateway).routes())
    application.on_shutdown.append(gateway.shut_down)
    application.on_cleanup.append(gateway.close)
    return application


def _receipt(taken: TakenPackage) -> dict[str, str]:
    return {
        "receipt_number": taken.receipt_number,
        "confirmed_at": taken.confirmed_at.isoformat(),
        "name": taken.name,
        "sha256": taken.sha256,
    }


def _repeated(earlier: TakenPackage, rule: RepeatRule) -> Refused:
    details = _receipt(earlier) if rule is RepeatRule.TELL else {}
    return Refused("27", "流水號重覆", 409, **details)


def _unavailable() -> web.Response:
    body = {"code": "unavailable", "text": "系統維護中", "taken": False}
    return _closing(web.json_response(body, status=503))


def _closing(response: web.Response) -> web.Response:
    """The body may be unread: the connection cannot serve another request."""
    response.force_close()
    return response


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


def _token(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value


async def _json_object(request: web.Request) -> dict[str, Any]:
    raw = await _read_body(request, 65_536, half=False)
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused("json", "內容不是JSON", 400) from None
    if not isinstance(body, dict):
        raise Refused("json", "內容不是JSON物件", 400)
    return body


async def _read_body(request: web.Request, largest: int, half: bool) -> bytes:
    """The body, or its first half. Raises :class:`Refused` (``too-large``)."""
    announced = request.content_length or 0
    if announced > largest:
        raise Refused("too-large", "檔案過大", 413)
    raw = bytearray()
    async for chunk in request.content.iter_any():
        raw += chunk
        if len(raw) > largest:
            raise Refused("too-large", "檔案過大", 413)
        if half and len(raw) * 2 >= announced:
            break
    return bytes(raw)
