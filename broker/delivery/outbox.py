"""The outbox of one destination, as its sender sees it, kept in the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
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
_MOST_FAULTS = 3


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


class OutboxFault(LabbrokerError):
    """A fault of ours, told in the log. What it met is tried again, or was set aside."""

    code = "outbox-fault"
    en = (
        "The delivery to {destination} met a fault of ours; it is tried again.",
        "Report the fault with the log around it (`delivery.fault`).",
    )
    zh = (
        "送往 {destination} 時發生程式錯誤，將再次嘗試。",
        "請附上當時的紀錄（`delivery.fault`）回報。",
    )


@dataclass(frozen=True, slots=True)
class _Ending:
    state: DeliveryState
    answer: str = ""
    error_code: str = ""


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
    kept until it has arrived, so that every try sends the same bytes.

    What came of a try is kept here until the store has it: what a receiver has acknowledged is
    not sent again because the store was away. A row that meets a fault of ours three times is set
    aside (refused, ``internal``) for a person, and the next goes on. ``is_theirs`` is asked before
    each try: whose results the destination may have can have changed since the one before.
    """

    def __init__(
        self,
        agreement: DeliveryAgreement,
        writer: Writer,
        reader: Engine,
        render: Renderer,
        clock: Callable[[], datetime],
        node: Node | None = None,
        is_theirs: Callable[[AnyRow], bool] = lambda row: True,
    ) -> None:
        self._node = node or Node()
        self._is_theirs = is_theirs
        self._hold: Hold | None = None
        self._agreement = agreement
        self._writer = writer
        self._reader = reader
        self._render = render
        self._clock = clock
        self._endings: dict[int, _Ending] = {}
        self._faults: dict[int, int] = {}
        self._begun: int | None = None

    async def first(self) -> Outgoing | None:
        """None too while another node delivers to this destination."""
        while True:
            await self._note_endings()
            name = f"send:delivery/{self._agreement.name}"
            hold = self._hold = self._hold or await self._node.take(name)
            if hold is None:
                return None
            row = await self._look()
            if row is None:
                return None
            try:
                name, body = await self._asked(partial(self._made, row))
                began = await self._writer.write(self._begin(hold, row.id, name, body))
            except LeaseLost:
                self._hold = None
                return None
            except StorageUnavailable:
                # That the store is away says nothing of the report.
                raise
            except LabbrokerError as error:
                await self._end(row.id, DeliveryState.REFUSED, error_code=error.code)
                continue
            except SQLAlchemyError as error:
                await self._meet(row.id, error)
                continue
            except Exception as error:  # noqa: BLE001 - one report must not hold up all others
                self._tell(error, row.id)
                await self._end(row.id, DeliveryState.REFUSED, error_code="internal")
                continue
            if began:
                self._begun = row.id
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

    async def fell(self, error: Exception) -> None:
        """The sender ended by a fault of ours, and is started again. Raises LabbrokerError."""
        if self._begun is None:
            self._tell(error)
        else:
            await self._meet(self._begun, error)

    async def _meet(self, outgoing_id: int, error: Exception) -> None:
        self._tell(error, outgoing_id)
        met = self._faults[outgoing_id] = self._faults.get(outgoing_id, 0) + 1
        if met < _MOST_FAULTS:
            raise OutboxFault(destination=self._agreement.name)
        await self._end(outgoing_id, DeliveryState.REFUSED, error_code="internal")

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

    async def _look(self) -> AnyRow | None:
        def look() -> AnyRow | None:
            with open_snapshot(self._reader) as connection:
                return first_open(connection, self._agreement.name, tuple(self._endings))

        try:
            return await self._asked(look)
        except SQLAlchemyError as error:
            self._tell(error)
            raise OutboxFault(destination=self._agreement.name) from None

    def _made(self, row: AnyRow) -> tuple[str, bytes]:
        if not self._is_theirs(row):
            raise NotTheirs
        if row.body is not None:
            return row.name, row.body
        return self._render(self._agreement, row, self._clock())

    async def _end(
        self, outgoing_id: int, state: DeliveryState, *, answer: str = "", error_code: str = ""
    ) -> None:
        self._begun = None
        self._endings[outgoing_id] = _Ending(state, answer, error_code)
        await self._note_endings()

    async def _note_endings(self) -> None:
        """Write what came of each try. One that cannot be written is told and tried again, and
        what it is about is passed over."""
        for outgoing_id, ending in list(self._endings.items()):
            try:
                await self._writer.write(self._ended(outgoing_id, ending))
            except StorageUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - one row must not hold up all others
                self._tell(error, outgoing_id)
                if ending.state is DeliveryState.FAILED:
                    # It is sent again, whether that is written or not.
                    del self._endings[outgoing_id]
                continue
            del self._endings[outgoing_id]
            if ending.state is not DeliveryState.FAILED:
                self._faults.pop(outgoing_id, None)
            self._tell_ending(outgoing_id, ending)

    def _ended(self, outgoing_id: int, ending: _Ending) -> Callable[[Connection], None]:
        def end(connection: Connection) -> None:
            end_attempt(
                connection,
                outgoing_id,
                ending.state,
                self._clock(),
                answer=ending.answer,
                error_code=ending.error_code,
            )

        return end

    def _tell(self, error: Exception, outgoing_id: int | None = None) -> None:
        log_event(
            _log,
            "delivery.fault",
            level=logging.ERROR,
            delivery_id=outgoing_id or 0,
            destination=self._agreement.name,
            error=error,
        )

    def _tell_ending(self, outgoing_id: int, ending: _Ending) -> None:
        log_event(
            _log,
            "delivery.acknowledged"
            if ending.state is DeliveryState.ACKNOWLEDGED
            else "delivery.failed"
            if ending.state is DeliveryState.FAILED
            else "delivery.refused",
            level=logging.WARNING if ending.state is DeliveryState.REFUSED else logging.INFO,
            delivery_id=outgoing_id,
            destination=self._agreement.name,
            reason=ending.error_code or ending.state.value,
        )
