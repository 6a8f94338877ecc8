"""What is asked and written for all results of a message at once is what would have been asked
and written one by one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event, insert, select, update

from adapters.ports.intake import Door, Media, Payload
from broker.drafting import Draft
from broker.states import HeldReason
from broker.store import first_words
from broker.store.engine import open_writer
from broker.store.first_words import FirstWords
from broker.store.receipts import ReceiptAppender, receipt_row
from broker.store.records import store_drafts
from broker.store.schema import record, visit
from mapping.finding import Finding
from mapping.record import UploadRecord
from tests.stores import store_at
from tests.unit.upload_samples import valid_record

NOW = datetime(2026, 1, 10, 19, 0, tzinfo=UTC)
CODES = ("08011C", "09005C")
STATES = ("ready", "held", "sealed", "checking", "accepted", "rejected", "superseded")


def no_findings(_: UploadRecord) -> tuple[Finding, ...]:
    return ()


def store_at_once(words: FirstWords, row_id: int | None, values: dict[str, Any]) -> None:
    store_gathered(words, row_id, values)
    words.write()


store_gathered = FirstWords.store


def draft(rnd: random.Random, slot: str) -> Draft:
    """One of so few orders, people and times that results of a message meet each other."""
    code = rnd.choice(CODES)
    minute = rnd.choice(("1140203101500", "1140203101500", "1140204111500"))
    header = {"h15": code, "h9": rnd.choice(("A123456789", "B123456780")), "h20": minute}
    rows = {"r4": rnd.choice(("13.5", "13.5", "14.0")), "r10": rnd.choice(("1140203151112", ""))}
    item = valid_record(header, rows)
    kind = rnd.choice(("result", "result", "result", "no visit", "taken back"))
    told = Draft(
        slot=slot,
        place="test",
        order_identity=rnd.choice(("", "one", "two", "three", f"{slot} alone")),
        order_code=code,
        lab_code="JY99900001",
        clinic_code="3501234567",
        national_id=header["h9"],
        uploader_code="3501234567",
        visit_id=rnd.choice((None, 1, 2)),
        record=item,
        clock_started_at=NOW,
        due_at=NOW + timedelta(hours=24),
        corrected=rnd.random() < 0.3,
        reported=rnd.choice(("", "11402031511")),
        room=rnd.choice((1, 1, 2)),
    )
    if kind == "no visit":
        return replace(told, record=None, visit_id=None, held_reason=HeldReason.UNMATCHED)
    if kind == "taken back":
        return replace(told, cancelled=True, withdrawal="order 11402031511", record=None)
    return told


def play(connection: Connection, seed: int) -> list[tuple[Any, ...]]:
    """Three messages; between them records move on. All that is stored then."""
    rnd = random.Random(seed)
    for number in (1, 2, 3):
        drafts = [draft(rnd, f"1/{place}") for place in range(rnd.choice((1, 4, 9)))]
        for _ in range(rnd.choice((1, 1, 2))):
            # The second time as by a replay.
            store_drafts(connection, number, drafts, NOW + timedelta(hours=number), no_findings)
        for row in connection.execute(select(record.c.id, record.c.state)).all():
            if row.state == "ready" and rnd.random() < 0.6:
                connection.execute(
                    update(record).where(record.c.id == row.id).values(state=rnd.choice(STATES))
                )
    return [tuple(row) for row in connection.execute(select(record).order_by(record.c.id))]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_writer(store_at(Path(tmp_path_factory.mktemp("first-words"))))
    with engine.begin() as connection:
        rows = [Payload("lab", Door.MLLP, Media.HL7V2, b"", str(number)) for number in (1, 2, 3)]
        ReceiptAppender(connection).append(connection, [receipt_row(each, NOW) for each in rows])
        for person in ("A123456789", "B123456780"):
            connection.execute(
                insert(visit).values(
                    receipt_id=1,
                    institution_code="3501234567",
                    national_id=person,
                    card_at=NOW,
                    visit_type="01",
                    visit_serial="0001",
                    visit_on=date(2025, 2, 3),
                    birth_on=date(1986, 1, 1),
                    body="",
                )
            )
    yield engine
    engine.dispose()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_results_stored_together_are_stored_as_one_by_one(
    store: Engine, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    found = []
    for one_by_one in (False, True):
        with store.connect() as connection, monkeypatch.context() as patch:
            if one_by_one:
                patch.setattr(FirstWords, "_may_know", lambda *_: True)
                patch.setattr(FirstWords, "store", store_at_once)
            with connection.begin() as transaction:
                found.append(play(connection, seed))
                transaction.rollback()
    assert found[0] == found[1]


def test_first_words_cost_no_statement_each(store: Engine) -> None:
    rnd = random.Random(1)
    counts = []
    statements: list[str] = []

    def note(*event_of: Any) -> None:
        statements.append(event_of[2])

    event.listen(store, "before_cursor_execute", note)
    try:
        for many in (2, 40):
            drafts = [
                replace(
                    draft(rnd, f"1/{place}"),
                    order_identity=f"order {place}",
                    record=valid_record({"h9": "A123456789", "h7": f"{place:04d}"}),
                    visit_id=1,
                    order_code=f"{place:05d}C",
                    held_reason=None,
                    cancelled=False,
                    withdrawal="",
                )
                for place in range(many)
            ]
            with store.connect() as connection, connection.begin() as transaction:
                statements.clear()
                stored = store_drafts(connection, 1, drafts, NOW, no_findings)
                counts.append(len(statements))
                transaction.rollback()
            assert stored.ready == many
    finally:
        event.remove(store, "before_cursor_execute", note)
    assert counts[0] == counts[1]


def test_more_orders_than_one_question_takes_are_all_looked_for(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_words, "_AT_ONCE", 2)
    told = [
        replace(
            draft(random.Random(2), f"1/{place}"), order_identity=f"order {place}", visit_id=None
        )
        for place in range(7)
    ]
    plain = [
        replace(each, record=valid_record({"h7": f"{place:04d}"}), cancelled=False, withdrawal="")
        for place, each in enumerate(told)
    ]
    with store.connect() as connection, connection.begin() as transaction:
        first = store_drafts(connection, 1, plain, NOW, no_findings)
        again = store_drafts(connection, 2, plain, NOW, no_findings)
        transaction.rollback()
    assert (first.ready, again.superseded) == (7, 7)
