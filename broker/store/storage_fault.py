"""Which errors say that the disk or the database is at fault, and not what was to be written."""

from __future__ import annotations

import sqlite3
from enum import Enum

from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapters.ports.intake import StorageUnavailable


class StorageFault(Enum):
    """``FATAL``: a later sync that succeeds proves nothing about what was lost. ``FULL`` and
    ``AWAY``, PostgreSQL cannot be reached now, pass."""

    FULL = "the disk is full"
    AWAY = "the database cannot be reached"
    FATAL = "an I/O error"


def storage_fault(error: Exception) -> StorageFault | None:
    """None where it is the work that failed."""
    if isinstance(error, (PoolTimeout, DisconnectionError)):
        return StorageFault.AWAY
    code = _result_code(error)
    if code is not None:
        if code == sqlite3.SQLITE_FULL:
            return StorageFault.FULL
        return StorageFault.FATAL if code in _SQLITE_CODES else None
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return StorageFault.AWAY
    cause = error.orig if isinstance(error, DBAPIError) else error
    if cause is not None and type(cause).__module__.startswith("psycopg"):
        return _of_postgresql(cause)
    if isinstance(error, (OSError, StorageUnavailable)):
        return StorageFault.FATAL
    return None


def _of_postgresql(error: BaseException) -> StorageFault | None:
    state = getattr(error, "sqlstate", "") or ""
    if state == "53100":
        return StorageFault.FULL
    # A connection that broke, or could not even be made, has no state.
    broken = not state and type(error).__name__ in _BROKEN
    return StorageFault.AWAY if broken or state.startswith(_AWAY) else None


_BROKEN = ("OperationalError", "ConnectionTimeout", "InterfaceError")


def _result_code(error: Exception) -> int | None:
    """SQLite's primary result code, where the driver tells it."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None) or getattr(cause, "result", None)
    return code & 0xFF if isinstance(code, int) else None


_SQLITE_CODES = frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
    }
)
# Connection, insufficient resources, operator intervention, read-only after a failover, and what
# two transactions did to each other: nothing was written, and the next try may succeed.
_AWAY = ("08", "53", "57", "25006", "25P03", "40")
