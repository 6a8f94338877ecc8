"""Packages: frozen files, their serial numbers, each attempt written before it starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    select,
    update,
)

from broker.finding_json import findings_from_json, findings_to_json
from broker.lateness import HALF_REWARD, Reward
from broker.states import (
    PACKAGE_TRANSITIONS,
    HeldReason,
    PackageState,
    RecordState,
    require_transition,
    sources_of,
)
from broker.store.ready_records import IS_READY
from broker.store.record_moves import move_records
from broker.store.rows import AnyRow
from broker.store.schema import (
    attempt,
    file_serial,
    package,
    package_record,
    record,
)
from mapping.errors import LabbrokerError
from mapping.finding import Finding

LAST_SERIAL = 999
TASKS: Mapping[str, tuple[HeldReason, str]] = {
    "sent-order-cancelled": (HeldReason.UNMATCHED, "match-order-cancelled"),
    "sent-opted-out": (HeldReason.OPTED_OUT, "opted-out"),
}
"""What a person must do about a record whose order was taken back when it had left, and why it is
held should it come back: NHI never had it."""


class SerialsUsedUp(LabbrokerError):
    code = "serials-used-up"
    en = (
        "Institution {institution} has used all {last} file numbers of {upload_on}.",
        "Nothing more can be sent for it today; raise max_records_per_package so that fewer "
        "files are needed.",
    )
    zh = (
        "機構 {institution} 於 {upload_on} 的 {last} 個檔案流水號已用完。",
        "今日無法再上傳；請調高 max_records_per_package 以減少檔案數。",
    )


@dataclass(frozen=True, slots=True)
class NewPackage:
    stem: str
    institution_code: str
    upload_on: date
    serial: int
    sha256: str
    sealed_at: datetime
    record_ids: Sequence[int]
    """In the order of the file. Their h16 is ``sealed_at``."""


def next_serial(connection: Connection, institution_code: str, upload_on: date) -> int:
    """The file number that the next package gets. Raises :class:`SerialsUsedUp`."""
    last: int | None = connection.execute(
        select(file_serial.c.last_serial).where(
            file_serial.c.institution_code == institution_code,
            file_serial.c.upload_on == upload_on,
        )
    ).scalar()
    serial = (last or 0) + 1
    if serial > LAST_SERIAL:
        raise SerialsUsedUp(institution=institution_code, last=LAST_SERIAL, upload_on=upload_on)
    return serial


def insert_package(connection: Connection, new: NewPackage) -> int | None:
    """Take the serial, the records and the package in one transaction.

    None, with nothing changed, when the serial or one of the records was taken meanwhile.
    """
    if next_serial(connection, new.institution_code, new.upload_on) != new.serial:
        return None
    ids = new.record_ids
    if _count_ready(connection, ids) != len(ids):
        return None
    if new.serial == 1:
        connection.execute(
            insert(file_serial).values(
                institution_code=new.institution_code, upload_on=new.upload_on, last_serial=1
            )
        )
    else:
        connection.execute(
            update(file_serial)
            .where(
                file_serial.c.institution_code == new.institution_code,
                file_serial.c.upload_on == new.upload_on,
            )
            .values(last_serial=new.serial)
        )
    result = connection.execute(
        insert(package).values(
            stem=new.stem,
            institution_code=new.institution_code,
            upload_on=new.upload_on,
            state=PackageState.SEALED.value,
            record_count=len(ids),
            sha256=new.sha256,
            sealed_at=new.sealed_at,
            next_at=new.sealed_at,
        )
    )
    package_id = int(result.inserted_primary_key[0])  # type: ignore[index]
    move_records(connection, ids, RecordState.SEALED, package_id=package_id)
    connection.execute(
        _INSERT_PACKED,
        [
            {
                "package_id": package_id,
                "packed_id": record_id,
                "position": place,
                "institution_code": new.institution_code,
            }
            for place, record_id in enumerate(ids, start=1)
        ],
    )
    return package_id


_INSERT_PACKED = insert(package_record).values(
    package_id=bindparam("package_id"),
    record_id=bindparam("packed_id"),
    position=bindparam("position"),
    active=True,
    institution_code=bindparam("institution_code"),
    clinic_code=select(record.c.clinic_code)
    .where(record.c.id == bindparam("packed_id"))
    .scalar_subquery(),
)


def _count_ready(connection: Connection, ids: Sequence[int]) -> int:
    total = 0
    for start in range(0, len(ids), 500):
        total += connection.execute(
            select(func.count()).where(record.c.id.in_(ids[start : start + 500]), IS_READY)
        ).scalar_one()
    return total


def move_package(
    connection: Connection, package_id: int, after: PackageState, **values: Any
) -> None:
    """Move a package along the table; raises ``ForbiddenTransition`` where it may not."""
    allowed = [state.value for state in sources_of(PACKAGE_TRANSITIONS, after)]
    count = connection.execute(
        update(package)
        .where(package.c.id == package_id, package.c.state.in_(allowed))
        .values(state=after.value, **values)
    ).rowcount
    if count != 1:
        before = connection.execute(
            select(package.c.state).where(package.c.id == package_id)
        ).scalar_one()
        require_transition(PACKAGE_TRANSITIONS, PackageState(before), after)


def move_package_records(
    connection: Connection, of_package: int, after: RecordState, **values: Any
) -> None:
    """Move all records that a package still stands for."""
    move_records(connection, active_records(connection, of_package), after, **values)


def active_records(connection: Connection, package_id: int) -> list[int]:
    """The records that the package stands for, in its order."""
    return list(
        connection.execute(
            select(package_record.c.record_id)
            .where(package_record.c.package_id == package_id, package_record.c.active)
            .order_by(package_record.c.position)
        ).scalars()
    )


def release_records(connection: Connection, package_id: int) -> None:
    """The package stands for its records no more: they may be sealed anew. It stays as history."""
    connection.execute(
        update(package_record).where(package_record.c.package_id == package_id).values(active=False)
    )


def retire_package(connection: Connection, package_id: int) -> None:
    """Its date has passed: its records are sealed anew, but for those whose order is gone
    meanwhile; it stays as history."""
    ids = active_records(connection, package_id)
    move_records(connection, ids, RecordState.READY, package_id=None)
    _hold_gone(connection, ids)
    release_records(connection, package_id)
    move_package(connection, package_id, PackageState.STALE, next_at=None)


def _hold_gone(connection: Connection, ids: Sequence[int]) -> None:
    for start in range(0, len(ids), 500):
        rows = connection.execute(
            select(
                record.c.id, record.c.task, record.c.place, record.c.order_code, record.c.findings
            ).where(record.c.id.in_(ids[start : start + 500]), record.c.task.in_(list(TASKS)))
        ).all()
        for row in rows:
            reason, code = TASKS[row.task]
            finding = Finding(code, place=row.place, parameters=(("order_code", row.order_code),))
            move_records(
                connection,
                [row.id],
                RecordState.HELD,
                held_reason=reason.value,
                task="",
                findings=findings_to_json((*findings_from_json(row.findings), finding)),
            )


def look_again_at(connection: Connection, package_id: int, at: datetime, **values: Any) -> None:
    """The package wants something done at ``at``; its state stays."""
    connection.execute(
        update(package).where(package.c.id == package_id).values(next_at=at, **values)
    )


def get_package(connection: Connection, package_id: int) -> AnyRow:
    """One package."""
    return connection.execute(select(package).where(package.c.id == package_id)).one()


def due_packages(connection: Connection, now: datetime) -> Sequence[AnyRow]:
    """Packages that want something done now: send, ask, fetch. Those first that hold the most
    pressing record, in the order of :func:`ready_record_ids`."""
    inside = record.c.package_id == package.c.id
    worth = select(func.min(_worth(now))).where(inside).scalar_subquery()
    in_time = select(func.min(record.c.due_at)).where(inside, record.c.due_at >= now)
    earliest = select(func.min(record.c.due_at)).where(inside)
    return connection.execute(
        select(package)
        .where(IS_OPEN, package.c.next_at <= now)
        .order_by(
            worth,
            func.coalesce(in_time.scalar_subquery(), earliest.scalar_subquery()),
            package.c.id,
        )
    ).all()


def _worth(now: datetime) -> ColumnElement[int]:
    """:class:`broker.lateness.Reward` of what is confirmed now."""
    return case(
        (record.c.due_at >= now, Reward.FULL.value),
        (record.c.due_at >= now - HALF_REWARD, Reward.HALF.value),
        else_=Reward.RATE_ONLY.value,
    )


def next_package_at(
    connection: Connection,
    busy: Collection[str] = frozenset(),
    serves: Collection[str] | None = None,
) -> datetime | None:
    """When the next package wants something done; those of ``busy`` institutions wait their
    turn, and others than those that this node ``serves`` are another's."""
    query = select(func.min(package.c.next_at)).where(IS_OPEN)
    if busy:
        query = query.where(package.c.institution_code.not_in(list(busy)))
    if serves is not None:
        query = query.where(package.c.institution_code.in_(list(serves)))
    found: datetime | None = connection.execute(query).scalar()
    return found


# As in the partial index of what is open, so that what was checked long ago is not read.
IS_OPEN = package.c.state.in_(
    [
        literal_column(f"'{state}'")
        for state in ("sealed", "claimed", "inflight", "submitted", "unknown")
    ]
)


def open_attempt(connection: Connection, package_id: int, kind: str, started_at: datetime) -> int:
    """Write the intent: it is durable before anything is sent. Returns the attempt's id."""
    result = connection.execute(
        _INSERT_ATTEMPT, {"package_id": package_id, "kind": kind, "started_at": started_at}
    )
    return int(result.inserted_primary_key[0])  # type: ignore[index]


_INSERT_ATTEMPT = insert(attempt).values(
    package_id=bindparam("package_id"),
    institution_code=select(package.c.institution_code)
    .where(package.c.id == bindparam("package_id"))
    .scalar_subquery(),
    kind=bindparam("kind"),
    started_at=bindparam("started_at"),
)


def close_attempt(
    connection: Connection,
    attempt_id: int,
    ended_at: datetime,
    outcome: str,
    error_code: str = "",
    raw_answer: bytes = b"",
) -> None:
    """Write what came of it, with the raw answer as evidence."""
    connection.execute(
        update(attempt)
        .where(attempt.c.id == attempt_id)
        .values(ended_at=ended_at, outcome=outcome, error_code=error_code, raw_answer=raw_answer)
    )


def recover_packages(connection: Connection, now: datetime) -> tuple[int, int]:
    """After a crash: claimed is safe to take over, inflight is not.

    Returns how many went back to sealed and how many became unknown.
    """
    moved = []
    for state in (PackageState.CLAIMED, PackageState.INFLIGHT):
        ids = connection.execute(select(package.c.id).where(package.c.state == state.value))
        found = list(ids.scalars())
        for package_id in found:
            take_over(connection, package_id, state, now)
        moved.append(len(found))
    look_at_all(connection, now)
    return moved[0], moved[1]


def take_over(connection: Connection, package_id: int, state: PackageState, now: datetime) -> None:
    """A package that nobody works on any more: of a claimed one nothing was sent, of one in
    flight everything may have been."""
    if state is PackageState.CLAIMED:
        move_package(connection, package_id, PackageState.SEALED, claimed_by="", next_at=now)
    elif state is PackageState.INFLIGHT:
        move_package(
            connection,
            package_id,
            PackageState.UNKNOWN,
            next_at=now,
            absences=0,
            error_code="interrupted",
        )
        move_package_records(connection, package_id, RecordState.UNKNOWN)


def look_at_all(connection: Connection, now: datetime) -> None:
    """No package waits for a moment that an earlier reading of a wrong clock has set."""
    connection.execute(update(package).where(IS_OPEN, package.c.next_at > now).values(next_at=now))
