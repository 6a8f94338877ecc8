"""NHI's overview (上傳概況) is read as its own figure, and each day's difference is explained."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from adapters.folder.formats.nhi_overview import OverviewUnreadable, read_nhi_overview
from broker.cli.main import main
from broker.rates.compared_overview import compared
from broker.rates.month import Month, rates_of
from broker.rates.unuploaded_report import report_of
from broker.store.nhi_overviews import newest_overview, overviews_of, store_overview
from mapping.errors import LabbrokerError
from mapping.finding import Finding
from mapping.rates.counted_order import CountedOrder, Progress, RateName
from mapping.rates.nhi_overview import GapCause, NhiOverview, OverviewDay, gaps
from tests.rates.rate_store import CLINIC, open_rate_store, order

# The days that seed 000 shows, with NHI's own numbers.
DAYS = (
    (1, 16, 9), (2, 8, 6), (3, 14, 5), (4, 20, 14), (6, 1, 0), (7, 23, 9), (8, 14, 2),
    (9, 15, 3), (10, 13, 0), (11, 6, 0), (14, 10, 0),
)  # fmt: skip
DATA_ON = date(2022, 11, 16)


def overview_rows(days: Sequence[tuple[int, int, int]] = DAYS) -> list[list[Any]]:
    """As the page of seed 000 shows it: a header of two rows, the results, then the images."""
    due, uploaded = (sum(day[at] for day in days) for at in (1, 2))
    return [
        ["醫事機構代碼：3501200000"],
        ["資料擷取日期：111/11/16"],
        [],
        [
            "", "日期區間", "IC卡上傳件數(A)", "檢驗(查)上傳件數(B)", "上傳率(B/A)",
            "檢驗(查)上傳數", "", "未完整上傳數(影像)", "",
        ],
        ["", "", "", "", "", "自行上傳", "交付上傳", "有影像無報告", "有報告無影像"],
        ["檢驗(查)結果"],
        ["合計", "111/11/01~111/11/14", f"{due:,}", str(uploaded), "34.29%", str(uploaded), 0],
        *(
            ["每日" if at == 0 else "", f"111/11/{day:02d}", a, b, "", b, 0]
            for at, (day, a, b) in enumerate(days)
        ),
        ["醫療檢查影像"],
        ["合計", "111/11/01~111/11/14", "9,873", "3,258", "33.00%", "2,418", 0, 837, 561],
        ["每日", "111/11/01", "1,124", 443, "39.41%", 324, 0, 119, 107],
    ]  # fmt: skip


def workbook(rows: Sequence[Sequence[object]], title: str = "上傳概況") -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def read(rows: Sequence[Sequence[object]], findings: list[Finding] | None = None) -> NhiOverview:
    return read_nhi_overview(workbook(rows), "報表.xlsx", [] if findings is None else findings)


def test_the_sample_of_the_seeds_is_read_to_the_digit() -> None:
    findings: list[Finding] = []
    told = read(overview_rows(), findings)
    assert (told.institution_code, told.data_on) == ("3501200000", DATA_ON)
    assert (told.from_on, told.until_on) == (date(2022, 11, 1), date(2022, 11, 14))
    assert [(day.visit_on.day, int(day.due), int(day.uploaded)) for day in told.days] == list(DAYS)
    rate = told.rate(told.from_on, told.until_on)
    assert rate is not None
    assert [str(each) for each in (rate.due, rate.uploaded, rate.percent)] == ["140", "48", "34.29"]
    assert [rate.own, rate.commissioned] == [48, 0]
    assert rate.data_on == DATA_ON
    assert findings == []


def test_a_column_that_is_not_known_is_told_and_not_read() -> None:
    rows = overview_rows()
    rows[3][7] = "新欄位"
    findings: list[Finding] = []
    assert len(read(rows, findings).days) == len(DAYS)
    assert [(each.code, each.value) for each in findings] == [("nhi-overview-column", "新欄位")]
    assert "新欄位" in findings[0].message("zh")


def test_days_that_do_not_make_the_total_are_told() -> None:
    rows = overview_rows()
    rows[7][2] = 17
    findings: list[Finding] = []
    assert read(rows, findings).days[0].due == 17
    assert [each.code for each in findings] == ["nhi-overview-sum"]


@pytest.mark.parametrize(
    ("row", "column", "value", "said"),
    [
        (0, 0, "", "whose"),
        (1, 0, "", "資料擷取日期"),
        (3, 1, "日期", "日期區間"),
        (3, 2, "A", "IC卡上傳件數"),
        (7, 2, "many", "no number"),
        (7, 2, "-3", "no number"),
        (8, 1, "111/11/01", "twice"),
        (8, 1, "111/13/01", "does not exist"),
        (8, 1, "111/12/01", "outside"),
    ],
    ids=["whose", "when", "days", "due", "word", "minus", "twice", "month", "outside"],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    row: int, column: int, value: str, said: str
) -> None:
    rows = overview_rows()
    rows[row][column] = value
    with pytest.raises(OverviewUnreadable) as refused:
        read(rows)
    assert said in refused.value.sentence("en")
    assert refused.value.sentence("zh") != refused.value.sentence("en")


@given(st.binary(max_size=60))
@settings(max_examples=60)
def test_bytes_that_are_no_report_are_refused_clearly(tail: bytes) -> None:
    for raw in (tail, b"PK\x03\x04" + tail):
        with pytest.raises(LabbrokerError):
            read_nhi_overview(raw, "x.xlsx", [])


def counted(
    day: int,
    progress: Progress = Progress.NO_RESULT,
    quantity: str = "1",
    confirmed: datetime | None = None,
) -> CountedOrder:
    return CountedOrder(
        CLINIC, day, date(2022, 11, day), "09005C", Decimal(quantity), progress,
        confirmed_at=confirmed,
    )  # fmt: skip


def overview(*days: tuple[int, int, int]) -> NhiOverview:
    told = [OverviewDay(date(2022, 11, day), Decimal(a), Decimal(b)) for day, a, b in days]
    return NhiOverview(CLINIC, date(2022, 11, 1), date(2022, 11, 14), DATA_ON, tuple(told))


EARLY, AFTER = datetime(2022, 11, 3, 4, tzinfo=UTC), datetime(2022, 11, 16, 17, tzinfo=UTC)


def test_each_day_says_why_it_differs_and_by_which_orders() -> None:
    orders = [
        counted(1),
        counted(2, Progress.ON_TIME, "2", EARLY),
        counted(3, Progress.LATE, confirmed=AFTER),
        counted(4),
        counted(6),
    ]
    told = overview((1, 3, 0), (2, 2, 0), (3, 1, 0), (4, 1, 1))
    found = gaps(told, orders, date(2022, 11, 1), date(2022, 11, 30))
    assert [
        (each.visit_on.day, each.cause, int(each.uploaded), int(each.due)) for each in found
    ] == [
        (1, GapCause.CARD_DATA_NOT_HERE, 0, -2),
        (2, GapCause.NOT_TIED, 2, 0),
        (3, GapCause.NEWER, 1, 0),
        (4, GapCause.UPLOADED_ELSEWHERE, -1, 0),
        (6, GapCause.CARD_DATA_NOT_AT_NHI, 0, 1),
    ]
    assert [order.visit_id for each in found for order in each.orders] == [2, 3, 6]
    assert all(each.text("zh") and each.text("en") for each in found)


orders_of_a_day = st.builds(
    counted,
    st.integers(1, 16),
    st.sampled_from(tuple(Progress)),
    st.integers(1, 30).map(lambda tenths: str(Decimal(tenths) / 10)),
    st.sampled_from((EARLY, AFTER)),
)


@given(
    st.lists(orders_of_a_day, max_size=25),
    st.dictionaries(st.integers(1, 14), st.tuples(st.integers(0, 9), st.integers(0, 9))),
)
@settings(max_examples=100)
def test_the_causes_add_up_to_the_whole_difference(
    orders: list[CountedOrder], days: dict[int, tuple[int, int]]
) -> None:
    told = overview(*((day, *counts) for day, counts in sorted(days.items())))
    found = gaps(told, orders, told.from_on, told.until_on)
    ours = [order for order in orders if order.visit_on <= told.until_on]
    uploaded = (Progress.ON_TIME, Progress.LATE)
    assert sum(each.due for each in found) == sum(order.quantity for order in ours) - sum(
        day.due for day in told.days
    )
    assert sum(each.uploaded for each in found) == sum(
        order.quantity for order in ours if order.progress in uploaded
    ) - sum(day.uploaded for day in told.days)


def test_the_command_keeps_it_and_says_why_ours_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_rate_store(tmp_path / "store")
    store.add_visit(date(2022, 11, 1), order("09005C", "16"))
    visit_id = store.add_visit(date(2022, 11, 2), order("09005C", "8"))
    store.add_record(visit_id, "09005C", started_at=EARLY)
    store.engine.dispose()
    (tmp_path / "labbroker.toml").write_text('data_dir = "store"\n', encoding="utf-8")
    rows = overview_rows(((1, 16, 0), (2, 8, 6)))
    rows[3][7] = "新欄位"
    (tmp_path / "報表.xlsx").write_bytes(workbook(rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABBROKER_LANG", "en")
    config = ["--config", "labbroker.toml"]
    assert main(["unuploaded", "報表.xlsx", *config]) == 1
    told = capsys.readouterr().out
    assert "NHI: 25.00 % (6/24)" in told
    assert "2022-11-02 uploaded by our books" in told
    assert "uploaded +2, due 0" in told
    assert "新欄位" in told
    assert main(["unuploaded", "報表.xlsx", *config, "--json"]) == 1
    plain = json.loads(capsys.readouterr().out)
    assert [gap["cause"] for gap in plain["gaps"]] == ["not_tied"]
    assert plain["gaps"][0]["orders"][0]["visit_id"] == visit_id
    month = ["rates", *config, "--institution", CLINIC, "--month", "2022-11"]
    assert main([*month, "--explain", "ic_card", "nhi"]) == 0
    told = capsys.readouterr().out
    assert "NHI's own figure → IC-card based rate (2022-11-01/2022-11-14" in told
    assert main([*month, "--by", "day", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["rates"]["nhi"]["percent"] == "25"
    assert set(plain["cut"]["rows"][0]["rates"]) == {"within_24h", "whole_month", "ic_card"}
    assert [gap["uploaded"] for gap in plain["overview"]["gaps"]] == ["2"]


def test_our_own_report_is_read_as_an_overview_that_differs_in_nothing(tmp_path: Path) -> None:
    store = open_rate_store(tmp_path)
    now = datetime(2026, 11, 28, 4, tzinfo=UTC)
    for day, state in ((10, "accepted"), (11, "held"), (12, "accepted")):
        visit_id = store.add_visit(date(2026, 11, day), order("09005C", "2"), order("08011C"))
        store.add_record(visit_id, "09005C", state)
    with store.engine.begin() as connection:
        report = report_of(connection, CLINIC, date(2026, 11, 1), date(2026, 11, 26), now)
        told = read_nhi_overview(report.as_xlsx(), f"{report.stem}.xlsx", [])
        store_overview(connection, told, now)
        store_overview(connection, told, now + timedelta(hours=1))
        assert overviews_of(connection, None, 9) == [told]
        assert overviews_of(connection, frozenset({"3531000000"}), 9) == []
        mine = frozenset({CLINIC})
        assert newest_overview(connection, mine, date(2026, 12, 1), date(2026, 12, 31)) is None
        found = compared(connection, told)
        assert [found.theirs.due, found.theirs.uploaded] == [9, 4]
        assert [found.ours.due, found.ours.uploaded] == [9, 4]
        assert found.gaps == ()
        rates = rates_of(connection, mine, Month(2026, 11), now)
        assert rates.rates[RateName.NHI].percent == rates.rates[RateName.IC_CARD].percent
        assert rates.rates[RateName.NHI].data_on == date(2026, 11, 28)
        assert RateName.NHI not in rates.by_order
        assert rates.overview_gaps() == ()
        assert RateName.NHI not in rates_of(connection, None, Month(2026, 11), now).rates
    store.engine.dispose()
