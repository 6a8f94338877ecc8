"""The page of rates: groups, what NHI published beside it, and the report that can be saved."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from playwright.sync_api import Browser
from sqlalchemy import select

from broker.access.roles import Role
from broker.bootstrap.lists import load_groups
from broker.config.settings import ListSettings
from broker.demo.people import national_id
from broker.store.access_tables import audit_event
from broker.store.schema import receipt
from broker.store.visits import store_visits
from broker.web.console.desk import DESK
from broker.web.console.wording import say
from mapping.moment import TAIPEI
from mapping.rates.groups import Groups, Membership
from mapping.rates.unuploaded_report import roc_day
from mapping.visit import Order, Visit
from tests.console.pages import visiting
from tests.console.running_console import RunningConsole
from tests.console.test_inbox_and_critical import get
from tests.console.test_pages_in_browser import faults_of_access
from tests.console.test_reach import ask
from tests.rates.test_nhi_overview import workbook

TAIPEI_CLINIC = "3501200000"
PERSON = national_id("A", 10_000_001)


@pytest.fixture(scope="module", autouse=True)
def visited(console: RunningConsole) -> date:
    """A visit five days ago whose order has no result."""
    card_at = datetime.now(TAIPEI) - timedelta(days=5)

    def store(connection: Any) -> None:
        came = connection.execute(select(receipt.c.id)).scalars().first()
        visit = Visit(
            TAIPEI_CLINIC,
            PERSON,
            date(1960, 1, 1),
            card_at,
            "01",
            "0001",
            card_at.date(),
            orders=(Order("09005C"),),
        )
        store_visits(connection, came, (visit,))

    console.write(store)
    return card_at.date()


def path(what: str = "") -> str:
    return f"/rates/{TAIPEI_CLINIC}/unuploaded{what}"


def test_groups_and_published_figures_stand_on_the_page(
    console: RunningConsole, browser: Browser, axe: str, screenshots: Path, visited: date
) -> None:
    desk = console.stage.broker._runner.app[DESK]
    members = (Membership("G-007", TAIPEI_CLINIC, "測試醫療群"),)
    object.__setattr__(desk, "groups", lambda: Groups(members))
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open(f"/rates?month={visited:%Y-%m}")
        assert visit.page.locator("#groups").is_visible()
        assert "G-007" in visit.text
        assert "測試醫療群" in visit.text
        beside = visit.page.locator("section[aria-labelledby=beside]").inner_text()
        assert "臺北市" in beside
        assert "2023-02-14" in beside
        assert "58 %" in beside
        assert "1,001,494" in beside
        visit.page.screenshot(path=screenshots / "rates-groups-zh.png", full_page=True)
        assert faults_of_access(visit, axe) == []
        visit.open(f"/rates/{TAIPEI_CLINIC}?month={visited:%Y-%m}")
        assert "111Q4" in visit.text
        visit.page.screenshot(path=screenshots / "clinic-rates-zh.png", full_page=True)
        assert faults_of_access(visit, axe) == []
        with visit.page.expect_download() as saved:
            visit.page.get_by_text(say("zh", "rates.save_xlsx")).click()
        assert saved.value.suggested_filename.startswith(f"未上傳案件明細_{TAIPEI_CLINIC}_")


def test_a_list_of_groups_that_cannot_be_read_is_told_of_and_hides_nothing(
    console: RunningConsole, tmp_path: Path, visited: date
) -> None:
    desk = console.stage.broker._runner.app[DESK]
    lost = ListSettings(groups=tmp_path / "lost.csv")
    object.__setattr__(desk, "groups", lambda: load_groups(lost))
    who = console.sign_in(Role.CLINIC, [TAIPEI_CLINIC])
    status, page = ask(console, f"/rates?month={visited:%Y-%m}", who)
    assert status == 200
    assert "lost.csv" in page
    assert f"/rates/{TAIPEI_CLINIC}" in page


def test_the_report_is_saved_in_three_forms_and_each_saving_is_audited(
    console: RunningConsole,
) -> None:
    who = console.sign_in(Role.CLINIC, [TAIPEI_CLINIC])
    _, _, book = get(console, path(), who)
    cells = [
        str(cell)
        for sheet in load_workbook(io.BytesIO(book))
        for row in sheet.iter_rows(values_only=True)
        for cell in row
    ]
    assert PERSON in cells
    _, kind, table = get(console, path("?format=csv"), who)
    assert table.startswith("﻿".encode())
    assert PERSON.encode() in table
    _, kind, table = get(console, path("?format=big5"), who)
    assert kind.endswith("big5")
    assert PERSON in table.decode("cp950")

    def told(connection: Any) -> list[Any]:
        return list(
            connection.execute(
                select(audit_event).where(
                    audit_event.c.action == "download-unuploaded",
                    audit_event.c.person == "clinic-zh-1",
                )
            )
        )

    events = console.write(told)
    assert [json.loads(each.detail)["format"] for each in events] == ["xlsx", "csv", "big5"]
    assert {each.institution for each in events} == {TAIPEI_CLINIC}
    assert not any(PERSON in str(tuple(each)) for each in events)


def test_who_may_see_no_patient_or_not_this_clinic_saves_nothing(console: RunningConsole) -> None:
    for role, institutions, status in (
        (Role.COACH, (TAIPEI_CLINIC,), 403),
        (Role.AUDITOR, (), 403),
        (Role.CLINIC, ("3599900099",), 404),
    ):
        who = console.sign_in(role, institutions, language="en")
        answer, text = ask(console, path(), who)
        assert answer == status
        assert PERSON not in text
        page = ask(console, f"/rates/{TAIPEI_CLINIC}", who)[1]
        assert "/unuploaded" not in page
    assert ask(console, path("?format=exe"), console.sign_in(Role.OPERATOR))[0] == 404


def nhi_report(day: date, clinic: str = TAIPEI_CLINIC, due: int = 3) -> bytes:
    """NHI's report of one day, made two days later: one upload of ``due`` orders."""
    told = roc_day(day)
    return workbook(
        [
            [f"醫事機構代碼：{clinic}"],
            [f"資料擷取日期：{roc_day(day + timedelta(days=2))}"],
            ["", "日期區間", "IC卡上傳件數(A)", "檢驗(查)上傳件數(B)", "上傳率(B/A)"],
            ["合計", f"{told}~{told}", due, 1, ""],
            ["每日", told, due, 1, ""],
        ]
    )


def test_nhi_s_report_is_brought_on_the_page_and_each_day_explained(
    console: RunningConsole, browser: Browser, axe: str, tmp_path: Path, visited: date
) -> None:
    file, other = tmp_path / "報表.xlsx", tmp_path / "other.xlsx"
    file.write_bytes(nhi_report(visited))
    other.write_bytes(nhi_report(visited, "3599900099"))
    who = console.sign_in(Role.CLINIC, [TAIPEI_CLINIC])
    with visiting(browser, console, who) as visit:
        for path_of, said in (
            (other, "不是健保署提供給本院所"),
            (file, say("zh", "done.nhi_report")),
        ):
            visit.open(f"/rates/{TAIPEI_CLINIC}?month={visited:%Y-%m}")
            visit.page.locator("input[name=report]").set_input_files(path_of)
            visit.page.get_by_text(say("zh", "rates.nhi_import")).click()
            visit.page.wait_for_load_state()
            assert said in visit.text
        shown = visit.page.locator("section[aria-labelledby=nhi]").inner_text()
        assert "健保署有 IC 卡資料，本系統未收到" in shown
        assert "健保署計為已上傳，本系統無上傳紀錄" in shown
        assert "-2" in shown
        assert "33.33" in visit.text
        assert faults_of_access(visit, axe) == []
    page = ask(console, f"/rates/{TAIPEI_CLINIC}", console.sign_in(Role.COACH, [TAIPEI_CLINIC]))[1]
    assert 'name="report"' not in page


def test_the_board_shows_what_the_clinic_s_page_shows(
    console: RunningConsole, visited: date
) -> None:
    who = console.sign_in(Role.OPERATOR)
    month = f"?month={visited:%Y-%m}"
    rows = re.compile(rf"{TAIPEI_CLINIC}</a></td><td class=\"number\">([0-9.]+)</td>")
    before = rows.search(ask(console, f"/rates{month}", who)[1])
    assert before is not None

    def store(connection: Any) -> None:
        came = connection.execute(select(receipt.c.id)).scalars().first()
        card_at = datetime.combine(visited, time(1, 0), UTC)
        visit = Visit(
            TAIPEI_CLINIC, national_id("A", 10_000_002), date(1960, 1, 1), card_at, "01", "0002",
            visited, orders=(Order("09005C"),),
        )  # fmt: skip
        store_visits(connection, came, (visit,))

    console.write(store)
    tile = re.search(r"0 / ([0-9.]+)", ask(console, f"/rates/{TAIPEI_CLINIC}{month}", who)[1])
    after = rows.search(ask(console, f"/rates{month}", who)[1])
    assert tile is not None
    assert after is not None
    assert Decimal(after[1]) == Decimal(before[1]) + 1 == Decimal(tile[1])
    own = console.sign_in(Role.CLINIC, [TAIPEI_CLINIC])
    shown = rows.search(ask(console, f"/rates{month}", own)[1])
    assert shown is not None
    assert Decimal(shown[1]) == Decimal(after[1])
