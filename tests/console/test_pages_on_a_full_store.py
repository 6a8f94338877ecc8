"""On a store that has been in use for long no page reads through all records, and figures that take
long are counted behind the back of those who ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, func, select, update

from bench.full_store import CLINICS, RARE, clinic_code, fill, lab_code, source_id
from broker.delivery.agreement import DeliveryState
from broker.store import outbox
from broker.store.delivery_tables import outgoing
from broker.store.due_work import day_flow, due_counts, first_id_since, most_urgent
from broker.store.engine import open_reader, open_writer
from broker.store.open_orders import open_orders
from broker.store.open_work import kept_reports, records_in_order, sources_of
from broker.store.outbox import (
    deliveries_of,
    first_open,
    inbox_of,
    oldest_undelivered_at,
    refused_deliveries,
    stuck_deliveries,
    unread_count,
)
from broker.store.package_list import list_packages
from broker.store.record_list import RecordQuery, list_records, next_after
from broker.store.record_way import record_way
from broker.store.result_glance import glances_of
from broker.store.schema import receipt, record
from broker.store.source_scores import source_scores
from broker.web.console.kept import Kept
from broker.worklist import open_causes, open_groups

RECORDS = 6000
CLINIC = frozenset({"3500000007"})
EVERYWHERE = None
WARN = timedelta(hours=6)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("full")
    fill(folder, RECORDS)
    engine = open_reader(folder)
    yield engine
    engine.dispose()


def asked(reader: Engine, look: Callable[[Connection], Any]) -> list[tuple[str, Any]]:
    """The statements of ``look`` and their values."""
    found: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        found.append((statement, parameters))

    with reader.connect() as connection:
        event.listen(reader, "before_cursor_execute", note)
        try:
            look(connection)
        finally:
            event.remove(reader, "before_cursor_execute", note)
    return found


def plans(reader: Engine, look: Callable[[Connection], Any]) -> list[str]:
    """How SQLite goes about each statement of ``look``."""
    statements = asked(reader, look)
    with reader.connect() as connection:
        return [
            row[3]
            for statement, parameters in statements
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]


def most_counts(reader: Engine, look: Callable[[Connection], Any]) -> int:
    """Rows of the statement of ``look`` that counts by the most groups."""
    statements = asked(reader, look)
    with reader.connect() as connection:
        return max(
            len(connection.exec_driver_sql(statement, parameters).all())
            for statement, parameters in statements
            if "GROUP BY" in statement
        )


LOOKS: dict[str, Callable[[Connection, frozenset[str] | None], Any]] = {
    "due": lambda c, reach: due_counts(c, reach, datetime.now(UTC), WARN),
    "urgent": lambda c, reach: most_urgent(c, reach, 12),
    "flow": lambda c, reach: day_flow(c, reach, datetime.now(UTC)),
    "record": lambda c, reach: record_way(c, reach, 140),
    "uploads": lambda c, reach: list_packages(c, reach, 40, before=50),
    "orders": lambda c, reach: open_orders(c, reach, datetime.now(UTC).date(), 60),
    "records": lambda c, reach: list_records(
        c, reach, RecordQuery(after="500"), datetime.now(UTC), WARN, 50
    ),
    "records-due": lambda c, reach: list_records(
        c, reach, RecordQuery(due="open"), datetime.now(UTC), WARN, 50
    ),
    "records-of-order": lambda c, reach: list_records(
        c, reach, RecordQuery(order_code=RARE), datetime.now(UTC), WARN, 50
    ),
    "records-of-state": lambda c, reach: list_records(
        c, reach, RecordQuery(state="held"), datetime.now(UTC), WARN, 50
    ),
    "unread": unread_count,
    "inbox-unread": lambda c, reach: inbox_of(c, reach, unread=True),
    "deliveries-failed": lambda c, reach: deliveries_of(c, reach, state=DeliveryState.FAILED),
    "deliveries-refused": lambda c, reach: deliveries_of(c, reach, state=DeliveryState.REFUSED),
    "glances": lambda c, reach: glances_of(c, reach, [(7, 1), (8, 1)]),
    "kept": lambda c, reach: kept_reports(c),
    "deliveries-open": lambda c, reach: first_open(c, "3500000007"),
    "deliveries-stuck": lambda c, reach: stuck_deliveries(c, datetime.now(UTC)),
    "deliveries-said-no": lambda c, reach: refused_deliveries(c),
    "deliveries-oldest": lambda c, reach: oldest_undelivered_at(c),
}
# Indexes of little.
_SMALL = ("outgoing_unread", "outgoing_open", "outgoing_refused", "receipt_quarantined")
_LARGE = ("record", "receipt", "visit", "outgoing", "lab_report")


@pytest.mark.parametrize("reach", [EVERYWHERE, CLINIC], ids=["everywhere", "clinic"])
@pytest.mark.parametrize("name", LOOKS)
def test_no_page_scans_records_receipts_or_visits(
    reader: Engine, name: str, reach: frozenset[str] | None
) -> None:
    found = plans(reader, lambda c: LOOKS[name](c, reach))
    assert found
    scans = [
        line
        for line in found
        if line.startswith("SCAN") and line.split()[1] in _LARGE and not line.endswith(_SMALL)
    ]
    # Newest first by their key, as far as the page goes, is no reading through.
    newest = ("records", "uploads", "inbox-unread")
    assert [line for line in scans if name not in newest] == []


def test_pages_by_key_show_every_record_once(reader: Engine) -> None:
    for reach in (EVERYWHERE, CLINIC):
        for query in (RecordQuery(), RecordQuery(due="open"), RecordQuery(state="held")):
            seen: list[int] = []
            after = ""
            with reader.connect() as connection:
                while True:
                    asked = RecordQuery(state=query.state, due=query.due, after=after)
                    rows = list_records(connection, reach, asked, datetime.now(UTC), WARN, 37)
                    seen += [row.id for row in rows[:37]]
                    if len(rows) <= 37:
                        break
                    after = next_after(asked, rows[36])
            assert len(seen) == len(set(seen))
            if query == RecordQuery() and reach is EVERYWHERE:
                assert len(seen) == RECORDS
            assert seen or reach is not EVERYWHERE


def test_a_clinic_gets_only_its_own_records(reader: Engine) -> None:
    with reader.connect() as connection:
        rows = list_records(connection, CLINIC, RecordQuery(), datetime.now(UTC), WARN, 500)
        own = connection.execute(record.select().where(record.c.clinic_code == "3500000007")).all()
    assert {row.id for row in rows} == {row.id for row in own}


@pytest.mark.parametrize("lately", [0, 100, 10_000], ids=["none", "some", "all"])
def test_every_way_to_the_newest_deliveries_finds_the_same(
    reader: Engine, lately: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_LATELY", lately)
    some = frozenset({clinic_code(7), clinic_code(8), lab_code(9)})
    with reader.connect() as connection:
        rows = connection.execute(outgoing.select().order_by(outgoing.c.id.desc())).all()
        for reach in (EVERYWHERE, CLINIC, some, frozenset({"3599999998"})):
            seen = [
                row
                for row in rows
                if reach is None or row.clinic_code in reach or row.lab_code in reach
            ]
            for state in (None, *DeliveryState):
                fit = [row.id for row in seen if state is None or row.state == state.value]
                first = deliveries_of(connection, reach, state=state, count=20)
                assert [row.id for row in first] == fit[:20]
                if len(fit) > 20:
                    more = deliveries_of(connection, reach, state=state, before=fit[19], count=20)
                    assert [row.id for row in more] == fit[20:40]
            inbox = [row for row in seen if row.kind == "inbox"]
            inbox = [row for row in inbox if reach is None or row.clinic_code in reach]
            unread = [row.id for row in inbox if row.state in ("queued", "sent", "failed")]
            assert unread_count(connection, reach) == len(unread)
            told = inbox_of(connection, reach, unread=True, count=30)
            assert [row.id for row in told] == unread[:30]


def test_what_a_destination_waits_for_is_found_behind_all_it_had(reader: Engine) -> None:
    found = plans(reader, lambda c: first_open(c, clinic_code(8)))
    assert [line.split()[-2] for line in found] == ["outgoing_open"], found


def test_the_first_id_of_a_time_is_found(reader: Engine) -> None:
    with reader.connect() as connection:
        times = connection.execute(
            receipt.select().with_only_columns(receipt.c.id, receipt.c.received_at)
        ).all()
        for row in (times[0], times[1], times[700], times[-1]):
            assert first_id_since(connection, receipt, receipt.c.received_at, row[1]) == row[0]
        later = times[-1][1] + timedelta(seconds=1)
        assert first_id_since(connection, receipt, receipt.c.received_at, later) == RECORDS + 1
        before = times[0][1] - timedelta(days=9)
        assert first_id_since(connection, receipt, receipt.c.received_at, before) == 1


def test_the_flow_counts_what_came_and_what_was_confirmed(reader: Engine) -> None:
    now = datetime.now(UTC)
    with reader.connect() as connection:
        hours = day_flow(connection, EVERYWHERE, now)
        first = first_id_since(connection, receipt, receipt.c.received_at, hours[0].start)
    assert [each.start for each in hours] == [
        hours[0].start + timedelta(hours=number) for number in range(24)
    ]
    assert sum(each.arrived for each in hours) == RECORDS - first + 1


def test_what_came_is_counted_by_hours_and_days_in_the_database(reader: Engine) -> None:
    now = datetime.now(UTC)
    assert most_counts(reader, lambda c: day_flow(c, EVERYWHERE, now)) <= 25
    sources = [source_id(7), source_id(8)]
    with reader.connect() as connection:
        first = first_id_since(connection, receipt, receipt.c.received_at, now - timedelta(days=14))
        came = connection.execute(
            select(func.count()).where(receipt.c.id >= first, receipt.c.source_id.in_(sources))
        ).scalar_one()
        scores = source_scores(connection, sources, now)
    assert sum(sum(each.days) for each in scores) == came
    assert scores[0].receipts > 2 * len(scores[0].days)
    assert most_counts(reader, lambda c: source_scores(c, sources[:1], now)) <= 15


def test_a_page_of_causes_asks_as_often_as_one_of_them(reader: Engine) -> None:
    def look(many: int) -> list[str]:
        def causes(connection: Connection) -> None:
            groups = open_groups(connection)[:many]
            assert len(open_causes(connection, {}, date(2026, 3, 2), groups, 10)) == many

        # What laboratories sent before is asked for once for each of them and order code.
        return [each for each, _ in asked(reader, causes) if "LIMIT" not in each]

    assert len(look(10)) == len(look(1))


def test_the_records_of_many_clinics_are_found_with_few_questions(reader: Engine) -> None:
    coached = frozenset(clinic_code(number) for number in range(0, CLINICS, 12))
    query = RecordQuery(state="superseded", order_code="09044C")
    now = datetime.now(UTC)
    assert len(asked(reader, lambda c: list_records(c, coached, query, now, WARN, 50))) <= 10
    with reader.connect() as connection:
        found = [row.id for row in list_records(connection, coached, query, now, WARN, 500)]
        all_of_them = connection.execute(
            select(record.c.id)
            .where(
                record.c.clinic_code.in_(coached),
                record.c.state == query.state,
                record.c.order_code == query.order_code,
            )
            .order_by(record.c.id.desc())
        ).scalars()
        assert found == list(all_of_them)
    assert found


def test_a_record_that_was_put_right_twice_carries_the_words_of_its_first_source(
    tmp_path: Path,
) -> None:
    fill(tmp_path, 100)
    engine = open_writer(tmp_path)
    try:
        with engine.begin() as connection:
            for later, earlier in ((9, 5), (5, 1)):
                change = update(record).where(record.c.id == later).values(corrects_id=earlier)
                connection.execute(change)
            rows = list(records_in_order(connection, [13, 9, 5]))
            assert sources_of(connection, rows) == {
                13: source_id(4),
                9: source_id(1),
                5: source_id(1),
            }
    finally:
        engine.dispose()


@dataclass
class Counting:
    """Counts how often it was asked; each takes ``seconds`` by the stopwatch."""

    seconds: float
    times: int = 0
    shown: float = 0.0

    async def __call__(self) -> int:
        self.times += 1
        self.shown += self.seconds
        await asyncio.sleep(0)
        return self.times

    def stopwatch(self) -> float:
        return self.shown


async def test_figures_that_take_long_are_counted_anew_behind_the_back() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    moment = [now]
    count = Counting(seconds=0.6)
    kept: Kept[int] = Kept(lambda: moment[0], count.stopwatch)
    first, second = await asyncio.gather(kept.of("a", count), kept.of("a", count))
    assert (first.value, second.value, count.times) == (1, 1, 1)
    assert (await kept.of("b", count)).value == 2
    moment[0] = now + timedelta(seconds=59)
    assert (await kept.of("a", count)).value == 1
    moment[0] = now + timedelta(minutes=2)
    assert (await kept.of("a", count)).value == 1
    for _ in range(5):
        await asyncio.sleep(0)
    assert (await kept.of("a", count)).value == 3
    moment[0] = now + timedelta(hours=1)
    assert (await kept.of("a", count)).value == 4


async def test_figures_that_are_counted_at_once_are_never_shown_late() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    moment = [now]
    count = Counting(seconds=0.01)
    kept: Kept[int] = Kept(lambda: moment[0], count.stopwatch)
    assert (await kept.of("a", count)).value == 1
    moment[0] = now + timedelta(seconds=0.9)
    assert (await kept.of("a", count)).value == 1
    moment[0] = now + timedelta(seconds=1.1)
    assert (await kept.of("a", count)).value == 2


async def test_figures_that_cannot_be_counted_are_asked_for_again() -> None:
    kept: Kept[int] = Kept(lambda: datetime(2026, 3, 2, tzinfo=UTC))

    async def fail() -> int:
        raise RuntimeError("busy")

    async def count() -> int:
        return 7

    with pytest.raises(RuntimeError, match="busy"):
        await kept.of("a", fail)
    assert (await kept.of("a", count)).value == 7
