"""What the tests of gateway and channel share: a running gateway, keys, synthetic packages."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters.card.software_key import (
    RehearsalAuthority,
    SoftwareKey,
    create_rehearsal_authority,
    create_rehearsal_key,
)
from adapters.nhi.sandbox_channel import SandboxChannel
from adapters.ports.channel import SealedPackage
from broker.sandbox.calendar import roc_day, taipei_day
from broker.sandbox.gateway import GATEWAY, Gateway, gateway_application
from broker.sandbox.settings import SandboxSettings

INSTITUTION = "3501234567"
OPERATOR = "operator-of-the-tests"

Fields = Mapping[str, str]


def _past_midnight() -> timedelta:
    began, hour = datetime.now(UTC), timedelta(hours=1)
    return hour if taipei_day(began) != taipei_day(began + hour) else timedelta(0)


_AHEAD = _past_midnight()
"""So that no day ends in Taipei while a test is under way."""


def now() -> datetime:
    """The time of the samples and of their gateway."""
    return datetime.now(UTC) + _AHEAD


@dataclass
class Clock:
    """That time, moved by ``ahead``."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return now() + self.ahead


def upload_day(days_ago: int = 0) -> str:
    return roc_day(taipei_day(now() - timedelta(days=days_ago)))


def header(**changes: str) -> dict[str, str]:
    """A valid header for today; ``h26=""`` takes a field away."""
    day = upload_day()
    values = {
        "h1": "1",
        "h2": INSTITUTION,
        "h3": "11",
        "h4": day[:5],
        "h5": f"{day}081500",
        "h6": "01",
        "h7": "0001",
        "h8": "1",
        "h9": "A123456789",
        "h10": "0750101",
        "h11": day,
        "h15": "09005C",
        "h16": f"{day}100000",
        "h20": f"{day}0820",
        "h22": "血液",
        "h26": "4",
    }
    return _ordered({**values, **changes})


def row(**changes: str) -> dict[str, str]:
    """A valid row; keys are written ``r6_1`` for ``r6-1``."""
    values = {
        "r1": "1",
        "r2": "葡萄糖",
        "r3": "酵素法",
        "r4": "98",
        "r5": "mg/dL",
        "r6-1": "70",
        "r6-2": "100",
        "r10": f"{upload_day()}0930",
    }
    named = {tag.replace("_", "-"): value for tag, value in changes.items()}
    return _ordered({**values, **named})


def document(*orders: tuple[Fields, Sequence[Fields]]) -> bytes:
    """The XML of a daily upload, written by hand so that no product code vouches for it."""
    lines = ['<?xml version="1.0" encoding="Big5"?>', "<patient>"]
    for head, rows in orders:
        lines.append("<hdata>")
        lines.extend(f"<{tag}>{value}</{tag}>" for tag, value in head.items())
        for fields in rows:
            inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in fields.items())
            lines.append(f"<rdata>{inner}</rdata>")
        lines.append("</hdata>")
    lines.append("</patient>")
    return "\r\n".join(lines).encode("cp950")


def sealed(raw_xml: bytes, serial: int = 1, day: str = "", label: str = "") -> SealedPackage:
    """A package around ``raw_xml``; ``label`` is another name for the entry."""
    stem = f"{INSTITUTION}{day or upload_day()}{serial:03d}"
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(label or f"{stem}.xml", raw_xml)
    raw = target.getvalue()
    return SealedPackage(serial, stem, INSTITUTION, raw, hashlib.sha256(raw).hexdigest())


def good_package(serial: int = 1, **changes: str) -> SealedPackage:
    """A package of one valid order."""
    return sealed(document((header(**changes), [row()])), serial)


@dataclass(frozen=True)
class Keys:
    """An authority and the key of :data:`INSTITUTION` that it vouches for."""

    folder: Path
    authority: RehearsalAuthority
    key: SoftwareKey

    @classmethod
    def create(cls, folder: Path) -> Keys:
        authority = create_rehearsal_authority(folder / "authority")
        key = create_rehearsal_key(folder / "clinic", INSTITUTION, authority)
        return cls(folder, authority, key)


@dataclass
class Rehearsal:
    """A gateway on a real socket and a channel to it."""

    url: str
    gateway: Gateway
    channel: SandboxChannel
    key: SoftwareKey
    clock: Clock = field(default_factory=Clock)

    def ledger(self) -> dict[str, Any]:
        return self.gateway.ledger.summary()


def settings_of(keys: Keys, folder: Path, **changes: Any) -> SandboxSettings:
    settings = SandboxSettings(
        folder=folder,
        trusted=(keys.authority.certificate_file.read_bytes(),),
        operator_token=OPERATOR,
        hold=timedelta(seconds=20),
        clock=now,
    )
    return replace(settings, **changes)


@contextlib.asynccontextmanager
async def rehearsal(
    keys: Keys, folder: Path, patience: float = 10.0, **changes: Any
) -> AsyncIterator[Rehearsal]:
    """Start a gateway with ``changes`` to its settings, and a channel with ``patience`` seconds."""
    clock = Clock()
    application = gateway_application(settings_of(keys, folder, clock=clock, **changes))
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with SandboxChannel(url, patience) as channel:
            yield Rehearsal(url, application[GATEWAY], channel, keys.key, clock)
    finally:
        await runner.cleanup()


def _ordered(values: dict[str, str]) -> dict[str, str]:
    def position(tag: str) -> tuple[int, int]:
        number, _, part = tag[1:].partition("-")
        return int(number), int(part or 0)

    return {tag: values[tag] for tag in sorted(values, key=position) if values[tag]}
