"""Where a request comes from and how: what the guard, the cookie and the pauses go by."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Protocol

from aiohttp import web
from sqlalchemy import Connection, Engine

from broker.config.access_section import AccessSettings
from broker.store.sessions import SessionLimits


class Writes(Protocol):
    """``Writer.write``."""

    def __call__(self, work: Callable[[Connection], Any], /) -> Awaitable[Any]: ...


@dataclass(frozen=True, slots=True)
class Access:
    """What the console and the API need of the service."""

    reader: Engine
    write: Writes
    clock: Callable[[], datetime]
    settings: AccessSettings = field(default_factory=AccessSettings)
    on_password: Callable[[], None] = lambda: None
    """Somebody has chosen a password: the file of the first code has done its duty."""
    hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """How many passwords are judged at one time: each takes 19 MiB and a core for 50 ms."""

    @property
    def limits(self) -> SessionLimits:
        return SessionLimits(self.settings.idle, self.settings.absolute)


ACCESS = web.AppKey("access", Access)
_PROXYS = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")


def is_encrypted(request: web.Request) -> bool:
    """Whether TLS lies between the browser and us, or the proxy in front of us."""
    return request.secure or access_of(request).settings.behind_tls


def address_of(request: web.Request) -> str:
    """The browser's address. Behind the proxy it is the last that the proxy added: what stands
    before it, anybody can have written."""
    if access_of(request).settings.behind_tls:
        told = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        return told if _is_address(told) else ""
    return request.remote or ""


def is_at_this_machine(request: web.Request) -> bool:
    """Whether the browser runs on the broker's own machine. What came through a proxy that the
    settings do not name did not, whatever machine the proxy is on."""
    named = access_of(request).settings.behind_tls
    proxied = not named and any(header in request.headers for header in _PROXYS)
    address = address_of(request)
    return not proxied and _is_address(address) and ip_address(address).is_loopback


def access_of(request: web.Request) -> Access:
    """What :func:`broker.web.session.install_access` put there."""
    return request.config_dict[ACCESS]


def cookie_name(request: web.Request) -> str:
    """``__Host-`` binds the cookie to this host and to TLS; browsers refuse it without TLS."""
    return "__Host-labbroker" if is_encrypted(request) else "labbroker"


def give_cookie(request: web.Request, answer: web.StreamResponse, token: str) -> None:
    """Put the session's token where scripts cannot read it and other sites cannot send it."""
    answer.set_cookie(
        cookie_name(request),
        token,
        path="/",
        httponly=True,
        secure=is_encrypted(request),
        samesite="Lax",
    )


def take_cookie(request: web.Request, answer: web.StreamResponse) -> None:
    """The browser forgets the token."""
    answer.del_cookie(
        cookie_name(request),
        path="/",
        httponly=True,
        secure=is_encrypted(request),
        samesite="Lax",
    )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
