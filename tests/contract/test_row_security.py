"""PostgreSQL shows a person the rows in reach alone, also where a query forgets to ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, func, inspect, select, true
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from adapters.ports.intake import Media
from adapters.ports.results import ResultQuery, Viewer
from broker.cli.store_checks import check_store
from broker.results import ReadResults
from broker.store import results as store_results
from broker.store.engine import open_reader, open_writer
from broker.store.location import StoreLocation, StoreUnreachable
from broker.store.postgresql import take_turn
from broker.store.reading import beyond_reach, highest_id, open_reading
from broker.store.row_security import CLOSED, GUARDED, OPEN, PEOPLE_ROLE
from broker.store.schema import metadata, record
from mapping.errors import UnreadablePayload
from mapping.parsed import ParsedPayload
from mapping.profile import SourceProfile
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


def test_the_fhir_door_reads_through_it(reader: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(raw: bytes, profile: SourceProfile) -> ParsedPayload:
        raise UnreadablePayload(reason="x", place="x")

    results = ReadResults(reader, {Media.HL7V2: unreadable}, {})
    monkeypatch.setattr(store_results, "_may_see", lambda _: true())
    for viewer, expected in (
        (Viewer("", frozenset({ONE})), [1]),
        (Viewer("", frozenset({""})), []),
        (Viewer("source-two"), [2]),
    ):
        assert [each.cursor for each in results.search(viewer, ResultQuery())] == expected
        assert len(results.of_receipt(viewer, 2)) == expected.count(2)
        assert results.word_of(viewer, 1, 1) == (None, ())


def test_a_login_of_its_own_is_told_what_it_lacks_and_then_guarded(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    name = postgresql.new_database().partition("@/")[2].partition("?")[0]
    login = f"broker_of_{name}"
    postgresql.execute(f"CREATE ROLE {login} LOGIN")
    postgresql.execute(f"ALTER DATABASE {name} OWNER TO {login}")
    store = StoreLocation(tmp_path, postgresql.url(name).replace("postgres@", f"{login}@"))

    def rows_for(*institutions: str) -> int:
        reader = open_reader(store)
        with open_reading(reader, frozenset(institutions)) as connection:
            count = seen(connection)["record"]
        reader.dispose()
        return count

    writer = open_writer(store)
    with writer.begin() as connection:
        add_rows(connection, 1, ONE, ONE, LAB, "source-one")
    writer.dispose()
    assert [each.check for each in check_store(store)] == ["store", "row security"]
    # The application's own filter is not asked here.
    assert rows_for(OTHER) == 1
    postgresql.execute(f"GRANT {PEOPLE_ROLE} TO {login}")
    open_writer(store).dispose()
    assert [each.check for each in check_store(store)] == ["store"]
    assert (rows_for(OTHER), rows_for(ONE)) == (0, 1)


def test_a_login_from_which_the_rows_are_hidden_does_not_begin_to_work(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    url = postgresql.new_database()
    store = StoreLocation(tmp_path, url)
    open_writer(store).dispose()
    name = url.partition("@/")[2].partition("?")[0]
    login = f"stranger_in_{name}"
    postgresql.execute(f"CREATE ROLE {login} LOGIN")
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {login}")
    strange = StoreLocation(tmp_path, url.replace("postgres@", f"{login}@"))
    with pytest.raises(StoreUnreachable, match="another role"):
        open_writer(strange)


def test_stores_in_schemas_of_one_database_share_nothing(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    url = postgresql.new_database()
    engine = create_engine(url, poolclass=NullPool)
    stores, writers = [], []
    for schema in ("north", "south"):
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
        stores.append(StoreLocation(tmp_path / schema, f"{url}&options=-csearch_path%3D{schema}"))
        writers.append(open_writer(stores[-1]))
    with writers[0].begin() as one, writers[1].begin() as other:
        # Whoever works in the other one need not wait.
        other.exec_driver_sql("SET LOCAL lock_timeout = 1000")
        for connection in (one, other):
            take_turn(connection)
            add_rows(connection, 1, ONE, ONE, LAB, "source-one")
    for store, writer in zip(stores, writers, strict=True):
        reader = open_reader(store)
        for institution, count in ((ONE, 1), (OTHER, 0)):
            with open_reading(reader, frozenset({institution})) as connection:
                assert seen(connection) == {**dict.fromkeys(GUARDED, count), "waiting_code": 0}
        reader.dispose()
        writer.dispose()
    catalog = inspect(engine)
    assert not catalog.get_table_names()
    north, south = (
        {each["name"] for each in catalog.get_indexes("record", schema)}
        for schema in ("north", "south")
    )
    assert north == south
