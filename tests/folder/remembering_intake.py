"""An intake for tests of the folder door: it stores in memory, and fails when told to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from adapters.ports.intake import Accepted, Payload, Settle, StorageUnavailable
from mapping.errors import LabbrokerError


@dataclass
class RememberingIntake:
    """``failures`` are raised one for each receive, first in first out."""

    payloads: list[Payload] = field(default_factory=list)
    answers: list[tuple[int, bool]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    down: bool = False

    async def receive(self, payload: Payload) -> Accepted:
        await asyncio.sleep(0)
        if self.down:
            raise StorageUnavailable(reason="disk full")
        if self.failures:
            raise self.failures.pop(0)
        for number, stored in enumerate(self.payloads, start=1):
            if (stored.source_id, stored.control_id, stored.raw) == (
                payload.source_id,
                payload.control_id,
                payload.raw,
            ):
                return Accepted(number, duplicate=True)
        self.payloads.append(payload)
        return Accepted(len(self.payloads))

    def offer(self, payload: Payload, settle: Settle) -> None:
        async def settled() -> None:
            try:
                settle(await self.receive(payload))
            except LabbrokerError as error:
                settle(error)

        self._task = asyncio.get_running_loop().create_task(settled())

    def acknowledged(self, receipt_id: int, delivered: bool) -> None:
        self.answers.append((receipt_id, delivered))


@dataclass
class SteppingClock:
    """Monotonic seconds that pass only when told."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds
