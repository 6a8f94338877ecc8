"""Reading for somebody: on PostgreSQL the database itself shows only what is in reach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine, Table, func, select, text
from sqlalchemy.exc import DBAPIError

from broker.store.dialect import is_shared
from broker.store.engine import open_snapshot
from broker.store.row_security import PEOPLE_ROLE, SETTING

# No row where the role is missing or not this login's: then the application's filter is alone.
_READ_AS_PEOPLE = text(
    "SELECT set_config(:setting, :reach, true), set_config('role', rolname, true)"
    " FROM pg_roles WHERE rolname = :role AND pg_has_role(oid, 'MEMBER')"
).bindparams(setting=SETTING, role=PEOPLE_ROLE)
_READ_AS_OWNER = text("SELECT set_config('role', 'none', true)")
_READ_AGAIN = text("SELECT set_config('role', :role, true)").bindparams(role=PEOPLE_ROLE)
_IN_REACH = "labbroker_in_reach"


@contextmanager
def open_reading(reader: Engine, institutions: frozenset[str] | None) -> Iterator[Connection]:
    """The store as it is now, for somebody who sees ``institutions`` and the sources of these ids
    (None: everything). Queries still take them as an argument: this stands under that filter."""
    with open_snapshot(reader) as connection:
        if institutions is not None and is_shared(connection):
            reach = json.dumps(sorted(institutions))
            if connection.execute(_READ_AS_PEOPLE, {"reach": reach}).first() is not None:
                connection.execution_options(**{_IN_REACH: True})
        yield connection


def highest_id(connection: Connection, table: Table) -> int:
    """Of all rows, whoever's they are; 0 where there is none."""
    with beyond_reach(connection):
        found: int | None = connection.execute(select(func.max(table.c.id))).scalar()
    return found or 0


@contextmanager
def beyond_reach(connection: Connection) -> Iterator[None]:
    """Within, every row is there: for what is asked on behalf of somebody and shows nobody's row,
    such as the highest id, or how a laboratory usually writes a range."""
    if not connection.get_execution_options().get(_IN_REACH):
        yield
        return
    connection.execute(_READ_AS_OWNER)
    try:
        yield
    except BaseException:
        # After a fault of the database the transaction is over, and the role with it.
        with suppress(DBAPIError):
            connection.execute(_READ_AGAIN)
        raise
    connection.execute(_READ_AGAIN)
