"""On which engine a test's stores are: SQLite in its folder, or a database of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.store.location import StoreLocation
from tests.postgresql_server import PostgresqlServer

_servers: list[tuple[PostgresqlServer, dict[Path, str]]] = []


@contextmanager
def stores_on(server: PostgresqlServer | None) -> Iterator[None]:
    """Within, :func:`store_at` names databases of ``server``, or SQLite files without one."""
    if server is None:
        yield
        return
    _servers.append((server, {}))
    try:
        yield
    finally:
        _servers.pop()


def store_at(folder: Path) -> StoreLocation:
    """The store that belongs to ``folder``, the same one each time."""
    if not _servers:
        return StoreLocation(folder)
    server, urls = _servers[-1]
    if folder not in urls:
        urls[folder] = server.new_store()
    folder.mkdir(parents=True, exist_ok=True)
    return StoreLocation(folder, urls[folder])
