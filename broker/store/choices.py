"""Which visit a person chose for a result, and what a person must do about one that has left."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    insert,
    literal_column,
    or_,
    select,
    text,
    update,
)

from broker.store.reach import record_in_reach
from broker.store.rows import AnyRow
from broker.store.schema import choice, record, visit
from broker.store.visit_json import visit_from_text
from mapping.visit import Visit


def find_choice(
    connection: Connection, receipt_id: int, slot: str, order_identity: str, day: str
) -> tuple[int, Visit] | None:
    """The visit that was chosen for this result, or for an earlier word on it: one with the same
    identity that was taken on the same day. A result without either follows no other's choice."""
    values = {"receipt": receipt_id, "slot": slot, "identity": order_identity, "day": day}
    row = connection.execute(_CHOSEN, values).one_or_none()
    return None if row is None else (row.id, visit_from_text(row.body))


def chosen_among(
    connection: Connection, receipt_id: int, results: Sequence[tuple[str, str, str]]
) -> set[tuple[str, str, str]]:
    """Those of a receipt's results (slot, order identity, day) for which :func:`find_choice` may
    find a visit. One question for all of them: hardly any result was ever chosen for."""
    slots: set[str] = set()
    said: set[tuple[str, str]] = set()
    identities = sorted({identity for _, identity, _ in results} - {""})
    for start in range(0, max(1, len(identities)), _AT_ONCE):
        part = {"receipt": receipt_id, "identities": identities[start : start + _AT_ONCE]}
        for row in connection.execute(_CHOSEN_AMONG, part):
            said.add((row.order_identity, row.collected_on))
            if row.of_receipt_id == receipt_id:
                slots.add(row.slot)
    return {each for each in results if each[0] in slots or each[1:] in said}


def store_choice(connection: Connection, receipt_id: int, row: AnyRow, visit_id: int) -> None:
    """Write that a person chose ``visit_id`` for the held record ``row``; ``receipt_id`` holds who
    did. An earlier choice for the same result is replaced."""
    known = candidates_of(row)
    # Blank people share one identity.
    identity = row.order_identity if row.national_id else ""
    connection.execute(
        delete(choice).where(choice.c.of_receipt_id == row.receipt_id, choice.c.slot == row.slot)
    )
    whose = select(visit.c.institution_code).where(visit.c.id == visit_id)
    connection.execute(
        insert(choice).values(
            receipt_id=receipt_id,
            of_receipt_id=row.receipt_id,
            slot=row.slot,
            order_identity=identity,
            collected_on=known.get("day", "") if identity else "",
            visit_id=visit_id,
            institution_code=whose.scalar_subquery(),
        )
    )


def candidates_of(row: AnyRow) -> dict[str, object]:
    """What :func:`broker.visit_desk.candidates_text` wrote; empty where nothing was."""
    found: dict[str, object] = json.loads(row.candidates) if row.candidates else {}
    return found


def get_record(connection: Connection, record_id: int) -> AnyRow | None:
    """One record; None where there is none."""
    return connection.execute(select(record).where(record.c.id == record_id)).one_or_none()


def get_records(connection: Connection, ids: Collection[int]) -> dict[int, AnyRow]:
    """A few records by their ids; those that are not there are left out."""
    return {row.id: row for row in connection.execute(select(record).where(record.c.id.in_(ids)))}


# Made once: this is asked for every result.
_CHOSEN = (
    select(visit.c.id, visit.c.body)
    .join(choice, choice.c.visit_id == visit.c.id)
    .where(
        or_(
            and_(
                choice.c.of_receipt_id == bindparam("receipt"), choice.c.slot == bindparam("slot")
            ),
            and_(
                choice.c.order_identity == bindparam("identity"),
                choice.c.collected_on == bindparam("day"),
                choice.c.order_identity != "",
                choice.c.collected_on != "",
            ),
        )
    )
    .order_by(choice.c.id.desc())
    .limit(literal_column("1"))
)


_AT_ONCE = 500
_CHOSEN_AMONG = select(
    choice.c.of_receipt_id, choice.c.slot, choice.c.order_identity, choice.c.collected_on
).where(
    or_(
        choice.c.of_receipt_id == bindparam("receipt"),
        choice.c.order_identity.in_(bindparam("identities", expanding=True)),
    )
)


def clear_task(connection: Connection, record_id: int) -> None:
    """A person has done what was to be done about a record that had left."""
    connection.execute(update(record).where(record.c.id == record_id).values(task=""))


def open_tasks(
    connection: Connection, institutions: frozenset[str] | None = None, most: int | None = None
) -> list[AnyRow]:
    """The first ``most`` records of ``institutions`` (None: everywhere) that had left when their
    order was taken back or opted out: ``id task place order_code clinic_code state package_id``."""
    return list(
        connection.execute(
            select(
                record.c.id,
                record.c.task,
                record.c.place,
                record.c.order_code,
                record.c.clinic_code,
                record.c.state,
                record.c.package_id,
            )
            # As the index says it, else it is not used.
            .where(text("task != ''"), record_in_reach(institutions))
            .order_by(record.c.id)
            .limit(most)
        )
    )
