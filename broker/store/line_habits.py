"""What laboratories were seen to send for each of their codes, and what a person confirmed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, true, update

from broker.finding_json import findings_from_json
from broker.states import RecordState
from broker.store.code_tables import line_habit
from broker.store.dialect import insert_new
from broker.store.receipts import replay_receipt
from broker.store.schema import receipt, record
from mapping.errors import LabbrokerError
from mapping.line_habits import Habit, HabitKind
from mapping.units import unit_key


@dataclass(frozen=True, slots=True)
class ChangedHabit:
    """A unit that holds results, or a range that was flagged. ``before`` is what was known."""

    habit: Habit
    before: tuple[str, ...]
    seen_at: datetime
    receipt_id: int


def load_habits(connection: Connection) -> list[Habit]:
    """All habits, oldest first."""
    rows = connection.execute(select(line_habit).order_by(line_habit.c.id))
    return [
        Habit(
            row.source_id,
            row.local_code,
            row.specimen,
            HabitKind(row.kind),
            row.group_name,
            row.value,
            bool(row.known),
        )
        for row in rows
    ]


def store_habits(
    connection: Connection, receipt_id: int, habits: Sequence[Habit], now: datetime
) -> None:
    """Keep what was learned from a receipt; what is there already stays as it is."""
    for habit in habits:
        connection.execute(
            insert_new(connection, line_habit)
            .values(
                source_id=habit.source_id,
                local_code=habit.code,
                specimen=habit.specimen,
                kind=habit.kind.value,
                group_name=habit.group,
                value=habit.value,
                known=habit.known,
                receipt_id=receipt_id,
                seen_at=now,
            )
            .on_conflict_do_nothing()
        )


def changed_habits(
    connection: Connection, sources: Collection[str] | None = None
) -> list[ChangedHabit]:
    """What of ``sources`` (None: all) waits for a person, oldest first."""
    changed = []
    for row in connection.execute(
        select(line_habit)
        .where(
            line_habit.c.known.is_(False),
            true() if sources is None else line_habit.c.source_id.in_(sources),
        )
        .order_by(line_habit.c.id)
    ).all():
        before = connection.execute(
            select(line_habit.c.value)
            .where(
                line_habit.c.source_id == row.source_id,
                line_habit.c.local_code == row.local_code,
                line_habit.c.specimen == row.specimen,
                line_habit.c.kind == row.kind,
                line_habit.c.group_name == row.group_name,
                line_habit.c.known.is_(True),
            )
            .order_by(line_habit.c.id)
        ).scalars()
        habit = Habit(
            row.source_id,
            row.local_code,
            row.specimen,
            HabitKind(row.kind),
            row.group_name,
            row.value,
            known=False,
        )
        changed.append(ChangedHabit(habit, tuple(before), row.seen_at, row.receipt_id))
    return changed


def changed_counts(connection: Connection) -> dict[str, int]:
    """How many units and ranges wait for a person."""
    rows = connection.execute(
        select(line_habit.c.kind, func.count())
        .where(line_habit.c.known.is_(False))
        .group_by(line_habit.c.kind)
    )
    return {f"{kind}-changed": count for kind, count in rows}


@dataclass(frozen=True, slots=True)
class Confirmation:
    """``by`` says that what waits for a code is right: its ranges, or ``unit`` where one is given.
    A confirmed unit stands in place of the ones before it, with ``keep`` beside them."""

    source_id: str
    code: str
    unit: str
    keep: bool
    by: str

    def store(self, connection: Connection, now: datetime) -> int:
        """Keep it. How many units or ranges were confirmed; raises :class:`NothingChanged`."""
        count = self._units(connection, now) if self.unit else self._ranges(connection, now)
        if not count:
            raise NothingChanged(source=self.source_id, code=self.code)
        return count

    def _ranges(self, connection: Connection, now: datetime) -> int:
        return connection.execute(
            update(line_habit)
            .where(
                line_habit.c.source_id == self.source_id,
                line_habit.c.local_code == self.code,
                line_habit.c.kind == HabitKind.RANGE.value,
                line_habit.c.known.is_(False),
            )
            .values(known=True, decided_by=self.by, decided_at=now)
        ).rowcount

    def _units(self, connection: Connection, now: datetime) -> int:
        rows = connection.execute(
            select(line_habit).where(
                line_habit.c.source_id == self.source_id,
                line_habit.c.local_code == self.code,
                line_habit.c.kind == HabitKind.UNIT.value,
            )
        ).all()
        right = [
            row for row in rows if not row.known and unit_key(row.value) == unit_key(self.unit)
        ]
        connection.execute(
            update(line_habit)
            .where(line_habit.c.id.in_([row.id for row in right]))
            .values(known=True, decided_by=self.by, decided_at=now)
        )
        if not self.keep:
            # Should the earlier unit come back, that is a change again.
            specimens = {row.specimen for row in right}
            left = [row.id for row in rows if row.known and row.specimen in specimens]
            connection.execute(delete(line_habit).where(line_habit.c.id.in_(left)))
        return len(right)

    def requeue(self, connection: Connection) -> int:
        """Read the receipts again of which a result waits for the unit. How many."""
        return requeue_changed(connection, self.source_id, self.code) if self.unit else 0


class NothingChanged(LabbrokerError):
    code = "nothing-changed"
    en = (
        "Nothing of the code {code} of {source} waits to be confirmed.",
        "List what waits with `labbroker codes drift`.",
    )
    zh = ("來源 {source} 的代碼 {code} 沒有待確認的變更。", "請以 `labbroker codes drift` 查詢。")


def requeue_changed(connection: Connection, source_id: str, code: str) -> int:
    """Read the receipts again of which a result is held for the unit of the code. How many."""
    rows = connection.execute(
        select(record.c.receipt_id, record.c.findings)
        .join(receipt, receipt.c.id == record.c.receipt_id)
        .where(
            record.c.state == RecordState.HELD.value,
            receipt.c.source_id == source_id,
            record.c.findings.contains("unit-changed"),
        )
    ).all()
    receipts = {
        row.receipt_id
        for row in rows
        for finding in findings_from_json(row.findings)
        if finding.code == "unit-changed" and ("code", code) in finding.parameters
    }
    return sum(replay_receipt(connection, receipt_id) for receipt_id in sorted(receipts))
