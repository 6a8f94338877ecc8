"""The list of records: whichever way is taken to the newest, it is the newest that fit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import Connection, Engine, select

from bench.full_store import RARE, clinic_code, fill, lab_code, source_id
from broker.store import record_list
from broker.store.due_work import most_urgent
from broker.store.engine import open_reader, open_writer
from broker.store.reach import record_in_reach
from broker.store.record_list import RecordQuery, list_records, next_after
from broker.store.report_tables import lab_report
from broker.store.schema import package, record

RECORDS = 4000
NOW = datetime.now(UTC)
WARN = timedelta(hours=6)
OTHER = "9900000001"
"""One who uploads for others, and is neither a clinic nor a laboratory here."""
LAST = "lab-last"
"""A source of a single report."""
REACHES: dict[str, frozenset[str] | None] = {
    "everywhere": None,
    "clinic": frozenset({clinic_code(7)}),
    "lab": frozenset({lab_code(7), source_id(7)}),
    "source": frozenset({source_id(7)}),
    "seldom": frozenset({LAST}),
    "uploader": frozenset({OTHER}),
    "coach": frozenset(clinic_code(number) for number in range(0, 500, 25)),
    "nobody": frozenset({"3599999998"}),
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("records")
    fill(folder, RECORDS)
    engine = open_writer(folder)
    with engine.begin() as connection:
        connection.execute(
            record.update().where(record.c.id.in_([11, 1200, 3999])).values(uploader_code=OTHER)
        )
        connection.execute(
            lab_report.update().where(lab_report.c.receipt_id == 40).values(source_id=LAST)
        )
    engine.dispose()
    engine = open_reader(folder)
    yield engine
    engine.dispose()


def newest(
    connection: Connection, institutions: frozenset[str] | None, query: RecordQuery
) -> list[int]:
    """All that fit, by reading through all records."""
    wanted = select(record.c.id).where(record_in_reach(institutions))
    if query.state:
        wanted = wanted.where(record.c.state == query.state)
    if query.order_code:
        wanted = wanted.where(record.c.order_code == query.order_code)
    if query.clinic_code:
        wanted = wanted.where(record.c.clinic_code == query.clinic_code)
    if query.package:
        wanted = wanted.join(package, package.c.id == record.c.package_id).where(
            package.c.stem == query.package
        )
    return list(connection.execute(wanted.order_by(record.c.id.desc())).scalars())


@pytest.mark.parametrize("few", [0, 30, 20_000], ids=["none", "some", "all"])
@pytest.mark.parametrize("reach", REACHES)
def test_every_way_to_the_newest_finds_the_same(
    reader: Engine, reach: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_list, "_FEW", few)
    monkeypatch.setattr(record_list, "_LATELY", few)
    institutions = REACHES[reach]
    with reader.connect() as connection:
        for state, order, clinic in product(
            ("", "held", "accepted", "superseded", "unknown"),
            ("", "09044C", RARE, "99999X"),
            ("", clinic_code(7)),
        ):
            query = RecordQuery(state=state, order_code=order, clinic_code=clinic)
            expected = newest(connection, institutions, query)
            shown = list_records(connection, institutions, query, NOW, WARN, 20)
            assert [row.id for row in shown] == expected[:21], query
            if len(shown) == 21:
                after = RecordQuery(state, clinic, order, after=next_after(query, shown[19]))
                further = list_records(connection, institutions, after, NOW, WARN, 20)
                assert [row.id for row in further] == expected[20:41], query


def test_what_is_due_comes_in_the_order_of_its_time(reader: Engine) -> None:
    with reader.connect() as connection:
        stem = connection.execute(select(package.c.stem).where(package.c.id == 40)).scalar_one()
        last = list_records(connection, None, RecordQuery(due="open"), NOW, WARN, 4000)[-1].due_at
        seen: set[str] = set()
        for institutions, state, order, now in product(
            REACHES.values(), ("", "held"), ("", "09044C"), (NOW, last - timedelta(hours=1))
        ):
            told = {}
            for due in ("open", "missed", "risk", "calm"):
                query = RecordQuery(due=due, state=state, order_code=order)
                rows = told[due] = list_records(connection, institutions, query, now, WARN, 4000)
                assert [row.due_at for row in rows] == sorted(row.due_at for row in rows)
                assert {row.id for row in rows} <= set(newest(connection, institutions, query))
            assert all(row.due_at < now for row in told["missed"])
            assert all(now <= row.due_at < now + WARN for row in told["risk"])
            assert all(row.due_at >= now + WARN for row in told["calm"])
            parts = [row.id for due in ("missed", "risk", "calm") for row in told[due]]
            assert parts == [row.id for row in told["open"]]
            seen |= {due for due, rows in told.items() if rows}
        assert seen == {"open", "missed", "risk", "calm"}, "none was looked for in vain"
        query = RecordQuery(due="open", package=stem, clinic_code=clinic_code(7))
        assert list_records(connection, None, query, NOW, WARN, 20) == []
        everything = list_records(connection, None, RecordQuery(due="open"), NOW, WARN, 4000)
        first = most_urgent(connection, None, 12)
        assert [row.due_at for row in first] == [row.due_at for row in everything[:12]]


def test_the_records_of_a_package_are_those_in_reach(reader: Engine) -> None:
    with reader.connect() as connection:
        stem = connection.execute(select(package.c.stem).where(package.c.id == 9)).scalar_one()
        for institutions in REACHES.values():
            query = RecordQuery(package=stem)
            rows = list_records(connection, institutions, query, NOW, WARN, 200)
            assert [row.id for row in rows] == newest(connection, institutions, query)


def test_who_uploads_for_others_sees_what_was_uploaded(reader: Engine) -> None:
    with reader.connect() as connection:
        rows = list_records(connection, REACHES["uploader"], RecordQuery(), NOW, WARN, 20)
    assert [row.id for row in rows] == [3999, 1200, 11]


@pytest.mark.parametrize(
    "after", ["9" * 40, "x", "5" * 30 + "." + "6" * 9], ids=["long", "letter", "long-due"]
)
@pytest.mark.parametrize("due", ["", "open"], ids=["newest", "due"])
def test_a_place_that_no_list_gave_is_left_out(reader: Engine, after: str, due: str) -> None:
    with reader.connect() as connection:
        told = list_records(connection, None, RecordQuery(due=due, after=after), NOW, WARN, 5)
        first = list_records(connection, None, RecordQuery(due=due), NOW, WARN, 5)
    assert told == first
