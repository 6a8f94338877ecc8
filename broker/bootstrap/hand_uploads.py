"""The order ``uploaded`` of the control door: a person's word on a package."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from adapters.nhi.portal_channel import PersonsWord, PortalChannel
from adapters.ports.intake import Intake
from broker.hand_uploads import HandUpload, apply_hand_upload, read_hand_upload, require_waiting
from broker.logs import log_event
from broker.store.engine import open_snapshot
from broker.store.rows import AnyRow
from broker.store.writer import Writer
from broker.web.control import Order
from mapping.errors import LabbrokerError

_log = logging.getLogger(__name__)


class HandOffFolderUnusable(LabbrokerError):
    code = "hand-off-folder-unusable"
    en = (
        "The hand-off folder of {institution} cannot be written: {reason}.",
        "Put it right and say it again; nothing was changed.",
    )
    zh = (
        "{institution} 的交付資料夾無法寫入：{reason}。",
        "請排除後再次登錄；未做任何變更。",
    )


def take_back(channel: PortalChannel | None, row: AnyRow, word: HandUpload, now: datetime) -> None:
    """A file that was not uploaded leaves the folder before the store may pack its records anew.
    Raises :class:`HandOffFolderUnusable`."""
    if channel is None or word.uploaded:
        return
    try:
        channel.withdraw(row.institution_code, row.stem, _spoken(word, now))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise HandOffFolderUnusable(institution=row.institution_code, reason=reason) from None


def put_away(channel: PortalChannel | None, row: AnyRow, word: HandUpload, now: datetime) -> None:
    """A file that was uploaded leaves the folder. Where that fails now, it is done when its check
    report is looked for."""
    if channel is None or not word.uploaded:
        return
    with contextlib.suppress(OSError):
        channel.confirm(row.institution_code, row.stem, _spoken(word, now))


def _spoken(word: HandUpload, now: datetime) -> PersonsWord:
    return PersonsWord(word.by, now, word.uploaded_at or now, word.receipt_number)


class HandUploads:
    """``portal_of`` gives the portal channel of an institution, None where it has another."""

    def __init__(
        self,
        writer: Writer,
        reader: Engine,
        intake: Intake,
        clock: Callable[[], datetime],
        portal_of: Callable[[str], PortalChannel | None],
        on_told: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._intake = intake
        self._clock = clock
        self._portal_of = portal_of
        self._on_told = on_told

    def orders(self) -> Mapping[str, Order]:
        """The orders of the control door by their names."""
        return {"uploaded": self._uploaded}

    async def _uploaded(self, raw: bytes, _: Mapping[str, str]) -> dict[str, Any]:
        word = read_hand_upload(json.loads(raw))
        now = self._clock()

        def look() -> AnyRow:
            with open_snapshot(self._reader) as connection:
                return require_waiting(connection, word, now)

        row = await asyncio.to_thread(look)
        receipt = await self._intake.receive(word.payload(now))
        portal = self._portal_of(row.institution_code)
        await asyncio.to_thread(take_back, portal, row, word, now)
        told = await self._writer.write(
            lambda c: apply_hand_upload(c, word, receipt.receipt_id, now)
        )
        await asyncio.to_thread(put_away, portal, row, word, now)
        log_event(
            _log,
            "package.told",
            package_id=row.id,
            receipt_id=receipt.receipt_id,
            state=told["state"],
        )
        self._on_told()
        return told
