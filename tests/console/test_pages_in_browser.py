"""A person walks through every page, in both languages, with keyboard and phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select, update

from broker.access.roles import Role, permissions_of
from broker.demo.people import CLINIC, LAB, PEOPLE
from broker.store.schema import receipt, record
from broker.web.console.rendering import PAGES
from broker.web.console.wording import say
from tests.console.pages import Visit, visiting
from tests.console.running_console import RunningConsole

WALK = {
    **{page.name: page.path for page in PAGES if page.permission in permissions_of(Role.OPERATOR)},
    "record": "/records/1",
    "held-record": "/records/8",
    "rejected-record": "/records/9",
    "unmatched-record": "/records/7",
    "replay": "/records/8/replay",
    "upload": "/uploads/1",
    "delivery": "/deliveries/1",
    "clinic-rates": f"/rates/{CLINIC}",
    "no-page": "/records/999999",
}
IN_DARK = ("today", "worklist", "held-record", "codes", "people")
ALL_RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
_CHECK = """async (rules) => {
  const found = await axe.run(document, { runOnly: rules, resultTypes: ["violations"] });
  return found.violations.map((each) => each.id + ": "
    + each.nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", "));
}"""


def faults_of_access(visit: Visit, axe: str, rules: list[str] = ALL_RULES) -> list[str]:
    # Not through the page: its policy lets no foreign script in, and that is as it should be.
    visit.page.evaluate(axe)
    found: list[str] = visit.page.evaluate(_CHECK, rules)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_is_there_complete_and_accessible(
    console: RunningConsole, browser: Browser, axe: str, screenshots: Path, language: str
) -> None:
    """Chinese and light by all rules; English and dark for the colours of a few pages."""
    who = console.sign_in(Role.OPERATOR, language=language)
    dark = language == "en"
    seen: dict[str, list[str]] = {}
    with visiting(browser, console, who, dark=dark) as visit:
        for name, path in WALK.items():
            visit.open(path, 404 if name == "no-page" else 200)
            assert visit.page.get_attribute("html", "lang") == ("en" if dark else "zh-Hant-TW")
            if dark and name not in IN_DARK:
                continue
            visit.page.screenshot(path=screenshots / f"{name}-{language}.png", full_page=True)
            found = faults_of_access(visit, axe, ["color-contrast"] if dark else ALL_RULES)
            if found:
                seen[name] = found
    assert seen == {}


def test_pages_fit_a_phone_and_print_without_their_frame(
    console: RunningConsole, browser: Browser, axe: str, screenshots: Path
) -> None:
    who = console.sign_in(Role.OPERATOR)
    with visiting(browser, console, who, width=390) as visit:
        for name in ("today", "worklist", "record", "codes", "rates", "uploads"):
            visit.open(WALK[name])
            visit.page.screenshot(path=screenshots / f"{name}-phone.png", full_page=True)
            wide = visit.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide <= 0, name
        assert faults_of_access(visit, axe) == []
    with visiting(browser, console, who) as visit:
        visit.open("/records/1")
        visit.page.emulate_media(media="print")
        visit.page.screenshot(path=screenshots / "record-print.png", full_page=True)
        assert not visit.page.locator(".side").is_visible()
        assert visit.page.locator("#way-title").is_visible()


def test_a_phone_shows_which_page_is_open_and_fits_a_file_to_choose(
    console: RunningConsole, browser: Browser
) -> None:
    with visiting(browser, console, console.sign_in(Role.OPERATOR), width=390) as visit:
        for path in ("/rates", "/settings"):
            visit.open(path)
            here = visit.page.locator(".side [aria-current]").bounding_box()
            assert here is not None
            assert here["x"] >= 0, path
            assert here["x"] + here["width"] <= 390, path
        visit.open(f"/rates/{CLINIC}")
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert visit.page.evaluate(wide) <= 0


def test_the_keyboard_leads_everywhere(console: RunningConsole, browser: Browser) -> None:
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        page = visit.page
        visit.open("/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.keyboard.press("?")
        assert page.locator("#keys").is_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "q"
        page.keyboard.type("9")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert page.url.endswith("/records/9")
        page.keyboard.press("g")
        with page.expect_navigation():
            page.keyboard.press("w")
        assert page.url.endswith("/worklist")
        page.keyboard.press("j")
        assert "at" in (page.locator("[data-row]").first.get_attribute("class") or "")


def test_today_says_what_is_open_and_refreshes_its_part(
    console: RunningConsole, browser: Browser
) -> None:
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/")
        assert say("zh", "today.missed") in visit.text
        assert visit.page.locator("svg.chart rect.bar").count() == 24
        assert visit.page.locator("tr[data-row]").count() >= 3
        part: dict[str, Any] = visit.page.evaluate(
            "async () => { const a = await fetch('/?part=1'); return {s: a.status, "
            "t: await a.text()}; }"
        )
        assert part["s"] == 200
        assert "<html" not in part["t"]
        assert say("zh", "today.flow") in part["t"]


def test_today_counts_by_itself_while_somebody_looks(
    console: RunningConsole, browser: Browser
) -> None:
    held = select(record.c.id, record.c.due_at).where(
        record.c.state == "held", record.c.held_reason == "invalid"
    )
    row = console.write(lambda c: c.execute(held).first())
    change = update(record).where(record.c.id == row.id)
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        with visit.page.expect_response("**/api/v1/events"):
            visit.open("/")
        tile = visit.page.locator('[data-count="waiting"]')
        before = int(tile.inner_text())
        console.write(lambda c: c.execute(change.values(due_at=None)))
        expect(tile).to_have_text(str(before - 1))
        console.write(lambda c: c.execute(change.values(due_at=row.due_at)))
        expect(tile).to_have_text(str(before))


def test_a_patient_is_masked_until_shown_and_the_showing_is_audited(
    console: RunningConsole, browser: Browser
) -> None:
    secret, name = PEOPLE[0].national_id, PEOPLE[0].name.replace("^", "")
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/records/1")
        assert secret not in visit.page.content()
        assert name not in visit.page.content()
        visit.press(say("zh", "record.show_patient"))
        assert secret in visit.page.content()
        assert name in visit.page.content()
        visit.open("/records/1")
        assert secret not in visit.page.content()
        assert say("zh", "audit.action_show_patient") in visit.text
        visit.open("/audit?subject=record:1")
        assert visit.page.locator("tbody tr").count() == 1
        assert secret not in visit.page.content()


def test_bytes_that_were_erased_are_said_to_be(console: RunningConsole, browser: Browser) -> None:
    came = select(receipt.c.id, receipt.c.raw).where(
        receipt.c.id == select(record.c.receipt_id).where(record.c.id == 1).scalar_subquery()
    )
    row = console.write(lambda c: c.execute(came).one())
    change = update(receipt).where(receipt.c.id == row.id)
    console.write(lambda c: c.execute(change.values(raw=b"")))
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/records/1")
        assert say("zh", "record.raw_erased") in visit.page.content()
        console.write(lambda c: c.execute(change.values(raw=row.raw)))
        visit.open("/records/1")
        assert say("zh", "record.raw_erased") not in visit.page.content()


def test_a_cause_is_fixed_at_once_and_goes_on_its_way(
    console: RunningConsole, browser: Browser, screenshots: Path
) -> None:
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/worklist")
        card = visit.page.locator("article.cause", has_text="09013C").first
        card.locator("summary", has_text=say("zh", "worklist.set")).click()
        card.locator("input[name=value]").fill("2.0")
        with visit.page.expect_navigation():
            card.get_by_role("button", name=say("zh", "worklist.set_all", n=1)).click()
        assert say("zh", "done.fixed", ready=1, held=0, left=0) in visit.text
        visit.page.screenshot(path=screenshots / "worklist-fixed.png", full_page=True)
    console.at_rest()
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/records?order=09013C")
        assert say("zh", "states.record_accepted") in visit.text


def test_what_cannot_be_fixed_so_is_refused_in_words(
    console: RunningConsole, browser: Browser
) -> None:
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/worklist")
        card = visit.page.locator("article.cause", has_text="09100C").first
        group = (card.get_attribute("id") or "")[1:]
        visit.page.evaluate(
            """(path) => { const f = document.querySelector("form[action='" + path + "']");
            const b = f.querySelector("button"); b.value = "accept"; f.requestSubmit(b); }""",
            f"/worklist/{group}",
        )
        visit.page.wait_for_selector(".notice.bad")
        assert group in visit.page.inner_text(".notice.bad")


def test_a_code_is_decided_and_what_waited_for_it_goes_on(
    console: RunningConsole, browser: Browser, screenshots: Path
) -> None:
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/codes")
        assert "XQ7" in visit.text
        visit.page.get_by_label(say("zh", "codes.another"), exact=True).check()
        visit.page.locator("input[name=order_code]").first.fill("09025C")
        visit.press(say("zh", "codes.decide"))
        assert say("zh", "done.decided", n=1) in visit.text
        assert (
            "XQ7" in visit.page.locator("section", has=visit.page.locator("#decided")).inner_text()
        )
        visit.page.screenshot(path=screenshots / "codes-decided.png", full_page=True)
    console.at_rest()
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/codes")
        assert say("zh", "codes.none") in visit.text


def test_a_result_on_paper_is_entered_with_little_typing(
    console: RunningConsole, browser: Browser, screenshots: Path
) -> None:
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/entry")
        row = visit.page.locator("tr[data-row]", has_text="08011C").first
        with visit.page.expect_navigation():
            row.get_by_role("link").first.click()
        page = visit.page
        page.screenshot(path=screenshots / "entry-form.png", full_page=True)
        # The last blood count gave unit, method and range.
        assert page.locator("input[name=unit1]").input_value() != ""
        page.locator("input[name=collected_at]").fill(
            page.locator("input[name=reported_at]").input_value()
        )
        count = page.locator("input[name^=value]").count()
        for number in range(1, count + 1):
            page.locator(f"input[name=value{number}]").fill("5.5")
        visit.press(say("zh", "entry.take"))
        assert "結果" in page.inner_text(".notice.good")
    console.at_rest()
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/records?order=08011C")
        assert visit.page.locator("tr[data-row]").count() == 2


def test_a_record_is_replayed_after_a_trial(console: RunningConsole, browser: Browser) -> None:
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/records/7/replay")
        assert say("zh", "record.same") in visit.text
        visit.press(say("zh", "record.replay_now"))
        assert say("zh", "done.replayed") in visit.text


def test_a_result_that_nobody_wants_is_dismissed_with_a_reason(
    console: RunningConsole, browser: Browser
) -> None:
    console.at_rest()
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/records/7")
        visit.page.locator("#reason").fill("病人非本院所")
        visit.press(say("zh", "record.dismiss_it"))
        assert say("zh", "done.dismissed") in visit.text
        assert say("zh", "states.record_superseded") in visit.text


def test_a_person_is_added_and_the_code_is_shown_once(
    console: RunningConsole, browser: Browser
) -> None:
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/people")
        visit.page.locator("#login").fill("mei.lin")
        visit.page.locator("#role").select_option("clinic")
        visit.page.locator("#institutions").fill(CLINIC)
        visit.press(say("zh", "people.add"))
        code = visit.page.inner_text("code.big")
        assert len(code) >= 8
        visit.open("/people")
        assert "mei.lin" in visit.text
        assert code not in visit.page.content()


def test_the_language_is_changed_and_stays(console: RunningConsole, browser: Browser) -> None:
    who = console.sign_in(Role.LAB, [LAB])
    with visiting(browser, console, who) as visit:
        visit.open("/")
        visit.press("English")
        assert visit.page.get_attribute("html", "lang") == "en"
        visit.open("/worklist")
        assert visit.page.get_attribute("html", "lang") == "en"
