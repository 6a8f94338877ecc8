"""Numbered steps from one schema to the next, so that old and new programs run side by side.

A change takes two steps in two releases: one *expands* (a new column with a default, a new table)
and hurts no older program; a later one *contracts* (drops what nothing reads any more) and waits
until every node that is alive knows a schema that can do without. Each step and its number are one
transaction: a program that dies in the middle has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import (
    BigInteger,
    Connection,
    func,
    insert,
    inspect,
    select,
    text,
    type_coerce,
    update,
)

from broker.store.dialect import database_now, insert_new, is_shared
from broker.store.fault_index import create_fault_index
from broker.store.institution_keys import keyed_by_institution
from broker.store.node_tables import migration, node
from broker.store.row_security import install_row_security
from broker.store.schema import meta, metadata
from mapping.errors import LabbrokerError

NODE_SILENT = timedelta(seconds=60)
"""A node that has not been seen for so long is not alive."""


@dataclass(frozen=True, slots=True)
class Migration:
    """``run`` changes the schema. ``needs`` is the oldest schema whose programs can still work
    after it: its own number for a step that contracts, 1 for one that only expands."""

    number: int
    name: str
    run: Callable[[Connection], None]
    needs: int = 1


class SchemaUnknown(LabbrokerError):
    code = "schema-unknown"
    en = (
        "The store has schema {found}, this program knows {known}.",
        "Use the program version that wrote it, or a newer one.",
    )
    zh = ("資料庫版本為 {found}，本程式僅支援 {known}。", "請使用相同或更新版本的程式。")


def _create_tables(connection: Connection) -> None:
    tables = keyed_by_institution(metadata) if is_shared(connection) else metadata
    tables.create_all(connection)
    listed = _POSTGRESQL_INDEXES if is_shared(connection) else _SQLITE_INDEXES
    known = set(connection.execute(text(listed)).scalars())
    for table in tables.tables.values():
        for index in table.indexes:
            if index.name not in known:
                index.create(connection)
    create_fault_index(connection)
    if is_shared(connection):
        install_row_security(connection)


_POSTGRESQL_INDEXES = "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
_SQLITE_INDEXES = "SELECT name FROM sqlite_master WHERE type = 'index'"


MIGRATIONS: Sequence[Migration] = (Migration(1, "tables", _create_tables),)
"""All steps, in order. A released step is never changed."""


def upgrade(connection: Connection, steps: Sequence[Migration] = MIGRATIONS) -> int:
    """Bring the schema as far as may be; the number of the last step that was done.

    A step that contracts is left for a later start while a node is alive that needs what it
    drops. Raises :class:`SchemaUnknown` where the store can do without this program's schema no
    more. The caller holds the lock that keeps a second upgrade out.
    """
    known = steps[-1].number
    # Tables that are new in no released schema are simply made.
    _create_tables(connection)
    oldest = _meta(connection, "oldest_schema")
    if oldest is not None and int(oldest) > known:
        raise SchemaUnknown(found=oldest, known=known)
    version = _meta(connection, "schema_version")
    if version is None:
        # The tables have just been made as the newest step leaves them.
        for step in steps:
            _note(connection, step)
        _set(connection, "schema_version", known)
        needs = max(step.needs for step in steps)
        if needs > 1:
            _set(connection, "oldest_schema", needs)
        return known
    done = int(version)
    least = _least_known(connection)
    for step in steps:
        if step.number <= done:
            continue
        if step.needs > 1 and least is not None and least < step.needs:
            break
        step.run(connection)
        _note(connection, step)
        done = step.number
        _set(connection, "schema_version", done)
        if step.needs > 1:
            _set(connection, "oldest_schema", step.needs)
    return done


def is_behind(connection: Connection, steps: Sequence[Migration] = MIGRATIONS) -> bool:
    """Whether a store that was in use before has steps to take."""
    if not inspect(connection).has_table(meta.name):
        return False
    version = _meta(connection, "schema_version")
    return version is not None and int(version) < steps[-1].number


def greet(connection: Connection, holder: str, known: int = MIGRATIONS[-1].number) -> None:
    """Note that a node is alive and which schema its program knows."""
    seen = insert_new(connection, node).values(
        holder=holder, known_schema=known, seen_at=database_now()
    )
    connection.execute(
        seen.on_conflict_do_update(
            index_elements=["holder"], set_={"known_schema": known, "seen_at": database_now()}
        )
    )


def take_leave(connection: Connection, holder: str) -> None:
    """The node stops."""
    connection.execute(node.delete().where(node.c.holder == holder))


def _least_known(connection: Connection) -> int | None:
    microseconds = NODE_SILENT // timedelta(microseconds=1)
    alive = type_coerce(node.c.seen_at, BigInteger) > (
        type_coerce(database_now(), BigInteger) - microseconds
    )
    found: int | None = connection.execute(
        select(func.min(node.c.known_schema)).where(alive)
    ).scalar()
    return found


def _note(connection: Connection, step: Migration) -> None:
    connection.execute(
        insert(migration).values(number=step.number, name=step.name, done_at=database_now())
    )


def _meta(connection: Connection, name: str) -> str | None:
    found: str | None = connection.execute(select(meta.c.value).where(meta.c.name == name)).scalar()
    return found


def _set(connection: Connection, name: str, value: int) -> None:
    changed = connection.execute(update(meta).where(meta.c.name == name).values(value=str(value)))
    if not changed.rowcount:
        connection.execute(insert(meta).values(name=name, value=str(value)))
