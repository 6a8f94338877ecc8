"""apsw behind the DB-API that SQLAlchemy's SQLite dialect expects, with a virtual file system.

``connect`` is bound to a VFS by :func:`driver_for`. ``instead`` replaces pragma texts, so that a
test can weaken what the product itself has no setting for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import apsw


class Error(Exception):
    pass


class Cursor:
    arraysize = 1
    lastrowid: int | None = None

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[tuple[Any, ...]] = []
        self.description: Sequence[Any] | None = None
        self.rowcount = -1

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Cursor:
        statement = self._connection.instead.get(statement, statement)
        apsw_connection = self._connection.apsw
        before = apsw_connection.total_changes()
        columns: list[str] = []

        def describe(before_it_runs: apsw.Cursor, *_: object) -> bool:
            # Afterwards nothing is told of a question that had no answer.
            columns.extend(name for name, _ in before_it_runs.get_description())
            return True

        cursor = apsw_connection.cursor()
        cursor.exec_trace = describe
        self._rows = list(cursor.execute(statement, tuple(parameters)))
        self.description = [(name, *[None] * 6) for name in columns] or None
        if statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
            self.rowcount = apsw_connection.total_changes() - before
            self.lastrowid = apsw_connection.last_insert_rowid()
        return self

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> Cursor:
        before = self._connection.apsw.total_changes()
        self._connection.apsw.executemany(statement, [tuple(row) for row in rows])
        self.rowcount = self._connection.apsw.total_changes() - before
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken

    def fetchall(self) -> list[tuple[Any, ...]]:
        taken, self._rows = self._rows, []
        return taken

    def close(self) -> None:
        self._rows = []


class Connection:
    isolation_level: str | None = None

    def __init__(self, path: str, vfs: str, instead: Mapping[str, str]) -> None:
        self.apsw = apsw.Connection(path, vfs=vfs)
        self.instead = instead

    def cursor(self) -> Cursor:
        return Cursor(self)

    def commit(self) -> None:
        if self.apsw.in_transaction:
            self.apsw.execute("COMMIT")

    def rollback(self) -> None:
        if self.apsw.in_transaction:
            self.apsw.execute("ROLLBACK")

    def close(self) -> None:
        self.apsw.close()

    def create_function(self, *_: object, **__: object) -> None:
        """SQLAlchemy registers a regexp function that the store does not use."""


def driver_for(vfs: str, instead: Mapping[str, str]) -> ModuleType:
    """A DB-API module whose connections go through ``vfs``."""
    module = ModuleType("power_cut_driver")
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    module.__dict__.update(
        paramstyle="qmark",
        threadsafety=1,
        apilevel="2.0",
        sqlite_version=apsw.sqlite_lib_version(),
        sqlite_version_info=version,
        Binary=bytes,
        connect=lambda path, **_: Connection(path, vfs, instead),
        Connection=Connection,
        Cursor=Cursor,
        Error=Error,
        Warning=Warning,
        **{
            name: type(name, (Error,), {})
            for name in (
                "DatabaseError",
                "OperationalError",
                "IntegrityError",
                "InterfaceError",
                "InternalError",
                "NotSupportedError",
                "ProgrammingError",
                "DataError",
            )
        },
    )
    return module
