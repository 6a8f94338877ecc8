"""A person fills in what the console asks for: a result without a visit, another role, a proposal
taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser
from sqlalchemy import select, update

from broker.access.roles import Role
from broker.demo.people import CLINIC, STRANGER
from broker.finding_json import findings_to_json
from broker.store.access_tables import audit_event
from broker.store.schema import record
from broker.web.console.wording import say
from mapping.finding import Finding
from mapping.record import Field, record_from_json, record_to_json
from tests.console.pages import visiting
from tests.console.running_console import RunningConsole
from tests.console.test_pages_in_browser import faults_of_access
from tests.console.test_reach import ask


def test_a_result_is_entered_before_its_visit_is_known(
    console: RunningConsole, browser: Browser, axe: str, screenshots: Path
) -> None:
    who = console.sign_in(Role.CLINIC, [CLINIC])
    with visiting(browser, console, who) as visit:
        page = visit.page
        visit.open("/entry")
        with page.expect_navigation():
            page.get_by_role("link", name=say("zh", "entry.without_visit")).click()
        assert faults_of_access(visit, axe) == []
        page.locator("#order").fill("09005C")
        visit.press(say("zh", "entry.on"))
        assert faults_of_access(visit, axe) == []
        page.screenshot(path=screenshots / "entry-without-visit.png", full_page=True)
        # A clinic's only institution need not be chosen, and unit and range are the last ones.
        assert page.locator("#clinic_code").input_value() == CLINIC
        assert page.locator("input[name=unit1]").input_value() == "mg/dL"
        page.locator("#national_id").fill(STRANGER.national_id[:9])
        page.locator("#birth_on").fill(STRANGER.birth_on.isoformat())
        page.locator("#collected_at").fill(page.locator("#reported_at").input_value())
        page.locator("input[name=value1]").fill("5.50")
        visit.press(say("zh", "entry.take"))
        assert say("zh", "entry.patient_needed") in visit.text
        assert STRANGER.national_id[:9] not in page.url
        assert page.locator("#birth_on").input_value() == STRANGER.birth_on.isoformat()
        assert page.locator("input[name=value1]").input_value() == "5.50"
        page.locator("#national_id").fill(STRANGER.national_id.lower())
        visit.press(say("zh", "entry.take"))
        number = int(page.url.rpartition("=")[2])
        assert say("zh", "done.entered_without_visit", n=number) in visit.text
    console.at_rest()

    def made(connection: Any) -> tuple[Any, list[Any]]:
        row = connection.execute(select(record).where(record.c.receipt_id == number)).one()
        noted = connection.execute(
            select(audit_event).where(
                audit_event.c.kind == "receipt", audit_event.c.subject == str(number)
            )
        )
        return row, list(noted)

    row, noted = console.write(made)
    assert (row.state, row.held_reason) == ("held", "unmatched")
    assert (row.national_id, row.clinic_code) == (STRANGER.national_id, CLINIC)
    assert [(each.person, each.action, each.institution) for each in noted] == [
        ("clinic-zh-1", "enter", CLINIC)
    ]


def test_who_enters_a_result_names_a_clinic_of_theirs_and_proves_the_form(
    console: RunningConsole,
) -> None:
    who = console.sign_in(Role.CLINIC, [CLINIC], language="en")
    form = {
        "order_code": "09005C",
        "clinic_code": "3599900099",
        "national_id": STRANGER.national_id,
        "birth_on": STRANGER.birth_on.isoformat(),
    }
    status, body = ask(console, "/entry/without-visit", who, form)
    assert status == 200
    assert say("en", "entry.clinic_needed") in body
    assert ask(console, "/entry/without-visit?order=..%2F", who)[1].count("notice bad") == 1
    coach = console.sign_in(Role.COACH, [CLINIC])
    assert ask(console, "/entry/without-visit", coach)[0] == 403
    assert ask(console, "/entry/without-visit", coach, form)[0] == 403


def test_a_proposal_is_taken_for_all_records_of_its_cause(
    console: RunningConsole, browser: Browser
) -> None:
    """NHI said that the visit's serial is wrong, and the card data says another."""

    def reject(connection: Any) -> tuple[int, str]:
        row = connection.execute(
            select(record).where(record.c.state == "accepted", record.c.visit_id.is_not(None))
        ).first()
        body = record_from_json(json.loads(row.body))
        serial = body.value("h7")
        header = {**body.header, "h7": Field("9999", "PV1-19")}
        wrong = Finding("23", field="h7", value="9999")
        changed = type(body)(header, body.rows)
        connection.execute(
            update(record)
            .where(record.c.id == row.id)
            .values(
                state="rejected",
                was_accepted=False,
                body=json.dumps(record_to_json(changed), ensure_ascii=False),
                findings=findings_to_json([wrong]),
            )
        )
        return row.id, serial

    number, serial = console.write(reject)
    who = console.sign_in(Role.CLINIC, [CLINIC])
    with visiting(browser, console, who) as visit:
        visit.open("/worklist")
        card = visit.page.locator("article.cause", has=visit.page.locator(".proposal")).first
        assert serial in card.locator(".proposal").inner_text()
        cause = card.get_attribute("id")
        with visit.page.expect_navigation():
            card.get_by_role("button", name=say("zh", "worklist.accept", n=1)).click()
        assert say("zh", "done.fixed", ready=1, held=0, left=0) in visit.text
        assert visit.page.locator(f"#{cause}").count() == 0
    console.at_rest()

    def became(connection: Any) -> Any:
        return connection.execute(select(record).where(record.c.corrects_id == number)).one()

    row = console.write(became)
    field = record_from_json(json.loads(row.body)).header["h7"]
    assert field.value == serial
    assert field.origin.startswith("person:")


def test_a_person_gets_another_role_and_other_institutions(
    console: RunningConsole, browser: Browser, axe: str, screenshots: Path
) -> None:
    console.sign_in(Role.COACH, ["3599900098"], language="en")
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/people")
        row = visit.page.locator("tr[data-row]", has_text="coach-en-1")
        row.locator("summary").click()
        assert row.locator("select[name=role]").input_value() == "coach"
        assert row.locator("input[name=institutions]").input_value() == "3599900098"
        visit.page.screenshot(path=screenshots / "people-change.png", full_page=True)
        assert faults_of_access(visit, axe) == []
        row.locator("select[name=role]").select_option("clinic")
        row.locator("input[name=institutions]").fill("")
        visit.press(f"{say('zh', 'people.save')} coach-en-1")
        assert visit.page.locator(".notice.bad").count() == 1
        assert row.locator("select[name=role]").input_value() == "clinic", "what was said is kept"
        row.locator("input[name=institutions]").fill(f"{CLINIC}, 3599900097")
        visit.press(f"{say('zh', 'people.save')} coach-en-1")
        assert say("zh", "people.done_change", login="coach-en-1") in visit.text
        shown = row.inner_text()
    assert say("zh", "layout.role_clinic") in shown
    assert f"{CLINIC}, 3599900097" in shown

    def noted(connection: Any) -> list[tuple[str, str]]:
        rows = connection.execute(
            select(audit_event.c.person, audit_event.c.action).where(
                audit_event.c.kind == "person", audit_event.c.subject == "coach-en-1"
            )
        )
        return [tuple(row) for row in rows]

    assert ("operator-zh-0", "change") in console.write(noted)


def test_a_role_that_is_none_changes_nobody(console: RunningConsole) -> None:
    console.sign_in(Role.COACH, ["3599900098", "3599900097"], language="en")
    operator = console.sign_in(Role.OPERATOR)
    form = {"way": "change", "login": "coach-en-2", "role": "king", "institutions": CLINIC}
    assert ask(console, "/people", operator, form)[0] == 400
    page = ask(console, "/people", operator)[1]
    assert "3599900097, 3599900098" in page
