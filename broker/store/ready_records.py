"""Records that may be sealed: which leave next, and what each institution has ready."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    literal_column,
    select,
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
    records wait. Parts of orders are looked for where something is due before ``parts_before``,
    all of them at once."""
    found = _steps(connection, _OVERVIEW)
    presses: set[str] = set()
    if parts_before is not None:
        presses = {code for code, _, due in found if due is not None and due < parts_before(code)}
    parts: dict[str, datetime | None] = {}
    if presses:
        parts = {code: due for code, _, due in _steps(connection, _PARTS) if code in presses}
    return [ReadyGroup(code, since, due, parts.get(code)) for code, since, due in found]


def _steps(
    connection: Connection, statements: dict[bool, str]
) -> list[tuple[str, datetime | None, datetime | None]]:
    """Code, ``ready_at`` and ``due_at`` of each group. The driver's own rows: this is asked for at
    each step of the scheduler."""
    shared = is_shared(connection)
    rows = connection.exec_driver_sql(statements[shared]).cursor.fetchall()
    if not shared:
        texts = ((*text.partition("|"), ready_at) for text, ready_at in json.loads(rows[0][0]))
        rows = [(code, since, int(due) if due else None) for due, _, code, since in texts]
    return [
        (
            code,
            since if since is None else instant_of(since),
            due if due is None else instant_of(due),
        )
        for code, since, due in rows
    ]


# One step in the index gives a code and its earliest due time, which a subquery can only give as
# one text. Without the hints SQLite would read all that is ready for each step. One row brings all
# groups: for each row that is fetched the other threads would have their turn.
_NEXT_IN_SQLITE = """
    SELECT coalesce(due_at, '') || '|' || uploader_code
    FROM record INDEXED BY {index} WHERE {which} {after} ORDER BY uploader_code, due_at LIMIT 1
    """
_CODE = "substr(found, instr(found, '|') + 1)"
_STEPS_IN_SQLITE = f"""
    WITH RECURSIVE uploader(found) AS (
        SELECT ({_NEXT_IN_SQLITE.replace("{after}", "")})
        UNION ALL
        SELECT ({_NEXT_IN_SQLITE.replace("{after}", f"AND uploader_code > {_CODE}")})
        FROM uploader WHERE found IS NOT NULL
    )
    SELECT json_group_array(json_array(found, {{ready_at}}))
    FROM uploader WHERE found IS NOT NULL
    """  # noqa: S608 - constants only
_SHARED_STEPS = """
    WITH RECURSIVE uploader(code) AS (
        SELECT min(uploader_code) FROM record WHERE {which}
        UNION ALL
        SELECT (SELECT min(uploader_code) FROM record
            WHERE {which} AND uploader_code > uploader.code)
        FROM uploader WHERE uploader.code IS NOT NULL
    )
    SELECT code, {ready_at},
        (SELECT min(due_at) FROM record WHERE {which} AND uploader_code = code)
    FROM uploader WHERE code IS NOT NULL
    """
_READY = "state = 'ready'"
_PART = "state = 'ready' AND awaited != ''"
_WHOLE_SINCE = "SELECT min(ready_at) FROM record {} WHERE state = 'ready' AND awaited = ''"
_OVERVIEW = {
    False: _STEPS_IN_SQLITE.format(
        index="record_ready_due",
        which=_READY,
        ready_at=f"({_WHOLE_SINCE.format('INDEXED BY record_ready_since')}"
        f" AND uploader_code = {_CODE} AND ready_at IS NOT NULL)",
    ),
    True: _SHARED_STEPS.format(
        which=_READY, ready_at=f"({_WHOLE_SINCE.format('')} AND uploader_code = code)"
    ),
}
_PARTS = {
    False: _STEPS_IN_SQLITE.format(index="record_part_due", which=_PART, ready_at="NULL"),
    True: _SHARED_STEPS.format(which=_PART, ready_at="NULL"),
}


def _by_worth(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """:class:`broker.lateness.Reward` of what is confirmed now, the most first."""
    half = now - HALF_REWARD
    due_at = record.c.due_at
    return (due_at >= now, (due_at >= half) & (due_at < now), (due_at < half) | due_at.is_(None))
