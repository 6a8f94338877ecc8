"""The results that came in, as a door may show them to whoever asks. The broker implements it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mapping.report import LabReport


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks. With ``clinics`` (institution codes) he sees the results that these ordered,
    whoever sent them; without, what came from ``source_id`` and nothing else."""

    source_id: str
    clinics: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Word:
    """One report of one receipt, read again from its bytes."""

    receipt_id: int
    number: int
    """Which report of the receipt, from 1."""
    stored_at: datetime
    report: LabReport
    lab_code: str = ""
    """Institution codes as the broker uses them, the source's settings included."""
    clinic_code: str = ""


@dataclass(frozen=True, slots=True)
class StoredReport:
    """All that was said of one result: ``words`` in the order they were said; none where its
    bytes cannot be read any more."""

    cursor: int
    """Grows with every word: who goes on after it misses nothing that comes later."""
    words: tuple[Word, ...]

    @property
    def updated_at(self) -> datetime:
        """When the newest word was stored."""
        return max(word.stored_at for word in self.words)


@dataclass(frozen=True, slots=True)
class ResultQuery:
    """What is looked for; None and ``""`` mean any. Instants are aware UTC, ``from`` belongs to
    the span and ``until`` does not. The span of taking is a wide one: whoever asks sifts again.
    """

    national_id: str = ""
    chart_number: str = ""
    taken_from: datetime | None = None
    taken_until: datetime | None = None
    stored_from: datetime | None = None
    stored_until: datetime | None = None
    after: int = 0
    """The cursor of the last report that is known already."""
    count: int = 50


class ResultStore(Protocol):
    """Calls block: run them off the event loop. Nothing of another tenant is ever told, not
    even that it is there."""

    def search(self, viewer: Viewer, query: ResultQuery) -> tuple[StoredReport, ...]:
        """At most ``query.count`` reports by their cursor. Fewer means that there are no more."""
        ...

    def of_receipt(self, viewer: Viewer, receipt_id: int) -> tuple[StoredReport, ...]:
        """What is known today of the reports that a receipt spoke of."""
        ...
