"""What is to be delivered to one destination, durable and in order, as a sending door sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for a destination. ``raw`` is sent as it is, each time under the same control
    id, so that the receiver recognises what it has already."""

    outgoing_id: int
    raw: bytes
    name: str = ""
    """What a file of it is called; the same each time."""


class Outbox(Protocol):
    """The queue of one destination, first in, first out. A message stays the first until it was
    delivered or refused. Raises :class:`mapping.errors.LabbrokerError` when the store is not
    there; nothing is lost by it, and a message may be delivered twice."""

    async def first(self) -> Outgoing | None:
        """The oldest message that is to be delivered, or None."""
        ...

    async def delivered(self, outgoing_id: int, answer: str) -> None:
        """The receiver has it. ``answer`` is its own word (MSA-1)."""
        ...

    async def refused(self, outgoing_id: int, answer: str, text: str) -> None:
        """The receiver will not have this message as it is: for a person. Not sent again."""
        ...

    async def failed(self, outgoing_id: int, reason: str) -> None:
        """Not delivered this time, or nobody can say. It is sent again."""
        ...
