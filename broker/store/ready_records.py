"""Records that may be sealed: which leave next, and what each institution has ready."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    func,
    literal_column,
    select,
    text,
    true,
)

from broker.lateness import HALF_REWARD
from broker.states import (
    RecordState,
)
from broker.store.dialect import is_shared
from broker.store.schema import (
    instant_of,
    package,
    record,
)

IS_READY = record.c.state == literal_column("'ready'")


def ready_record_ids(
    connection: Connection,
    institution_code: str,
    limit: int,
    sealed_at: datetime,
    parts_before: datetime | None = None,
) -> list[int]:
    """Ready records of one uploader: those that can still be in time, earliest due first; then
    those that are late and still earn half; then the rest. Of the parts of orders only those that
    are due before ``parts_before``, where it is given.

    A correction is passed over until its h16 (``sealed_at``, to the second) is later than the
    one that stands at NHI: only a newer one replaces it (SPEC114 table 7).
    """
    standing = record.alias()
    not_older = (
        select(standing.c.id)
        .join(package, package.c.id == standing.c.package_id)
        .where(
            standing.c.correction_key == record.c.correction_key,
            standing.c.state == RecordState.ACCEPTED.value,
            package.c.sealed_at >= sealed_at.replace(microsecond=0),
        )
    )
    leaves: ColumnElement[bool] = true()
    if parts_before is not None:
        leaves = (
            (record.c.awaited == "") | (record.c.due_at < parts_before) | record.c.due_at.is_(None)
        )
    ids: list[int] = []
    # One after the other, so that each is read in the order of its index and no further.
    for window in _by_worth(sealed_at):
        ids += connection.execute(
            select(record.c.id)
            .where(IS_READY, record.c.uploader_code == institution_code, window, leaves)
            .where(~(record.c.was_accepted & not_older.exists()))
            .order_by(record.c.due_at, record.c.id)
            .limit(limit - len(ids))
        ).scalars()
        if len(ids) >= limit:
            break
    return ids


class ReadyGroup(NamedTuple):
    """What is ready for one uploader. ``ready_at`` is since when its oldest whole order waits, None
    where only parts of orders are ready; ``due_at`` is the earliest of all. ``part_due_at`` is when
    the first part is due, where anybody asked."""

    uploader_code: str
    ready_at: datetime | None
    due_at: datetime | None
    part_due_at: datetime | None = None


def ready_overview(
    connection: Connection, parts_before: Callable[[str], datetime] | None = None
) -> list[ReadyGroup]:
    """One for each uploader with ready records: two steps in the indexes for each, however many
    records wait. Parts of orders are looked for where something is due before ``parts_before``."""
    # The driver's own rows: this is asked for at each step of the scheduler.
    cursor: Any = connection.execute(_READY_OVERVIEW[is_shared(connection)]).cursor
    groups = []
    for code, ready_at, due_at in cursor.fetchall():
        since = None if ready_at is None else instant_of(ready_at)
        due = instant_of(int(due_at)) if due_at else None
        part_due = None
        if parts_before is not None and due is not None and due < parts_before(code):
            part_due = connection.execute(_FIRST_PART, {"uploader": code}).scalar()
        groups.append(ReadyGroup(code, since, due, part_due))
    return groups


# One step in the index gives a code and its earliest due time, which a subquery can only give as
# one text. Without the hints SQLite would read all that is ready for each step.
_NEXT_IN_SQLITE = """
    SELECT coalesce(due_at, '') || '|' || uploader_code
    FROM record INDEXED BY record_ready_due
    WHERE state = 'ready' {} ORDER BY uploader_code, due_at LIMIT 1
    """
_CODE = "substr(found, instr(found, '|') + 1)"
_SQLITE_OVERVIEW = f"""
    WITH RECURSIVE uploader(found) AS (
        SELECT ({_NEXT_IN_SQLITE.format("")})
        UNION ALL
        SELECT ({_NEXT_IN_SQLITE.format(f"AND uploader_code > {_CODE}")})
        FROM uploader WHERE found IS NOT NULL
    )
    SELECT code, (
        SELECT min(ready_at) FROM record INDEXED BY record_ready_since
        WHERE state = 'ready' AND awaited = '' AND uploader_code = code AND ready_at IS NOT NULL
    ), due_at FROM (
        SELECT {_CODE} AS code, substr(found, 1, instr(found, '|') - 1) AS due_at
        FROM uploader WHERE found IS NOT NULL
    )
    """  # noqa: S608 - constants only
_SHARED_OVERVIEW = """
    WITH RECURSIVE uploader(code) AS (
        SELECT min(uploader_code) FROM record WHERE state = 'ready'
        UNION ALL
        SELECT (SELECT min(uploader_code) FROM record
            WHERE state = 'ready' AND uploader_code > uploader.code)
        FROM uploader WHERE uploader.code IS NOT NULL
    )
    SELECT code,
        (SELECT min(ready_at) FROM record
            WHERE state = 'ready' AND awaited = '' AND uploader_code = code),
        (SELECT min(due_at) FROM record WHERE state = 'ready' AND uploader_code = code)
    FROM uploader WHERE code IS NOT NULL
    """
_READY_OVERVIEW = {False: text(_SQLITE_OVERVIEW), True: text(_SHARED_OVERVIEW)}
_FIRST_PART = select(func.min(record.c.due_at)).where(
    IS_READY,
    record.c.awaited != literal_column("''"),
    record.c.uploader_code == bindparam("uploader"),
)


def _by_worth(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """:class:`broker.lateness.Reward` of what is confirmed now, the most first."""
    half = now - HALF_REWARD
    due_at = record.c.due_at
    return (due_at >= now, (due_at >= half) & (due_at < now), (due_at < half) | due_at.is_(None))
