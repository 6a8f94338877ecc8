"""Results arrive in the clinic's inbox, and a critical one waits until a person confirms it."""

from __future__ import annotations

import io
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from playwright.sync_api import Browser
from pypdf import PdfReader
from sqlalchemy import insert, select

from broker.access.roles import Role
from broker.demo.people import CLINIC, LAB
from broker.store.access_tables import audit_event
from broker.store.delivery_tables import critical_result, outgoing
from broker.store.report_tables import lab_report
from broker.web.console.wording import say
from tests.access.web_people import SignedIn
from tests.console.pages import visiting
from tests.console.running_console import RunningConsole
from tests.console.test_pages_in_browser import faults_of_access
from tests.console.test_reach import ask

OTHER = "3599900099"


@pytest.fixture(scope="module", autouse=True)
def place(console: RunningConsole) -> Any:
    """One report with a national id, and two critical lines in it."""

    def make(connection: Any) -> Any:
        report = connection.execute(
            select(lab_report).where(lab_report.c.national_id != "", lab_report.c.lab_code == LAB)
        ).first()
        assert report is not None
        for line, reason in ((1, "flag"), (2, "limit")):
            connection.execute(
                insert(critical_result).values(
                    receipt_id=report.receipt_id,
                    number=report.number,
                    line=line,
                    said=b"",
                    clinic_code=CLINIC,
                    lab_code=LAB,
                    source_id=report.source_id,
                    reason=reason,
                    found_at=report.stored_at,
                )
            )
        row = connection.execute(
            select(outgoing).where(
                outgoing.c.receipt_id == report.receipt_id, outgoing.c.number == report.number
            )
        ).one()
        return row.id, report.national_id

    return console.write(make)


def events(console: RunningConsole, kind: str, subject: int) -> list[tuple[str, str, str]]:
    def look(connection: Any) -> list[tuple[str, str, str]]:
        rows = connection.execute(
            select(audit_event.c.person, audit_event.c.action, audit_event.c.institution)
            .where(audit_event.c.kind == kind, audit_event.c.subject == str(subject))
            .order_by(audit_event.c.number)
        )
        return [tuple(row) for row in rows]

    return console.write(look)


def get(console: RunningConsole, path: str, who: SignedIn) -> tuple[int, str, bytes]:
    cookies = "; ".join(f"{name}={value}" for name, value in who.cookies.items())
    request = urllib.request.Request(console.url + path, headers={"Cookie": cookies})  # noqa: S310
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
        return answer.status, answer.headers["Content-Type"], answer.read()


def test_a_clinic_opens_saves_and_reads_its_result_and_each_is_audited(
    console: RunningConsole, browser: Browser, axe: str, screenshots: Path, place: Any
) -> None:
    number, secret = place
    who = console.sign_in(Role.CLINIC, [CLINIC])
    before = len(events(console, "delivery", number))
    with visiting(browser, console, who) as visit:
        visit.open("/")
        assert say("zh", "today.unread") in visit.text
        assert say("zh", "today.critical_note", n=2) in visit.text
        visit.open("/inbox?unread=1")
        assert secret not in visit.page.content()
        unread = visit.page.locator("tbody tr").count()
        assert unread >= 3
        visit.page.screenshot(path=screenshots / "inbox-zh.png", full_page=True)
        assert faults_of_access(visit, axe) == []
        visit.open(f"/inbox/{number}")
        assert secret in visit.text
        visit.page.screenshot(path=screenshots / "result-zh.png", full_page=True)
        assert faults_of_access(visit, axe) == []
        visit.press(say("zh", "inbox.mark_read"))
        assert say("zh", "done.read") in visit.text
        visit.open("/inbox?unread=1")
        assert visit.page.locator("tbody tr").count() == unread - 1
    _, kind, pdf = get(console, f"/inbox/{number}/document", who)
    assert kind == "application/pdf"
    assert secret in PdfReader(io.BytesIO(pdf)).pages[0].extract_text()
    _, _, table = get(console, f"/inbox/{number}/document?format=csv", who)
    assert secret in table.decode("utf-8-sig")
    _, _, book = get(console, f"/inbox/{number}/document?format=xlsx", who)
    assert load_workbook(io.BytesIO(book)).sheetnames
    told = [action for _, action, _ in events(console, "delivery", number)][before:]
    assert told == ["show", "read-result", "show", "show", "show"]
    assert {each[2] for each in events(console, "delivery", number)} == {CLINIC}


def test_another_clinic_finds_no_result_and_leaves_no_trace(
    console: RunningConsole, place: Any
) -> None:
    number, _ = place
    other = console.sign_in(Role.CLINIC, [OTHER], language="en")
    before = events(console, "delivery", number)
    assert "data-row" not in ask(console, "/inbox", other)[1]
    for path in (f"/inbox/{number}", f"/inbox/{number}/document", f"/deliveries/{number}"):
        assert ask(console, path, other)[0] == 404
    assert ask(console, f"/inbox/{number}/read", other, {})[0] == 404
    assert "data-row" not in ask(console, "/critical?all=1", other)[1]
    assert events(console, "delivery", number) == before


def test_who_receives_no_results_has_no_inbox(console: RunningConsole, place: Any) -> None:
    for role, institutions in ((Role.OPERATOR, ()), (Role.LAB, (LAB,)), (Role.COACH, (CLINIC,))):
        who = console.sign_in(role, institutions)
        assert ask(console, f"/inbox/{place[0]}", who)[0] == 403
        assert 'href="/inbox' not in ask(console, "/", who)[1]


def test_a_critical_result_is_counted_until_it_is_confirmed_once(
    console: RunningConsole, browser: Browser, axe: str, screenshots: Path
) -> None:
    clinic, auditor = console.sign_in(Role.CLINIC, [CLINIC]), console.sign_in(Role.AUDITOR)
    lab = console.sign_in(Role.LAB, [LAB])
    for who in (auditor, lab):
        _, page = ask(console, "/critical", who)
        assert "data-row" in page
        assert "/confirm" not in page
    with visiting(browser, console, clinic) as visit:
        visit.open("/critical")
        assert visit.page.locator("tbody tr").count() == 2
        assert visit.page.locator("tbody a[href^='/records/']").count() >= 2
        visit.page.screenshot(path=screenshots / "critical-zh.png", full_page=True)
        assert faults_of_access(visit, axe) == []
        visit.press(say("zh", "critical.confirm"))
        assert visit.page.locator("tbody tr").count() == 1
        visit.open("/")
        assert say("zh", "today.critical_note", n=1) in visit.text
        visit.page.screenshot(path=screenshots / "today-critical-zh.png", full_page=True)
        visit.open("/critical?all=1")
        assert visit.page.locator("tbody tr").count() == 2
        left = re.findall(r"/critical/(\d+)/confirm", visit.page.content())
    assert len(left) == 1
    other = console.sign_in(Role.CLINIC, [OTHER], language="en")
    assert ask(console, f"/critical/{left[0]}/confirm", other, {})[0] == 404
    assert ask(console, f"/critical/{left[0]}/confirm", auditor, {})[0] == 403
    assert ask(console, f"/critical/{left[0]}/confirm", lab, {})[0] == 403
    for _ in range(2):
        assert ask(console, f"/critical/{left[0]}/confirm", clinic, {})[0] == 303
    assert [each[1] for each in events(console, "critical", int(left[0]))] == ["confirm-critical"]
    assert say("zh", "today.critical_see") not in ask(console, "/", clinic)[1]


def test_a_delivery_shows_its_tries_to_those_it_concerns(
    console: RunningConsole, browser: Browser, axe: str, screenshots: Path, place: Any
) -> None:
    who = console.sign_in(Role.LAB, [LAB], language="en")
    with visiting(browser, console, who) as visit:
        visit.open("/deliveries")
        assert visit.page.locator("tbody tr").count() >= 3
        visit.page.screenshot(path=screenshots / "deliveries-en.png", full_page=True)
        assert faults_of_access(visit, axe) == []
        visit.open(f"/deliveries/{place[0]}")
        assert "demo-inbox" in visit.text
        assert place[1] not in visit.page.content()


def test_a_refused_delivery_is_sent_again_or_settled_on_its_page(
    console: RunningConsole, browser: Browser, place: Any
) -> None:
    values = {"destination": "his", "kind": "mllp", "state": "refused", "answer": "AE"}

    def refuse(connection: Any) -> list[int]:
        row = connection.execute(select(outgoing).where(outgoing.c.id == place[0])).one()
        taken = ("clinic_code", "lab_code", "receipt_id", "number", "queued_at")
        return [
            connection.execute(
                insert(outgoing).values(
                    {name: getattr(row, name) for name in taken} | values | {"again": again}
                )
            ).inserted_primary_key[0]
            for again in (1, 2)
        ]

    one, other = console.write(refuse)
    clinic = console.sign_in(Role.CLINIC, [CLINIC], language="zh")
    auditor = console.sign_in(Role.AUDITOR, language="zh")
    with visiting(browser, console, clinic) as visit:
        visit.open(f"/deliveries/{one}")
        visit.press(say("zh", "deliveries.settle"))
        assert say("zh", "done.delivery_settled") in visit.text
        assert visit.page.locator(f"form[action='/deliveries/{one}/settle']").count() == 0
        visit.open(f"/deliveries/{other}")
        visit.press(say("zh", "deliveries.again"))
        assert say("zh", "done.sent_again") in visit.text
    assert ask(console, f"/deliveries/{one}/settle", clinic, {})[0] == 404
    assert ask(console, f"/deliveries/{one}/settle", auditor, {})[0] == 403
    assert [each[1] for each in events(console, "delivery", one)] == ["settle-delivery"]
    assert [each[1] for each in events(console, "delivery", other)] == ["deliver-again"]
