"""How a command works on the store by itself, where no service of its data folder runs.

The store may be the SQLite file in the data folder or a PostgreSQL that services elsewhere work on
at the same time: commands ask for a connection here and need not know which.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from broker.store.engine import open_reader, open_snapshot, open_writer
from broker.store.leases import add_knowledge
from broker.store.listener import WORK
from broker.store.location import StoreLocation
from broker.store.postgresql import take_turn
from broker.store.shared_writer import tell

_NAME = "command"
"""No node's name: every node hears what a command has changed."""


def require_store(store: StoreLocation) -> None:
    """Raises ``StoreMissing`` where no service ever ran, ``StoreUnreachable`` where PostgreSQL
    is away."""
    open_reader(store).dispose()


@contextmanager
def reading(store: StoreLocation) -> Iterator[Connection]:
    """The store as it is now, whatever is written meanwhile. Raises as :func:`require_store`."""
    reader = open_reader(store)
    try:
        with open_snapshot(reader) as connection:
            yield connection
    finally:
        reader.dispose()


@contextmanager
def changing(store: StoreLocation) -> Iterator[Connection]:
    """One transaction, which makes the store if it is not there.

    In PostgreSQL it takes its turn among the nodes that write; they hear of it with its commit,
    look for work at once, and read results by what it has changed. Raises ``StoreBusy`` where a
    service of this data folder runs, and ``StoreUnreachable``.
    """
    engine = open_writer(store)
    try:
        with engine.begin() as connection:
            if store.is_shared:
                take_turn(connection)
            yield connection
            if store.is_shared:
                add_knowledge(connection)
                tell(connection, WORK, _NAME)
    finally:
        engine.dispose()
