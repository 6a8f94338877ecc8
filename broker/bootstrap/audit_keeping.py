"""Keeps the audit trail while the service runs: anchors its head, notes what comes by the control
door."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from broker.logs import log_event
from broker.store.audit import note
from broker.store.audit_check import write_anchor
from broker.store.writer import Writer
from broker.web.control import Order

_log = logging.getLogger(__name__)

ANCHOR_SECONDS = 600
# People and tokens are noted with what they are about; of a list, and of visits, the beginning is.
_NOTED_ELSEWHERE = ("people-", "token-", "list-rows", "list-end", "visits-progress")


class AuditAnchors:
    """Writes where the trail stands to a file beside the store: at the start, every ten minutes
    in which something was noted, at the end."""

    def __init__(self, reader: Engine, folder: Path, clock: Callable[[], datetime]) -> None:
        self._reader = reader
        self._folder = folder
        self._clock = clock

    def start(self) -> None:
        """Begin; :meth:`stop` ends it."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Anchor once more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._anchor()

    async def _run(self) -> None:
        while True:
            await self._anchor()
            await asyncio.sleep(ANCHOR_SECONDS)

    async def _anchor(self) -> None:
        def write() -> None:
            with self._reader.connect() as connection:
                write_anchor(connection, self._folder, self._clock())

        try:
            await asyncio.to_thread(write)
        except OSError as error:
            # A full disk stops no result; the next anchor covers what this one would have.
            log_event(_log, "audit.not_anchored", level=logging.WARNING, error=error)


def audited(
    orders: Mapping[str, Order], writer: Writer, clock: Callable[[], datetime]
) -> Mapping[str, Order]:
    """``orders`` of the command line, each noted once it is done, by the name that it gives in
    ``by``. What the console asks, the console notes under the login of its person."""

    def with_note(name: str, order: Order) -> Order:
        async def obey(raw: bytes, query: Mapping[str, str]) -> dict[str, Any]:
            told = await order(raw, query)
            person = f"cli:{_by(raw) or query.get('by', '')}"
            await writer.write(
                lambda c: note(
                    c,
                    person=person,
                    action=name,
                    kind="order",
                    subject="",
                    institution="",
                    at=clock(),
                )
            )
            return told

        return obey

    return {
        name: order if name.startswith(_NOTED_ELSEWHERE) else with_note(name, order)
        for name, order in orders.items()
    }


def _by(raw: bytes) -> str:
    """Who gives the order, where it says so; an order may also be a file or a list."""
    try:
        told = json.loads(raw)
    except ValueError:
        return ""
    name = told.get("by", "") if isinstance(told, dict) else ""
    return name[:64] if isinstance(name, str) else ""
