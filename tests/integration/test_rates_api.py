"""The rates, NHI's lists and reports for programs: each only of what the caller sees."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from broker.access.roles import Role
from broker.demo.people import national_id
from broker.store.access_tables import audit_event
from broker.store.schema import receipt
from broker.store.visits import store_visits
from mapping.moment import TAIPEI
from mapping.rates.unuploaded_report import roc_day
from mapping.rocdate import roc_date
from mapping.visit import Order, Visit
from tests.console.running_console import RunningConsole, running_console
from tests.folder.unuploaded import list_csv, list_row
from tests.integration.test_api import ask, token_of
from tests.rates.test_nhi_overview import workbook

TAIPEI_CLINIC = "3501200000"
PERSON = national_id("A", 10_000_001)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("rates")) as running:
        yield running


@pytest.fixture(scope="module")
def visited(console: RunningConsole) -> date:
    """A visit five days ago whose order has no result."""
    card_at = datetime.now(TAIPEI) - timedelta(days=5)

    def store(connection: Any) -> None:
        came = connection.execute(select(receipt.c.id)).scalars().first()
        visit = Visit(
            TAIPEI_CLINIC, PERSON, date(1960, 1, 1), card_at, "01", "0001", card_at.date(),
            orders=(Order("09005C"),),
        )  # fmt: skip
        store_visits(connection, came, (visit,))

    console.write(store)
    return card_at.date()


def nhi_report(day: date) -> bytes:
    """NHI's report of one day, made two days later: one of two orders is uploaded."""
    told = roc_day(day)
    return workbook(
        [
            [f"醫事機構代碼：{TAIPEI_CLINIC}"],
            [f"資料擷取日期：{roc_day(day + timedelta(days=2))}"],
            ["", "日期區間", "IC卡上傳件數(A)", "檢驗(查)上傳件數(B)", "上傳率(B/A)"],
            ["合計", f"{told}~{told}", 2, 1, ""],
            ["每日", told, 2, 1, ""],
        ]
    )


def test_a_program_sees_why_rates_differ_and_what_would_help(
    console: RunningConsole, visited: date
) -> None:
    token = token_of(console, Role.CLINIC, (TAIPEI_CLINIC,))
    asked = f"month={visited:%Y-%m}&institution={TAIPEI_CLINIC}"
    status, told, _ = ask(console, token, f"/rates/differences?{asked}&second=ic_card")
    assert status == 200
    assert told["is_known"] is True
    status, told, _ = ask(console, token, f"/rates/what-if?{asked}")
    assert told["score"]["next"]["orders"][0]["order_code"] == "09005C"
    status, told, _ = ask(console, token, f"/rates/cut?{asked}&by=order_code")
    assert [row["key"] for row in told["items"]] == ["09005C"]
    status, told, _ = ask(console, token, f"/rates/missing?{asked}&limit=1")
    assert told["items"][0]["institution"] == TAIPEI_CLINIC
    assert ask(console, token, f"/rates/outlook?{asked}")[0] == 200
    status, told, _ = ask(console, token, f"/rates/board?month={visited:%Y-%m}")
    assert [row["key"] for row in told["clinics"]] == [TAIPEI_CLINIC]
    status, told, _ = ask(console, token, "/rates/published")
    assert {each["data_on"] for each in told["items"]} == {"2023-02-14"}
    for way in ("differences", "what-if", "cut", "missing", "outlook"):
        assert ask(console, token, f"/rates/{way}?institution=3599900099")[0] == 404


def test_a_program_brings_nhi_s_list_and_report_and_takes_them_out_again(
    console: RunningConsole, visited: date
) -> None:
    token = token_of(console, Role.CLINIC, (TAIPEI_CLINIC,))
    coach = token_of(console, Role.COACH, (TAIPEI_CLINIC,))
    elsewhere = token_of(console, Role.CLINIC, ("3599900098", "3599900099"))
    media = "application/octet-stream"
    rows = [
        list_row(PERSON, f"{roc_date(visited)}100000", "0001", "09005C"),
        list_row("A199999999", f"{roc_date(visited)}100000", "=1+1", "09005C"),
    ]
    bring = f"/nhi-files?institution={TAIPEI_CLINIC}"
    for who, status in ((coach, 403), (elsewhere, 404), (token, 200)):
        answer, told, _ = ask(console, who, bring, raw=list_csv(rows), media=media)
        assert answer == status
    number = told["list"]
    assert (told["kind"], told["findings"]) == ("list", [])
    assert ask(console, token, "/nhi-lists")[1]["items"][0]["id"] == number
    outcomes = ask(console, coach, f"/nhi-lists/{number}")[1]["outcomes"]
    assert sum(each["rows"] for each in outcomes) == 2
    of_list = f"/nhi-lists/{number}/rows"
    status, told, _ = ask(console, token, f"{of_list}?limit=1")
    assert (len(told["items"]), told["next"]) == (1, "1")
    for what in ("", "/rows", "/document"):
        assert ask(console, elsewhere, f"/nhi-lists/{number}{what}")[0] == 404
    assert ask(console, coach, of_list)[0] == 403
    status, body, _ = ask(console, token, f"/nhi-lists/{number}/document?format=big5")
    assert PERSON in body.decode("cp950")
    assert ",'=1+1," in body.decode("cp950")
    raw = nhi_report(visited)
    assert ask(console, token, "/nhi-files", raw=raw, media=media)[1]["kind"] == "report"
    assert ask(console, elsewhere, "/nhi-files", raw=raw, media=media)[0] == 404
    status, told, _ = ask(console, token, "/nhi-files", raw=b"PK\x03\x04", media=media)
    assert status == 409
    month = f"{visited:%Y-%m}"
    status, told, _ = ask(console, token, f"/nhi-reports/{TAIPEI_CLINIC}?month={month}")
    assert told["nhi"]["percent"] == "50"
    assert "uploaded_elsewhere" in [gap["cause"] for gap in told["gaps"]]
    assert ask(console, token, "/nhi-reports")[1]["items"]
    assert ask(console, elsewhere, f"/nhi-reports/{TAIPEI_CLINIC}")[0] == 404
    assert ask(console, elsewhere, f"/unuploaded/{TAIPEI_CLINIC}")[0] == 404
    assert ask(console, coach, f"/unuploaded/{TAIPEI_CLINIC}")[0] == 403
    status, body, _ = ask(console, token, f"/unuploaded/{TAIPEI_CLINIC}?format=csv")
    assert PERSON.encode() in body
    for day, status in (("2026-10-31", 200), ("2026-02-30", 400)):
        of_day = f"/unuploaded/{TAIPEI_CLINIC}?format=csv&from={day}&until={day}"
        assert ask(console, token, of_day)[0] == status
    seen = console.write(
        lambda c: c.execute(
            select(audit_event.c.action).where(audit_event.c.action.in_(("show-nhi-list",)))
        ).all()
    )
    assert len(seen) == 2
