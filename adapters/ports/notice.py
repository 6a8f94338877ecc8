"""What people far from the console are told of an alarm: counts and institutions, no patient."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Notice:
    """An alarm was opened or is over. Instants are aware UTC; ``records`` is how many it is
    about."""

    alarm_id: int
    opened: bool
    kind: str
    institution_code: str
    reason: str
    records: int
    due_at: datetime | None
    en: str = ""
    """What people call the kind."""
    zh: str = ""

    @property
    def key(self) -> str:
        """The same for each try."""
        return f"alarm-{self.alarm_id}-{'opened' if self.opened else 'over'}"


class NoticeSender(Protocol):
    """One way to tell. Raises OSError, TimeoutError or LabbrokerError where it could not."""

    async def send(self, notice: Notice) -> None: ...
