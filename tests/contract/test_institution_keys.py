"""On PostgreSQL every key of an institution's row holds the institution, as distribution asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, insert, inspect, select, update
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from broker.report_index import IndexedReport
from broker.store.engine import open_writer
from broker.store.institution_keys import INSTITUTION_COLUMN, LOCAL, REFERENCE
from broker.store.report_tables import lab_report
from broker.store.results import store_report_index
from broker.store.schema import attempt, metadata, package_record, record
from tests.contract.tenant_rows import add_rows
from tests.postgresql_server import PostgresqlServer
from tests.stores import store_at, stores_on

ONE, OTHER, LAB, UPLOADER = "3599900001", "3599900002", "JY99900001", "JY99900002"
# Between a clinic's rows and those of the one who uploads for it: the institution is in the key,
# but not the same on both sides. They are dropped before the tables are distributed.
CROSSING = {"record_package_id_fkey", "package_record_package_id_fkey"}


@pytest.fixture(scope="module")
def engine(
    postgresql: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with stores_on(postgresql):
        opened = open_writer(store_at(tmp_path_factory.mktemp("keyed")))
    with opened.begin() as connection:
        add_rows(connection, 1, ONE, ONE, LAB, "source-one")
        add_rows(connection, 2, OTHER, UPLOADER, LAB, "source-two")
        connection.exec_driver_sql("SELECT setval(pg_get_serial_sequence('lab_report', 'id'), 9)")
    yield opened
    opened.dispose()


def unfit_for_distribution(catalog: Inspector) -> list[str]:
    """What ``create_distributed_table`` would refuse, from PostgreSQL's own catalogue."""
    found = []
    for name, own in INSTITUTION_COLUMN.items():
        columns = {each["name"]: each for each in catalog.get_columns(name)}
        if columns[own]["nullable"] or (columns[own]["default"] and name != "record"):
            found.append(f"{name}.{own} may be left out")
        keys: list[Any] = [catalog.get_pk_constraint(name)["constrained_columns"]]
        keys += [each["column_names"] for each in catalog.get_unique_constraints(name)]
        keys += [each["column_names"] for each in catalog.get_indexes(name) if each["unique"]]
        found += [f"{name}: {key}" for key in keys if own not in key]
        found += [
            str(each["name"])
            for each in catalog.get_foreign_keys(name)
            if not _stays_within(name, each)
        ]
    for name in (*REFERENCE, *LOCAL):
        found += [
            f"{name} refers to {each['referred_table']}"
            for each in catalog.get_foreign_keys(name)
            if each["referred_table"] in INSTITUTION_COLUMN
        ]
    return found


def _stays_within(name: str, key: Any) -> bool:
    parent = key["referred_table"]
    if parent in REFERENCE:
        return True
    own = (INSTITUTION_COLUMN[name], INSTITUTION_COLUMN.get(parent, ""))
    return own in zip(key["constrained_columns"], key["referred_columns"], strict=True)


def test_every_table_belongs_to_institutions_or_says_why_not() -> None:
    named = (*INSTITUTION_COLUMN, *REFERENCE, *LOCAL)
    assert sorted(named) == sorted(metadata.tables)


def test_the_page_on_nodes_distributes_each_of_them() -> None:
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "nodes.md").read_text("utf-8")
    told = re.findall(r"\('(\w+)', '(institution_code|clinic_code)'", page)
    assert sorted(told) == sorted(INSTITUTION_COLUMN.items())
    assert re.findall(r"create_reference_table\('(\w+)'", page) == [*REFERENCE]
    assert set(re.findall(r"DROP CONSTRAINT (\w+)", page)) == CROSSING


def test_every_key_of_an_institutions_row_holds_the_institution(engine: Engine) -> None:
    assert set(unfit_for_distribution(inspect(engine))) == CROSSING


def test_the_institution_is_in_the_keys_that_cross_too(engine: Engine) -> None:
    crossing = {
        each["name"]: each["constrained_columns"]
        for name in INSTITUTION_COLUMN
        for each in inspect(engine).get_foreign_keys(name)
        if each["name"] in CROSSING
    }
    assert crossing == {
        "record_package_id_fkey": ["package_id", "uploader_code"],
        "package_record_package_id_fkey": ["package_id", "institution_code"],
    }


def test_a_table_without_the_institution_in_a_key_would_be_seen(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    url = postgresql.new_database()
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        metadata.create_all(connection)
    found = unfit_for_distribution(inspect(engine))
    for name, own in INSTITUTION_COLUMN.items():
        held = own in metadata.tables[name].primary_key.columns
        assert held or any(each.startswith(f"{name}: ") for each in found), name


def add_other(connection: Connection, table: Any, row_id: int, values: dict[str, Any]) -> None:
    row = connection.execute(select(table).where(table.c.id == row_id)).one()._asdict()
    connection.execute(insert(table).values({**row, "id": 100, **values}))


def test_a_row_names_the_institution_of_the_row_that_it_belongs_to(engine: Engine) -> None:
    wrong: tuple[tuple[Any, dict[str, Any]], ...] = (
        (attempt, {"institution_code": OTHER}),
        (record, {"slot": "2", "clinic_code": OTHER}),
        (record, {"slot": "2", "uploader_code": OTHER}),
    )
    for table, values in wrong:
        with pytest.raises(IntegrityError), engine.begin() as connection:
            add_other(connection, table, 1, values)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        # What is packed stays its clinic's: so a record is in one package that may be sent.
        connection.execute(update(record).where(record.c.id == 1).values(clinic_code=OTHER))
    with engine.begin() as connection:
        packed = connection.execute(select(package_record)).first()
    assert packed is not None
    values = {**packed._asdict(), "package_id": 2, "institution_code": UPLOADER}
    with pytest.raises(IntegrityError, match="23505"), engine.begin() as connection:
        connection.execute(insert(package_record).values(values))


def test_a_report_that_is_of_another_clinic_when_read_again_is_noted_once(engine: Engine) -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)

    def indexed(clinic: str) -> IndexedReport:
        return IndexedReport("source-one", 7, b"", LAB, clinic, "", "", None, now)

    for clinic in (ONE, ONE, OTHER):
        with engine.begin() as connection:
            store_report_index(connection, 1, [indexed(clinic)], now)
            noted = select(lab_report.c.clinic_code).where(
                lab_report.c.receipt_id == 1, lab_report.c.number == 7
            )
            assert connection.execute(noted).scalars().all() == [clinic]
