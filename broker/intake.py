"""The one way in: durable first, then acknowledge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from adapters.ports.intake import Accepted, Payload, Settle, StorageUnavailable
from broker.states import Acknowledgement
from broker.store.receipts import mark_acknowledged
from broker.store.writer import Writer
from mapping.errors import LabbrokerError

# How answers went out is written behind, in few large statements: it is never needed at once.
_FLUSH_SECONDS = 0.5
_ANSWERS_AT_ONCE = 200
# So many in one commit have gathered while the last one was under way: senders wait in line.
_CROWD = 4


class DurableIntake:
    """Implements :class:`adapters.ports.intake.Intake` on the store.

    ``on_stored`` wakes the pipeline; ``clock`` gives aware UTC.
    """

    def __init__(
        self,
        writer: Writer,
        on_stored: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._writer = writer
        self._on_stored = on_stored
        self._clock = clock
        self._answers: dict[str, list[int]] = {}
        self._flush_due: asyncio.TimerHandle | None = None
        self._stored_together = 0
        self.last_stored_at: float = 0.0
        """Loop time of the newest commit that senders stood in line for: the pipeline steps back
        while the doors are so busy, and only then. A steady trickle must not hold it up."""

    def offer(self, payload: Payload, settle: Settle) -> None:
        """Queue ``payload``; ``settle`` is called after its commit returned or failed."""

        def done(result: Accepted | StorageUnavailable) -> None:
            if isinstance(result, Accepted):
                if not self._stored_together:
                    asyncio.get_running_loop().call_soon(self._tell_stored)
                self._stored_together += 1
            settle(result)

        self._writer.append(payload, self._clock(), done)

    def _tell_stored(self) -> None:
        """Once for a whole group."""
        if self._stored_together >= _CROWD:
            self.last_stored_at = asyncio.get_running_loop().time()
        self._stored_together = 0
        self._on_stored()

    async def receive(self, payload: Payload) -> Accepted:
        """Store ``payload`` and tell its receipt. Raises ``StorageUnavailable``."""
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()

        def settle(result: Accepted | LabbrokerError) -> None:
            if future.done():
                return
            if isinstance(result, Accepted):
                future.set_result(result)
            else:
                future.set_exception(result)

        self.offer(payload, settle)
        return await future

    def acknowledged(self, receipt_id: int, delivered: bool) -> None:
        """Note how the answer to a receipt went out."""
        how = Acknowledgement.DELIVERED if delivered else Acknowledgement.UNDELIVERED
        self._answers.setdefault(how.value, []).append(receipt_id)
        if self._flush_due is None:
            loop = asyncio.get_running_loop()
            self._flush_due = loop.call_later(_FLUSH_SECONDS, self._flush)

    async def close(self) -> None:
        """Write the answers that are not written yet."""
        if self._flush_due is not None:
            self._flush_due.cancel()
        # Where the store has failed they are read as "undelivered" at the next start.
        await asyncio.gather(*self._flush(), return_exceptions=True)

    def _flush(self) -> list[asyncio.Future[None]]:
        self._flush_due = None
        answers, self._answers = self._answers, {}
        futures = []
        for how, receipt_ids in answers.items():
            for ids in _slices(receipt_ids):
                future = self._writer.write(
                    lambda connection, ids=ids, value=how: mark_acknowledged(  # type: ignore[misc]
                        connection, ids, value
                    )
                )
                future.add_done_callback(_forget)
                futures.append(future)
        return futures


def _slices(receipt_ids: list[int]) -> list[list[int]]:
    """Short statements, so that no receipt waits long for its commit behind them."""
    return [
        receipt_ids[start : start + _ANSWERS_AT_ONCE]
        for start in range(0, len(receipt_ids), _ANSWERS_AT_ONCE)
    ]


def _forget(future: asyncio.Future[None]) -> None:
    """A failed note is read as "undelivered" at the next start; nothing else hangs on it."""
    if not future.cancelled():
        future.exception()
