"""Where NHI's EII library is: in a process of this machine, or on the PC with the reader."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from adapters.ports.channel import SealedPackage


class CallLost(Exception):
    """The call began and no answer came: whether it did its work is unknown. ``reason`` is a word
    of ours."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class SendAnswer:
    """What ``NHI_SendB`` answered (EII-S pp. 3-8); ``answered_at`` is aware UTC."""

    code: int
    local_id: str
    nhi_id: str
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class Recalled:
    """What is remembered of sends of a file: the answer to the last one, or that the library was
    surely ``never`` called; neither where nothing is known."""

    answer: SendAnswer | None = None
    never: bool = False


class EiiSeat(Protocol):
    """Raises nothing but what is named here."""

    async def send(self, package: SealedPackage) -> SendAnswer:
        """Call ``NHI_SendB`` once. Raises ``NotDelivered`` where it was surely not called,
        :class:`CallLost` where it may have been."""
        ...

    async def recall(self, package: SealedPackage) -> Recalled:
        """Raises ``NotDelivered`` where nobody can be asked."""
        ...

    async def report(self, package: SealedPackage) -> bytes | None:
        """Ask for the check report, or fetch what was asked for; None while there is none. Raises
        ``NotDelivered``."""
        ...

    async def close(self) -> None:
        """End what is held open."""
        ...
