"""What is not at NHI yet, counted in the index of it: by uploader, clinic, state and due time.

A nation has a million open records in a few thousand groups. The groups are found one step in the
index each; their records are counted only where somebody asks.
"""

# ruff: noqa: S608 - every part of the statements is a constant of this module
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, TextClause, text

from broker.lateness import FAR
from broker.states import RecordState
from broker.store.dialect import is_shared
from broker.store.due_work import OPEN_STATES, QUIET
from broker.store.schema import instant_of, microseconds_of

PART = "part"
"""Stands for the held reason of what is ready and waits for the rest of its order."""
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Records of one uploader and clinic that stand alike. ``due_at`` is the earliest,
    ``last_due_at`` the last of them; ``records`` is 0 where nobody has counted."""

    uploader_code: str
    clinic_code: str
    state: str
    held_reason: str
    records: int
    due_at: datetime
    last_due_at: datetime


def unconfirmed_groups(connection: Connection) -> list[Unconfirmed]:
    """All groups with their earliest due time, not counted; but for what nobody could hasten."""
    return [
        Unconfirmed(uploader, clinic, state, held_reason, 0, instant_of(due_at), FAR)
        for uploader, clinic, state, held_reason, due_at in _rows(connection, _FIRSTS)
        if held_reason not in QUIET
    ]


def count_unconfirmed(connection: Connection) -> list[Unconfirmed]:
    """All groups, counted in one walk through the index; parts of orders apart, as groups of the
    held reason :data:`PART`."""
    ready = RecordState.READY.value
    parts = {
        (uploader, clinic): Unconfirmed(
            uploader, clinic, ready, PART, count, instant_of(due_at), instant_of(last)
        )
        for uploader, clinic, count, due_at, last in _rows(connection, _PARTS)
    }
    groups = list(parts.values())
    for uploader, clinic, state, held_reason, count, due_at, last in _rows(connection, _COUNTS):
        counted = Unconfirmed(
            uploader, clinic, state, held_reason, count, instant_of(due_at), instant_of(last)
        )
        part = parts.get((uploader, clinic)) if state == ready else None
        groups += [counted] if part is None else _without(connection, counted, part, LONG_AGO, FAR)
    return groups


def split_at(
    connection: Connection, group: Unconfirmed, edges: Sequence[datetime]
) -> Iterator[Unconfirmed]:
    """The group's records that are due from one of ``edges`` to before the next, each counted;
    what is empty, or due outside of all, is left out. Of a group of :func:`unconfirmed_groups` the
    parts of orders are counted with the rest: late they are like the others."""
    for since, until in pairwise(edges):
        if since <= group.due_at and group.last_due_at < until and group.records:
            yield group
        elif since < until and group.due_at < until and since <= group.last_due_at:
            yield from _between(connection, group, since, until)


def _between(
    connection: Connection, group: Unconfirmed, since: datetime, until: datetime
) -> Iterator[Unconfirmed]:
    if group.held_reason == PART:
        yield from _counted(connection, group, since, until, _PART_RANGE)
        return
    for band in _counted(connection, group, since, until, _RANGE):
        if group.state != RecordState.READY or not group.records:
            yield band
            continue
        parts = list(_counted(connection, group, since, until, _PART_RANGE))
        yield from _without(connection, band, parts[0], since, until) if parts else [band]


def _counted(
    connection: Connection,
    group: Unconfirmed,
    since: datetime,
    until: datetime,
    statement: dict[bool, TextClause],
) -> Iterator[Unconfirmed]:
    for count, due_at, last in _rows(connection, statement, _window(group, since, until)):
        if count:
            yield replace(
                group, records=count, due_at=instant_of(due_at), last_due_at=instant_of(last)
            )


def _without(
    connection: Connection,
    counted: Unconfirmed,
    parts: Unconfirmed,
    since: datetime,
    until: datetime,
) -> list[Unconfirmed]:
    """``counted`` without its parts of orders; its last due time may be that of one of them."""
    left = counted.records - parts.records
    if not left:
        return []
    if counted.due_at < parts.due_at:
        return [replace(counted, records=left)]
    ((due_at,),) = _rows(connection, _FIRST_WHOLE, _window(counted, since, until))
    return [replace(counted, records=left, due_at=instant_of(due_at))]


def _window(group: Unconfirmed, since: datetime, until: datetime) -> dict[str, Any]:
    return {
        "uploader": group.uploader_code,
        "clinic": group.clinic_code,
        "state": group.state,
        "held_reason": group.held_reason,
        "since": microseconds_of(since),
        "until": microseconds_of(until),
    }


def _rows(
    connection: Connection,
    statement: dict[bool, TextClause],
    values: dict[str, Any] | None = None,
) -> list[Any]:
    """The driver's own rows."""
    asked = statement[is_shared(connection)]
    cursor: Any = connection.execute(asked, values or {}).cursor
    found: list[Any] = cursor.fetchall()
    return found


_KEY = "uploader_code, clinic_code, state, held_reason"
_OPEN_STATES = ", ".join(f"'{each}'" for each in OPEN_STATES)
# As in the partial index, so that SQLite sees that it holds all that is asked for.
_WHERE = f"confirmed_at IS NULL AND state IN ({_OPEN_STATES}) AND due_at IS NOT NULL"
_NOT_QUIET = "held_reason NOT IN ({})".format(", ".join(f"'{each}'" for each in QUIET))
_IS_PART = "state = 'ready' AND awaited != '' AND confirmed_at IS NULL AND due_at IS NOT NULL"
_GROUPS = "INDEXED BY record_unconfirmed_groups"
_SUM = "count(*), min(due_at), max(due_at)"


def _both(statement: str) -> dict[bool, TextClause]:
    """With SQLite's hints, and without; SQLite would take the index of states and sort."""
    hints = {False: _GROUPS, True: ""}
    part_hints = {False: "INDEXED BY record_part_due", True: ""}
    return {
        shared: text(statement.format(groups=hints[shared], parts=part_hints[shared]))
        for shared in (False, True)
    }


def _found(at: int) -> str:
    return f"json_extract(found, '$[{at}]')"


def _next_in_sqlite() -> str:
    """A subquery gives one value only, so that a step's five are one JSON list. A comparison of
    four values at once would read a whole uploader for each step."""

    def step(condition: str) -> str:
        return f"""(
            SELECT json_array({_KEY}, due_at) FROM record {_GROUPS}
            WHERE {_WHERE} {condition} ORDER BY {_KEY}, due_at LIMIT 1)"""

    names = _KEY.split(", ")
    later = []
    for depth in range(len(names) - 1, -1, -1):
        same = "".join(f" AND {name} = {_found(at)}" for at, name in enumerate(names[:depth]))
        later.append(step(f"{same} AND {names[depth]} > {_found(depth)}"))
    return f"""
    WITH RECURSIVE step(found) AS (
        SELECT {step("")}
        UNION ALL
        SELECT coalesce({", ".join(later)}) FROM step WHERE found IS NOT NULL
    )
    SELECT {", ".join(map(_found, range(5)))} FROM step WHERE found IS NOT NULL
    """


_NEXT_IN_POSTGRESQL = f"""
    WITH RECURSIVE step AS (
        (SELECT {_KEY}, due_at FROM record WHERE {_WHERE} ORDER BY {_KEY}, due_at LIMIT 1)
        UNION ALL
        SELECT later.* FROM step CROSS JOIN LATERAL (
            SELECT {_KEY}, due_at FROM record
            WHERE {_WHERE} AND (uploader_code, clinic_code, state, held_reason)
                > (step.uploader_code, step.clinic_code, step.state, step.held_reason)
            ORDER BY {_KEY}, due_at LIMIT 1
        ) AS later
    )
    SELECT {_KEY}, due_at FROM step
    """
_FIRSTS = {False: text(_next_in_sqlite()), True: text(_NEXT_IN_POSTGRESQL)}
_COUNTS = _both(
    f"SELECT {_KEY}, {_SUM} FROM record {{groups}} WHERE {_WHERE} AND {_NOT_QUIET} GROUP BY {_KEY}"
)
_PARTS = _both(
    f"SELECT uploader_code, clinic_code, {_SUM} FROM record {{parts}} WHERE {_IS_PART}"
    " GROUP BY uploader_code, clinic_code"
)
_BOUNDS = """uploader_code = :uploader AND clinic_code = :clinic
    AND due_at >= :since AND due_at < :until"""
_OF_GROUP = f"{_BOUNDS} AND state = :state AND held_reason = :held_reason"
_RANGE = _both(f"SELECT {_SUM} FROM record {{groups}} WHERE {_WHERE} AND {_OF_GROUP}")
_PART_RANGE = _both(f"SELECT {_SUM} FROM record {{parts}} WHERE {_IS_PART} AND {_BOUNDS}")
_FIRST_WHOLE = _both(
    f"""SELECT due_at FROM record {{groups}}
    WHERE {_WHERE} AND {_OF_GROUP} AND awaited = '' ORDER BY due_at LIMIT 1"""
)
