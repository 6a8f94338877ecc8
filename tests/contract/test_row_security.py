"""PostgreSQL shows a person the rows in reach alone, also where a query forgets to ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import DBAPIError

from broker.store.engine import open_reader, open_writer
from broker.store.reading import beyond_reach, highest_id, open_reading
from broker.store.row_security import CLOSED, GUARDED, OPEN, PEOPLE_ROLE, is_guarded
from broker.store.schema import metadata, record
from tests.contract.tenant_rows import add_rows
from tests.postgresql_server import PostgresqlServer
from tests.stores import store_at, stores_on

ONE, OTHER, LAB, UPLOADER = "3599900001", "3599900002", "JY99900001", "JY99900002"
NUMBERS = {ONE: 1, OTHER: 2}


@pytest.fixture(scope="module")
def reader(
    postgresql: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A store with the rows of two clinics: the second one's laboratory uploads for it."""
    folder = tmp_path_factory.mktemp("guarded")
    with stores_on(postgresql):
        store = store_at(folder)
    writer = open_writer(store)
    with writer.begin() as connection:
        add_rows(connection, 1, ONE, ONE, LAB, "source-one")
        add_rows(connection, 2, OTHER, UPLOADER, LAB, "source-two")
    opened = open_reader(store)
    yield opened
    opened.dispose()
    writer.dispose()


def seen(connection: Connection) -> dict[str, int]:
    """How many rows of each table there are, asked without any filter."""
    return {
        name: connection.execute(
            select(func.count()).select_from(metadata.tables[name])
        ).scalar_one()
        for name in GUARDED
    }


def test_every_table_is_guarded_or_says_why_not() -> None:
    assert sorted((*GUARDED, *OPEN, *CLOSED)) == sorted(metadata.tables)


def test_a_query_without_a_filter_finds_what_is_in_reach_and_nothing_else(reader: Engine) -> None:
    with open_reading(reader, None) as connection:
        assert seen(connection) == dict.fromkeys(GUARDED, 2)
    with open_reading(reader, frozenset({ONE})) as connection:
        # Its codes that wait for a meaning are their laboratory's.
        assert seen(connection) == {**dict.fromkeys(GUARDED, 1), "waiting_code": 0}
        assert connection.execute(select(record.c.clinic_code)).scalars().all() == [ONE]
    with open_reading(reader, frozenset({UPLOADER})) as connection:
        assert connection.execute(select(record.c.clinic_code)).scalars().all() == [OTHER]


def test_nobody_sees_nothing(reader: Engine) -> None:
    for nobody in (frozenset[str](), frozenset({""}), frozenset({"3599900003", "x"})):
        with open_reading(reader, nobody) as connection:
            assert seen(connection) == dict.fromkeys(GUARDED, 0)
    with reader.connect() as connection:
        # Without the setting, as somebody would who took the role by hand.
        connection.exec_driver_sql(f"SET LOCAL ROLE {PEOPLE_ROLE}")
        assert seen(connection) == dict.fromkeys(GUARDED, 0)


def test_a_laboratory_sees_what_it_said_by_its_code_or_by_its_source(reader: Engine) -> None:
    with open_reading(reader, frozenset({LAB})) as connection:
        assert seen(connection)["record"] == seen(connection)["receipt"] == 2
    with open_reading(reader, frozenset({"source-two"})) as connection:
        assert connection.execute(select(record.c.clinic_code)).scalars().all() == [OTHER]
        assert seen(connection)["receipt"] == seen(connection)["waiting_code"] == 1
        assert seen(connection)["rate_order"] == 0


def test_the_reach_ends_with_the_reading(reader: Engine) -> None:
    with open_reading(reader, frozenset({ONE})) as connection:
        assert seen(connection)["record"] == 1
    for _ in range(8):
        with reader.connect() as connection:
            assert seen(connection)["record"] == 2


def test_what_shows_nobodys_row_is_asked_beyond_the_reach(reader: Engine) -> None:
    with open_reading(reader, frozenset({ONE})) as connection:
        assert highest_id(connection, record) == 2
        with beyond_reach(connection):
            assert seen(connection)["record"] == 2
        with pytest.raises(ZeroDivisionError), beyond_reach(connection):
            raise ZeroDivisionError
        assert seen(connection)["record"] == 1
        with pytest.raises(DBAPIError), beyond_reach(connection):
            connection.exec_driver_sql("SELECT 1 / 0")
    with reader.connect() as connection:
        assert seen(connection)["record"] == 2


@pytest.mark.parametrize("table", sorted(CLOSED))
def test_people_do_not_read_what_is_no_institutions(reader: Engine, table: str) -> None:
    with (
        open_reading(reader, frozenset({ONE})) as connection,
        pytest.raises(DBAPIError, match="42501"),
    ):
        connection.execute(select(metadata.tables[table]))


def test_people_write_nothing(reader: Engine) -> None:
    with reader.connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ WRITE")
        connection.exec_driver_sql(f"SET LOCAL ROLE {PEOPLE_ROLE}")
        with pytest.raises(DBAPIError, match="42501"):
            connection.execute(record.delete())


def test_a_login_that_may_not_take_the_role_is_told_so(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    with stores_on(postgresql):
        store = store_at(tmp_path)
    open_writer(store).dispose()
    reader = open_reader(store)
    with reader.connect() as connection:
        assert is_guarded(connection)
        connection.execute(text("SET LOCAL ROLE pg_monitor"))
        assert not is_guarded(connection)
    reader.dispose()
