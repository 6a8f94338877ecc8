"""The outbox of one destination, as its sender sees it, kept in the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from adapters.ports.intake import StorageUnavailable
from adapters.ports.outbox import Outgoing
from broker.delivery.agreement import DeliveryAgreement, DeliveryState
from broker.logs import log_event
from broker.nodes import Hold, Node
from broker.store.engine import open_snapshot
from broker.store.leases import LeaseLost
from broker.store.outbox import begin_attempt, end_attempt, first_open
from broker.store.rows import AnyRow
from broker.store.storage_fault import storage_fault
from broker.store.writer import Writer
from mapping.errors import LabbrokerError

T = TypeVar("T")

_log = logging.getLogger(__name__)


class NotTheirs(LabbrokerError):
    """The report is not, or not any more, one that this clinic ordered, or cannot be read."""

    code = "delivery-not-theirs"
    en = (
        "The report is none that this clinic ordered, or it cannot be read any more.",
        "Look at the receipt; run `labbroker replay` once its settings are right.",
    )
    zh = (
        "該報告並非此診所所開立，或已無法讀取。",
        "請檢視該收件；設定更正後執行 `labbroker replay`。",
    )


class Renderer(Protocol):
    """Makes what is sent. Blocks."""

    def __call__(
        self, agreement: DeliveryAgreement, row: AnyRow, now: datetime
    ) -> tuple[str, bytes]:
        """The name of a file of it, and its bytes. Raises LabbrokerError for what cannot be
        written as it is."""
        ...


class StoredOutbox:
    """Implements :class:`adapters.ports.outbox.Outbox`. What is sent is made at the first try and
    kept until it has arrived, so that every try sends the same bytes."""

    def __init__(
        self,
        agreement: DeliveryAgreement,
        writer: Writer,
        reader: Engine,
        render: Renderer,
        clock: Callable[[], datetime],
        node: Node | None = None,
    ) -> None:
        self._node = node or Node()
        self._hold: Hold | None = None
        self._agreement = agreement
        self._writer = writer
        self._reader = reader
        self._render = render
        self._clock = clock

    async def first(self) -> Outgoing | None:
        """None too while another node delivers to this destination."""
        while True:
            name = f"send:delivery/{self._agreement.name}"
            hold = self._hold = self._hold or await self._node.take(name)
            if hold is None:
                return None
            row = await self._asked(self._look)
            if row is None:
                return None
            try:
                name, body = await self._asked(partial(self._made, row))
            except StorageUnavailable:
                # That the store is away says nothing of the report.
                raise
            except LabbrokerError as error:
                await self._end(row.id, DeliveryState.REFUSED, error_code=error.code)
                continue
            except Exception as error:  # noqa: BLE001 - one report must not hold up all others
                log_event(_log, "delivery.fault", delivery_id=row.id, error=error)
                await self._end(row.id, DeliveryState.REFUSED, error_code="internal")
                continue
            try:
                began = await self._writer.write(self._begin(hold, row.id, name, body))
            except LeaseLost:
                self._hold = None
                return None
            if began:
                return Outgoing(row.id, body, name)

    def _begin(
        self, hold: Hold, outgoing_id: int, name: str, body: bytes
    ) -> Callable[[Connection], bool]:
        def begin(connection: Connection) -> bool:
            hold.require(connection)
            return begin_attempt(connection, outgoing_id, name, body, self._clock())

        return begin

    async def delivered(self, outgoing_id: int, answer: str) -> None:
        await self._end(outgoing_id, DeliveryState.ACKNOWLEDGED, answer=answer)

    async def refused(self, outgoing_id: int, answer: str, text: str) -> None:
        # The text is the receiver's, who may name the patient in it: it is not kept.
        await self._end(
            outgoing_id, DeliveryState.REFUSED, answer=answer, error_code="receiver-refused"
        )

    async def failed(self, outgoing_id: int, reason: str) -> None:
        await self._end(outgoing_id, DeliveryState.FAILED, error_code=reason)

    async def _asked(self, work: Callable[[], T]) -> T:
        """``work`` off the loop. Raises :class:`StorageUnavailable` where the database is away:
        then nothing was begun, and the sender asks again."""
        try:
            return await asyncio.to_thread(work)
        except SQLAlchemyError as error:
            fault = storage_fault(error)
            if fault is None:
                raise
            log_event(_log, "store.unavailable", level=logging.ERROR, error=error)
            raise StorageUnavailable(reason=fault.value) from None

    def _look(self) -> AnyRow | None:
        with open_snapshot(self._reader) as connection:
            return first_open(connection, self._agreement.name)

    def _made(self, row: AnyRow) -> tuple[str, bytes]:
        if row.body is not None:
            return row.name, row.body
        return self._render(self._agreement, row, self._clock())

    async def _end(
        self, outgoing_id: int, state: DeliveryState, *, answer: str = "", error_code: str = ""
    ) -> None:
        await self._writer.write(
            lambda c: end_attempt(
                c, outgoing_id, state, self._clock(), answer=answer, error_code=error_code
            )
        )
        log_event(
            _log,
            "delivery.acknowledged"
            if state is DeliveryState.ACKNOWLEDGED
            else "delivery.failed"
            if state is DeliveryState.FAILED
            else "delivery.refused",
            level=logging.WARNING if state is DeliveryState.REFUSED else logging.INFO,
            delivery_id=outgoing_id,
            destination=self._agreement.name,
            reason=error_code or state.value,
        )
