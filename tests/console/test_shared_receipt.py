"""A file that holds what several clinics ordered is shown whole to none of them."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import delete, insert, select

from broker.access.roles import Role
from broker.demo.people import CLINIC, LAB, PEOPLE
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
