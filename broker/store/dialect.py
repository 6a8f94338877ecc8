"""Where SQLite and PostgreSQL say the same thing differently."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Connection,
    DefaultClause,
    Engine,
    Integer,
    MetaData,
    Table,
    false,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from broker.store.schema import Id, Instant


class database_now(FunctionElement[Any]):  # noqa: N801 - reads as an SQL function
    """What the database's own clock shows, whichever node asks."""

    type = Instant()
    inherit_cache = True


@compiles(database_now)
def _sqlite_now(element: database_now, compiler: Any, **_: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


@compiles(database_now, "postgresql")
def _postgresql_now(element: database_now, compiler: Any, **_: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"


class HintingCompiler(SQLiteCompiler):
    """Writes ``Select.with_hint(table, "INDEXED BY …", "sqlite")``, which SQLAlchemy leaves out: a
    database that was never told to count its rows takes the wrong one of two indexes."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        return text


def is_shared(store: Connection | Engine) -> bool:
    """Whether several brokers may work on the store: PostgreSQL, and no file of SQLite."""
    return store.dialect.name == "postgresql"


def insert_new(connection: Connection, table: Table) -> Any:
    """An INSERT that knows ``on_conflict_do_nothing`` and ``on_conflict_do_update``, and whose
    ``rowcount`` says how many rows it made."""
    build: Any = postgresql.insert if is_shared(connection) else sqlite.insert
    # Of an INSERT SQLAlchemy keeps it only where it is asked to; on PostgreSQL it would be -1.
    return build(table).execution_options(preserve_rowcount=True)


def placed(dialect: Dialect, statement: str) -> str:
    """``statement``, written with ``?`` and without any ``%``, as the driver wants it."""
    return statement if dialect.paramstyle == "qmark" else statement.replace("?", "%s")


def suit_postgresql(metadata: MetaData) -> None:
    """What the tables say for SQLite they say for PostgreSQL too: partial indexes, keys of 64
    bits, truth values with a default."""
    for table in metadata.tables.values():
        for index in table.indexes:
            where = index.dialect_options["sqlite"]["where"]
            options = index.dialect_options["postgresql"]
            if where is not None and options["where"] is None:
                options["where"] = where
        for column in table.columns:
            is_key = column is table.autoincrement_column or column.foreign_keys
            if is_key and type(column.type) is Integer:
                column.type = Id
            default = getattr(column.server_default, "arg", None)
            if isinstance(column.type, Boolean) and str(default) in _TRUTH:
                column.server_default = DefaultClause(_TRUTH[str(default)])


_TRUTH = {"0": false(), "1": true()}
