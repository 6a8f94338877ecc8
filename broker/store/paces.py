"""How long sends and people took lately, each counted only as far back as it matters."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property

from sqlalchemy import BigInteger, Connection, select, type_coerce

from broker.lateness import Pace
from broker.states import RecordState
from broker.store.due_work import first_id_since
from broker.store.schema import attempt, package, receipt, record

_LATELY = timedelta(days=7)
_MOST_LOOKED_AT = 200
_FEWEST = 5
_SLOW_SHARE = 0.95
# A pace slower than this tells of a closure, not of a pace.
_SLOWEST = timedelta(days=1)
_AT_ONCE = 60_000_000
_NONE = 1 << 62


class Known:
    """What was found, for as long as it may be believed."""

    __slots__ = ("sends", "waits")

    def __init__(self) -> None:
        self.sends: dict[str, timedelta] = {}
        """By uploader."""
        self.waits: dict[str, timedelta] = {}
        """By clinic."""


class Paces:
    """The paces of one moment, each asked for once. Keep it no longer than ``connection``, but for
    what it has found (``known``)."""

    def __init__(self, connection: Connection, now: datetime, known: Known | None = None) -> None:
        self._connection = connection
        self._since = now - _LATELY
        self._known = known or Known()

    def of(self, uploader_code: str, clinic_code: str, *, held: bool = False) -> Pace:
        """What the slow ones took in the last seven days; nothing where too little is known. How
        long people take is looked up only for what is ``held``."""
        known = self._known
        if uploader_code not in known.sends:
            known.sends[uploader_code] = self._of_sends(uploader_code)
        if held and clinic_code not in known.waits:
            known.waits[clinic_code] = self._of_waits(clinic_code)
        to_ready = known.waits[clinic_code] if held else timedelta()
        return Pace(to_ready, known.sends[uploader_code])

    def _of_sends(self, uploader_code: str) -> timedelta:
        rows = self._connection.execute(
            select(attempt.c.started_at, attempt.c.ended_at)
            .join(package, package.c.id == attempt.c.package_id)
            .where(
                package.c.institution_code == uploader_code,
                package.c.id >= self._first_package,
                attempt.c.kind == "send",
                attempt.c.outcome == "confirmed",
                attempt.c.started_at > self._since,
            )
            .order_by(package.c.id.desc())
            .limit(_MOST_LOOKED_AT)
        )
        return _slow([row.ended_at - row.started_at for row in rows])

    def _of_waits(self, clinic_code: str) -> timedelta:
        rows = self._connection.execute(
            select(receipt.c.received_at, record.c.ready_at)
            .join(receipt, receipt.c.id == record.c.receipt_id)
            .where(
                record.c.clinic_code == clinic_code,
                record.c.id >= self._first_record,
                # No plain comparison, or SQLite reads all that was ever accepted.
                record.c.state.concat("") == RecordState.ACCEPTED.value,
                receipt.c.received_at > self._since,
                type_coerce(record.c.ready_at, BigInteger)
                > type_coerce(receipt.c.received_at, BigInteger) + _AT_ONCE,
            )
            .order_by(record.c.id.desc())
            .limit(_MOST_LOOKED_AT)
        )
        return _slow([row.ready_at - row.received_at for row in rows])

    @cached_property
    def _first_package(self) -> int:
        # A package is sent some days after it was sealed at the most.
        since = self._since - timedelta(days=3)
        return first_id_since(self._connection, package, package.c.sealed_at, since)

    @cached_property
    def _first_record(self) -> int:
        """Records are made when their receipt is read, in the order of both."""
        first = first_id_since(self._connection, receipt, receipt.c.received_at, self._since)
        found: int | None = self._connection.execute(
            select(record.c.id)
            .where(record.c.receipt_id >= first)
            .order_by(record.c.receipt_id)
            .limit(1)
        ).scalar()
        return _NONE if found is None else found


def _slow(durations: list[timedelta]) -> timedelta:
    if len(durations) < _FEWEST:
        return timedelta()
    return min(_SLOWEST, sorted(durations)[int((len(durations) - 1) * _SLOW_SHARE)])
