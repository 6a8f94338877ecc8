"""The gateway's book counts what came, how often, and what stands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.sandbox.ledger import Ledger, TakenPackage
from broker.sandbox.upload_document import UploadedOrder, read_document
from tests.gateway_samples import INSTITUTION, document, header, row

AT = datetime(2026, 1, 1, 15, 59, tzinfo=UTC)
NONE = timedelta(0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    book = Ledger(tmp_path)
    yield book
    book.close()


def order(**changes: str) -> UploadedOrder:
    fields = {tag: value for tag, value in changes.items() if tag.startswith("r")}
    head = {tag: value for tag, value in changes.items() if tag.startswith("h")}
    return read_document(document((header(**head), [row(**fields)])))[0]


def take(
    ledger: Ledger,
    name: str,
    *orders: UploadedOrder,
    accepted: bool = True,
    again: bool = False,
    at: datetime = AT,
) -> TakenPackage | None:
    judged = [(entry, accepted) for entry in orders]
    return ledger.take(name, INSTITUTION, name, judged, "{}", at, NONE, NONE, again)


def test_receipts_carry_the_taipei_day_and_count_up(ledger: Ledger) -> None:
    taken = [take(ledger, "a"), take(ledger, "b"), take(ledger, "c", at=AT + timedelta(minutes=1))]
    assert [entry.receipt_number for entry in taken if entry] == [
        "1150101000001",
        "1150101000002",
        "1150102000001",
    ]


def test_a_name_is_taken_once(ledger: Ledger) -> None:
    assert take(ledger, "a") is not None
    assert take(ledger, "a") is None
    assert take(ledger, "a", again=True) is not None


def test_the_same_content_twice_is_a_duplicate(ledger: Ledger) -> None:
    take(ledger, "a", order())
    take(ledger, "b", order(h16="1150101120000"))
    summary = ledger.summary()
    assert summary["duplicates"] == 1
    assert summary["orders"][0]["uploads"] == 2


def test_a_correction_is_no_duplicate_and_the_newest_stands(ledger: Ledger) -> None:
    take(ledger, "a", order(h16="1150101120000", r4="98"))
    take(ledger, "b", order(h16="1150101130000", r4="99"))
    take(ledger, "c", order(h16="1150101110000", r4="97"))
    summary = ledger.summary()
    assert summary["duplicates"] == 0
    (standing,) = summary["accepted"]
    assert standing["h16"] == "1150101130000"
    assert [fields["r4"] for fields in standing["rows"]] == ["99"]


def test_a_rejected_order_does_not_stand(ledger: Ledger) -> None:
    rejected = order()
    take(ledger, "a", rejected, accepted=False)
    assert ledger.summary()["accepted"] == []
    assert ledger.standing_upload(rejected.key) == ""


def test_two_keys_for_what_looks_like_one_order_are_suspected(ledger: Ledger) -> None:
    take(ledger, "a", order(h20="11501010820"))
    take(ledger, "b", order(h20="1150101082000"))
    assert len(ledger.summary()["suspected"]) == 1


def test_all_of_it_survives_a_restart(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    take(first, "a", order())
    first.note_refusal("a", "27", "x", AT)
    before = first.summary()
    first.close()
    second = Ledger(tmp_path)
    assert second.summary() == before
    found = second.find_name("a")
    assert found is not None
    assert second.find_receipt(found.receipt_number) == found
    assert found.confirmed_at == AT
    second.close()
