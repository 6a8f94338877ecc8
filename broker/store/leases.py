"""Who does what now, among several brokers on one store, by the database's own clock.

A lease ends by itself. Whoever takes it next gets a higher token, and a holder that comes back
late (it was paused, or cut off) is refused in the very transaction in which it wants to write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import BigInteger, ColumnElement, Connection, case, select, type_coerce, update

from broker.store.dialect import database_now, insert_new
from broker.store.node_tables import generation, lease
from mapping.errors import LabbrokerError

_MICROSECOND = timedelta(microseconds=1)
_KNOWLEDGE = "knowledge"


@dataclass(frozen=True, slots=True)
class Lease:
    """``name`` says what is done: ``send:3501234567``, ``read:lab-a``, ``watch``."""

    name: str
    holder: str
    token: int


class LeaseLost(LabbrokerError):
    code = "lease-lost"
    en = (
        "Another node has taken over {name}: nothing was written.",
        "Nothing is to be done. If it happens often, look at the load and the clocks of the nodes.",
    )
    zh = (
        "{name} 已由其他節點接手，未寫入任何資料。",
        "無須處理；若經常發生，請檢查各節點的負載。",
    )


def take_lease(
    connection: Connection, names: Sequence[str], holder: str, span: timedelta
) -> Lease | None:
    """The first of ``names`` that nobody holds; None where all are held. Two nodes that ask at
    the same moment wait for neither of each other's rows: the second is given the next one."""
    if not names:
        return None
    new = sorted(set(names) - _known(connection, names))
    if new:
        rows = [{"name": name, "holder": "", "token": 0} for name in new]
        connection.execute(insert_new(connection, lease).on_conflict_do_nothing(), rows)
    rank = case({name: place for place, name in enumerate(names)}, value=lease.c.name)
    free = connection.execute(
        select(lease.c.name, lease.c.token)
        .where(lease.c.name.in_(list(names)), _is_over())
        .order_by(rank)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if free is None:
        return None
    taken = Lease(free.name, holder, free.token + 1)
    connection.execute(
        update(lease)
        .where(lease.c.name == free.name)
        .values(holder=holder, token=taken.token, until_at=_after(span))
    )
    return taken


def renew_lease(connection: Connection, held: Lease, span: timedelta) -> bool:
    """False where it is over: somebody else may have it by now."""
    changed = connection.execute(
        update(lease).where(_is(held), ~_is_over()).values(until_at=_after(span))
    )
    return changed.rowcount == 1


def give_back_lease(connection: Connection, held: Lease) -> None:
    """Others may take it at once."""
    connection.execute(update(lease).where(_is(held)).values(until_at=None))


def require_lease(connection: Connection, held: Lease) -> None:
    """What this transaction writes is written under ``held``, or not at all: nobody takes it over
    before the commit. Raises :class:`LeaseLost`."""
    found = connection.execute(
        select(lease.c.name).where(_is(held), ~_is_over()).with_for_update(read=True)
    ).first()
    if found is None:
        raise LeaseLost(name=held.name)


def knowledge(connection: Connection) -> int:
    """Grows with each change of what results are read by: visits, code maps, habits, hand work."""
    found: int | None = connection.execute(
        select(generation.c.value).where(generation.c.name == _KNOWLEDGE)
    ).scalar()
    return found or 0


def add_knowledge(connection: Connection) -> int:
    """Results that were read before must be read again before they are stored. The new number."""
    added = insert_new(connection, generation).values(name=_KNOWLEDGE, value=1)
    connection.execute(
        added.on_conflict_do_update(index_elements=["name"], set_={"value": generation.c.value + 1})
    )
    return knowledge(connection)


def _known(connection: Connection, names: Sequence[str]) -> set[str]:
    found = select(lease.c.name).where(lease.c.name.in_(list(names)))
    return set(connection.execute(found).scalars())


def _is(held: Lease) -> ColumnElement[bool]:
    return (
        (lease.c.name == held.name)
        & (lease.c.holder == held.holder)
        & (lease.c.token == held.token)
    )


def _is_over() -> ColumnElement[bool]:
    return lease.c.until_at.is_(None) | (
        type_coerce(lease.c.until_at, BigInteger) <= type_coerce(database_now(), BigInteger)
    )


def _after(span: timedelta) -> ColumnElement[int]:
    return type_coerce(database_now(), BigInteger) + span // _MICROSECOND
