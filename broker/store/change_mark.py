"""Whether anything was committed: asked often, answered without reading a row."""

from __future__ import annotations

from sqlalchemy import Connection, Engine

from broker.store.dialect import is_shared

# https://www.sqlite.org/pragma.html#pragma_data_version: to be compared on one connection only.
_OF_SQLITE = "PRAGMA data_version"
# Every transaction that writes takes a number; this is the next one.
_OF_POSTGRESQL = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"


class ChangeMark:
    """Blocks, and is for one thread at a time; :meth:`close` gives its connection back."""

    def __init__(self, reader: Engine) -> None:
        self._reader = reader
        self._kept: Connection | None = None
        self._last: object = None

    def has_moved(self) -> bool:
        """Whether anything was committed since this was last asked; True the first time."""
        last, self._last = self._last, self._now()
        return last != self._last

    def close(self) -> None:
        """Ask no more, or begin anew."""
        if self._kept is not None:
            self._kept.close()
        self._kept = self._last = None

    def _now(self) -> object:
        if is_shared(self._reader):
            # One that stays open would keep the database from tidying up.
            with self._reader.connect() as connection:
                return connection.exec_driver_sql(_OF_POSTGRESQL).scalar()
        if self._kept is None:
            self._kept = self._reader.connect()
        return self._kept.exec_driver_sql(_OF_SQLITE).scalar()
