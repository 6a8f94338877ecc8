"""A result that two visits could have ordered waits; a person chooses one, and it goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser
from sqlalchemy import select

from adapters.folder.formats.ic_card_writer import write_ic_card
from broker.access.roles import Role
from broker.demo.messages import Line, Times, oru
from broker.demo.people import CLINIC, Person, national_id, visits
from broker.demo.senders import drop_file, send_hl7
from broker.store.access_tables import audit_event
from broker.store.schema import record, visit
from broker.web.console.wording import say
from mapping.visit import Order
from tests.console.pages import visiting
from tests.console.running_console import RunningConsole, _taken
from tests.console.test_pages_in_browser import faults_of_access
from tests.console.test_reach import ask

PERSON = Person(national_id("B", 19900321), "測試^雙診", date(1971, 2, 3), "M")


async def bring(console: RunningConsole) -> None:
    """Two visits ten days apart, each with the order, and one result of it."""
    now = datetime.now(UTC)
    late = replace(
        visits(now)[1],
        national_id=PERSON.national_id,
        birth_on=PERSON.birth_on,
        visit_serial="0091",
        orders=(Order("09015C", card_mark="03"),),
    )
    span = timedelta(days=10)
    early = replace(
        late, card_at=late.card_at - span, visit_on=late.visit_on - span, visit_serial="0081"
    )
    drop_file(console.stage.visits_inbox, "two-visits.xml", write_ic_card((late, early)))
    await _taken(console.stage)
    line = Line("CREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")
    message = oru("W2-1", PERSON, "CREA", "N200001", (line,), Times.before(now))
    await send_hl7(console.stage, [("two visits", message)], lambda door, what, answer: None)
    await _taken(console.stage)


def the_record(console: RunningConsole) -> Any:
    return console.write(
        lambda c: c.execute(select(record).where(record.c.national_id == PERSON.national_id)).one()
    )


def test_the_visit_of_an_unmatched_result_is_chosen_on_its_page(
    console: RunningConsole, browser: Browser, axe: str, screenshots: Path
) -> None:
    console.run(bring(console))
    row = the_record(console)
    assert (row.state, row.held_reason) == ("held", "unmatched")
    stranger = console.sign_in(Role.CLINIC, ["3599900099"], language="en")
    assert ask(console, f"/records/{row.id}/decide", stranger, {"visit": "1"})[0] == 404
    with visiting(browser, console, console.sign_in(Role.CLINIC, [CLINIC])) as visiting_page:
        visiting_page.open(f"/records/{row.id}")
        choices = visiting_page.page.locator("section#match tbody tr")
        assert choices.count() == 2
        assert choices.locator(".sign").count() >= 2
        visiting_page.page.screenshot(path=screenshots / "choose-visit-zh.png", full_page=True)
        assert faults_of_access(visiting_page, axe) == []
        # The one that is less likely: what is taken must be what was pressed.
        button = choices.nth(1).get_by_role("button", name=say("zh", "record.choose"))
        chosen = int(button.get_attribute("value") or 0)
        with visiting_page.page.expect_navigation():
            button.click()
        assert say("zh", "done.matched") in visiting_page.text
    console.at_rest()
    after = the_record(console)
    assert after.visit_id == chosen
    assert after.state != "held"

    def serial(connection: Any) -> str:
        return str(connection.execute(select(visit.c.body).where(visit.c.id == chosen)).scalar())

    assert "0081" in console.write(serial)

    def told(connection: Any) -> list[str]:
        return list(
            connection.execute(
                select(audit_event.c.action).where(
                    audit_event.c.kind == "record", audit_event.c.subject == str(row.id)
                )
            ).scalars()
        )

    assert console.write(told) == ["match"]
