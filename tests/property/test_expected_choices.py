"""A choice of visit that is looked for with those of all other results of a message is found as
when it is looked for alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, insert

from adapters.ports.intake import Door, Media, Payload
from broker.demo.people import visits
from broker.store import choices
from broker.store.choices import find_choice
from broker.store.engine import open_writer
from broker.store.receipts import ReceiptAppender, receipt_row
from broker.store.schema import choice
from broker.store.visit_lookup import stored_visits
from broker.store.visits import store_visits
from tests.stores import store_at

NOW = datetime(2026, 1, 10, 19, 0, tzinfo=UTC)
SLOTS = ("1/08011C", "1/09005C", "2/08011C")
IDENTITIES = ("", "one", "two", "three")
DAYS = ("", "2026-01-09", "2026-01-10")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_writer(store_at(Path(tmp_path_factory.mktemp("choices"))))
    with engine.begin() as connection:
        rows = [Payload("lab", Door.MLLP, Media.HL7V2, b"", str(number)) for number in (1, 2, 3)]
        ReceiptAppender(connection).append(connection, [receipt_row(each, NOW) for each in rows])
        store_visits(connection, 1, visits(NOW)[:2])
    yield engine
    engine.dispose()


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_expected_is_found_as_when_it_is_asked_alone(store: Engine, seed: int) -> None:
    rnd = random.Random(seed)
    results = [(slot, rnd.choice(IDENTITIES), rnd.choice(DAYS)) for slot in SLOTS for _ in range(2)]
    with store.connect() as connection, connection.begin() as transaction:
        for _ in range(rnd.choice((0, 1, 3))):
            connection.execute(
                insert(choice).values(
                    receipt_id=1,
                    of_receipt_id=rnd.choice((2, 3)),
                    slot=rnd.choice(SLOTS),
                    order_identity=rnd.choice(IDENTITIES),
                    collected_on=rnd.choice(DAYS),
                    visit_id=rnd.choice((1, 2)),
                )
            )
        _, desk = stored_visits(connection, 2)
        desk.expect(results[:4])
        # The last two were not announced and are answered all the same.
        assert [desk.choice(*each) for each in results] == [
            find_choice(connection, 2, *each) for each in results
        ]
        transaction.rollback()


def test_choices_cost_no_question_for_each_result(store: Engine) -> None:
    asked: list[str] = []

    def note(*event_of: Any) -> None:
        asked.append(event_of[2])

    results = [(f"1/{place:05d}C", f"order {place}", "2026-01-09") for place in range(40)]
    event.listen(store, "before_cursor_execute", note)
    try:
        with store.connect() as connection:
            _, desk = stored_visits(connection, 2)
            desk.expect(results)
            assert not any(desk.choice(*each) for each in results)
    finally:
        event.remove(store, "before_cursor_execute", note)
    assert len(asked) == 1


def test_more_results_than_one_question_takes_are_all_looked_for(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choices, "_AT_ONCE", 2)
    results = [(f"1/{place:05d}C", f"order {place}", "2026-01-09") for place in range(5)]
    with store.connect() as connection, connection.begin() as transaction:
        for _, identity, day in results[::2]:
            connection.execute(
                insert(choice).values(
                    receipt_id=1,
                    of_receipt_id=3,
                    slot="9/",
                    order_identity=identity,
                    collected_on=day,
                    visit_id=1,
                )
            )
        _, desk = stored_visits(connection, 2)
        desk.expect(results)
        found = [desk.choice(*each) is not None for each in results]
        transaction.rollback()
    assert found == [True, False, True, False, True]
