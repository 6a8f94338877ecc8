"""A file that holds what several clinics ordered is shown whole to none of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from adapters.ports.intake import Door, Media, Payload
from broker.access.roles import Role
from broker.demo.people import CLINIC, LAB, PEOPLE
from broker.store.receipts import ReceiptAppender, receipt_row
from broker.store.report_tables import lab_report
from broker.store.schema import record
from tests.access.web_people import SignedIn
from tests.console.running_console import RunningConsole
from tests.console.test_reach import OTHER, ask


def masked_of(console: RunningConsole, who: SignedIn) -> str:
    status, body = ask(console, "/records/1", who)
    assert status == 200
    found = re.search(r"<pre[^>]*>(.*?)</pre>", body, re.DOTALL)
    return found[1] if found else ""


def raw_of(console: RunningConsole, who: SignedIn) -> str:
    status, body = ask(console, "/records/1/patient", who, {})
    assert status == 200
    found = re.search(r"<pre[^>]*>(.*?)</pre>", body, re.DOTALL)
    return found[1] if found else ""


@pytest.mark.slow
def test_the_bytes_of_a_receipt_are_shown_to_who_may_see_all_of_it(
    console: RunningConsole,
) -> None:
    clinic = console.sign_in(Role.CLINIC, [CLINIC])
    lab = console.sign_in(Role.LAB, [LAB])
    wanted = PEOPLE[0].national_id
    assert wanted in raw_of(console, clinic)
    assert "OBX|" in masked_of(console, clinic)
    receipt_id = console.write(
        lambda c: c.execute(select(record.c.receipt_id).where(record.c.id == 1)).scalar_one()
    )
    row = console.write(
        lambda c: c.execute(select(lab_report).where(lab_report.c.receipt_id == receipt_id)).first()
    )
    of_another = {**row._mapping, "number": 99, "clinic_code": OTHER}
    del of_another["id"]
    console.write(lambda c: c.execute(insert(lab_report).values(of_another)))
    try:
        assert wanted not in raw_of(console, clinic)
        assert wanted in raw_of(console, lab)
        assert masked_of(console, clinic) == ""
        assert "OBX|" in masked_of(console, lab)
    finally:
        console.write(lambda c: c.execute(delete(lab_report).where(lab_report.c.number == 99)))


@pytest.mark.slow
def test_a_trial_of_reading_it_again_tells_each_clinic_of_its_own_orders_alone(
    console: RunningConsole,
) -> None:
    clinic, lab = (console.sign_in(*who) for who in ((Role.CLINIC, [CLINIC]), (Role.LAB, [LAB])))
    row = console.write(lambda c: c.execute(select(record).where(record.c.id == 1)).one())
    of_another = {**row._mapping, "slot": "99/x", "clinic_code": OTHER, "order_code": "99999X"}
    of_another |= {"uploader_code": OTHER, "order_identity": "of another"}
    del of_another["id"]
    console.write(lambda c: c.execute(insert(record).values(of_another)))
    try:
        for who, sees in ((clinic, False), (lab, True)):
            status, body = ask(console, "/records/1/replay", who)
            assert status == 200
            assert ("99999X" in body) is sees
            assert row.order_code in body
    finally:
        console.write(lambda c: c.execute(delete(record).where(record.c.slot == "99/x")))


@pytest.mark.slow
def test_what_a_person_put_right_says_who_did_and_waits_for_no_answer(
    console: RunningConsole,
) -> None:
    lab = console.sign_in(Role.LAB, [LAB])
    raw = b'{"group": "0a", "by": "\xe7\x8e\x8b (wang)", "records": {}}'
    now = datetime(2026, 11, 20, 4, tzinfo=UTC)
    was = console.write(
        lambda c: c.execute(select(record.c.receipt_id).where(record.c.id == 1)).scalar_one()
    )

    def put_right(connection: Connection) -> None:
        row = receipt_row(Payload("", Door.COMMAND, Media.CORRECTION, raw, name="0a"), now)
        (kept,) = ReceiptAppender(connection).append(connection, [row])
        newer = update(record).where(record.c.id == 1)
        connection.execute(newer.values(receipt_id=kept.receipt_id))

    console.write(put_right)
    try:
        _, page = ask(console, "/records/1", lab)
        assert "王 (wang) · 更正" in page
        assert "尚無人查看" not in page
        assert "尚未回覆" not in page
        assert "· 人工 · 更正 ·" in page
    finally:
        back = update(record).where(record.c.id == 1).values(receipt_id=was)
        console.write(lambda c: c.execute(back))
