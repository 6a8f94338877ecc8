"""The tables of the seeds reproduced to the digit, and where they slip."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from mapping.rates.benchmarks import Benchmark, BenchmarkRow, benchmark, benchmarks
from mapping.rates.counted_order import RateName
from mapping.rates.differences import Cause
from mapping.rates.rate import percent_of
from mapping.rates.regions import city_of, division_of
from mapping.rates.score import RateBand, mean_score, tier_tables
from mapping.unuploaded import IMAGE_ONLY_CODES

ONE = Decimal(1)
TENTH = Decimal("0.1")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "rates.md"

# 未上傳案件日報表, 上傳概況 of 111/11/01-14: day, IC-card quantity, uploaded, printed rate.
OVERVIEW = (
    ("111/11/01", 16, 9, "56.25"),
    ("111/11/02", 8, 6, "75.00"),
    ("111/11/03", 14, 5, "35.71"),
    ("111/11/04", 20, 14, "70.00"),
    ("111/11/06", 1, 0, "0.00"),
    ("111/11/07", 23, 9, "39.13"),
    ("111/11/08", 14, 2, "14.29"),
    ("111/11/09", 15, 3, "20.00"),
    ("111/11/10", 13, 0, "0.00"),
    ("111/11/11", 6, 0, "0.00"),
    ("111/11/14", 10, 0, "0.00"),
)
# 醫療檢查影像: day, A, B, printed rate, own, commissioned, image without report.
IMAGES = (
    ("111/11/01-14", 9873, 3258, "33.00", 2418, 0, 837),
    ("111/11/01", 1124, 443, "39.41", 324, 0, 119),
    ("111/11/02", 925, 343, "37.08", 261, 0, 82),
    ("111/11/03", 834, 294, "35.25", 223, 0, 68),
)
COUNTED = ("division-24h-111q4", "division-participation", "city-month-111q4", "city-labs-111q4")


def rows_of(name: str) -> list[BenchmarkRow]:
    table = benchmark(name)
    return [*table.rows, *([table.total] if table.total else [])]


@pytest.mark.parametrize("name", COUNTED)
def test_each_printed_percentage_is_what_its_row_computes_to(name: str) -> None:
    for row in rows_of(name):
        assert row.uploaded is not None
        assert row.due is not None
        assert percent_of(row.uploaded, row.due, ONE) == row.percent, row.key


def test_the_totals_are_sums_but_for_the_orders_due_of_the_nation() -> None:
    slips = {}
    for name in COUNTED:
        table = benchmark(name)
        assert table.total is not None
        for column in ("due", "uploaded"):
            total = sum(getattr(row, column) for row in table.rows)
            if total != getattr(table.total, column):
                slips[name, column] = total - getattr(table.total, column)
    assert slips == {("division-24h-111q4", "due"): 20_907}


def test_the_means_of_the_groups_are_weighted_by_their_number() -> None:
    table = benchmark("division-groups-111")
    assert table.total is not None

    def mean(column: str, step: str) -> Decimal:
        total = Decimal(sum((row.groups or 0) * getattr(row, column) for row in table.rows))
        return (total / 609).quantize(Decimal(step), ROUND_HALF_UP)

    assert sum(row.groups or 0 for row in table.rows) == 609
    assert mean("percent", "1") == table.total.percent
    assert mean("points", "0.01") == table.total.points


def test_the_bands_of_the_groups_of_taipei_give_its_mean_and_shares() -> None:
    table = benchmark("groups-of-taipei-111")
    bands = [RateBand(Decimal(row.key), row.groups or 0) for row in table.rows]
    scores = [mean_score(bands, each) for each in tier_tables()]
    assert scores == [Decimal("8.66"), Decimal("6.76")]
    taipei = benchmark("division-groups-111").row("臺北")
    assert taipei is not None
    assert taipei.points == scores[0]
    shares = [percent_of(band.groups, 140, TENTH) for band in bands]
    # The seed prints 6.5 for the sixth: 9 of 140 are 6.43.
    assert " ".join(map(str, shares)) == "36.4 17.1 10.0 10.0 5.7 6.4 3.6 10.7"


def test_the_overview_of_the_report_of_cases_not_uploaded_is_reproduced() -> None:
    for day, due, uploaded, printed in OVERVIEW:
        assert str(percent_of(uploaded, due)) == printed, day
    due, uploaded = (sum(row[column] for row in OVERVIEW) for column in (1, 2))  # type: ignore[misc]
    assert (due, uploaded, str(percent_of(uploaded, due))) == (140, 48, "34.29")


def test_the_overview_of_images_is_reproduced_but_for_two_counts_of_images_alone() -> None:
    slips = []
    for day, due, uploaded, printed, own, commissioned, alone in IMAGES:
        assert str(percent_of(uploaded, due)) == printed, day
        if uploaded - own - commissioned != alone:
            slips.append((day, uploaded - own - commissioned, alone))
    assert slips == [("111/11/01-14", 840, 837), ("111/11/03", 71, 68)]


def test_the_tables_of_the_same_cities_disagree_where_the_page_says() -> None:
    table, trend = benchmark("city-month-111q4"), benchmark("city-trend-111")
    differing = {}
    for row in table.rows:
        other = trend.row(row.key)
        assert other is not None
        if other.percents[3] != row.percent:
            differing[row.key, "Q4"] = (row.percent, other.percents[3])
        if other.percents[2] != row.percent_before:
            differing[row.key, "Q3"] = (row.percent_before, other.percents[2])
    assert {key for key in differing if key[1] == "Q4"} == {
        ("新北市", "Q4"),
        ("基隆市", "Q4"),
        ("連江縣", "Q4"),
    }
    assert len([key for key in differing if key[1] == "Q3"]) == 6
    page = PAGE.read_text(encoding="utf-8")
    for (city, quarter), (one, two) in differing.items():
        assert f"{city} {quarter}: {one} and {two}" in page


def test_a_city_without_laboratories_has_an_empty_cell_and_no_row() -> None:
    labs = benchmark("city-labs-111q4")
    assert labs.row("金門縣") is None
    kinds = benchmark("city-kinds-111-12").row("連江縣")
    assert kinds is not None
    assert kinds.percents == (Decimal(52), None, Decimal(52), None)


@pytest.mark.parametrize("table", benchmarks(), ids=lambda table: table.id)
def test_every_table_says_of_when_it_is(table: Benchmark) -> None:
    assert table.period
    assert table.data_on.year == 2023
    assert table.name("zh") != table.name("en")
    for row in table.rows:
        assert not row.percents or len(row.percents) == len(table.kinds)


@pytest.mark.parametrize(
    ("code", "city", "division"),
    [
        ("3501200000", "臺北市", "臺北"),
        ("JY31060000", "新北市", "臺北"),
        ("3532010000", "桃園市", "北區"),
        ("3546010000", "臺東縣", "東區"),
        ("3599999901", "", ""),
        ("", "", ""),
    ],
)
def test_the_code_of_an_institution_tells_its_place(code: str, city: str, division: str) -> None:
    assert (city_of(code), division_of(code)) == (city, division)
    found = benchmark("division-24h-111q4").row_for(code)
    assert (found.key if found else "") == division


def test_the_reference_page_names_every_rate_cause_table_and_tier() -> None:
    page = PAGE.read_text(encoding="utf-8")
    words = [*RateName, *Cause, *(table.id for table in benchmarks())]
    words += [table.edition for table in tier_tables()]
    assert [
        word for word in words if f"| `{word}` |" not in page and f"| {word} |" not in page
    ] == []
    codes = [*IMAGE_ONLY_CODES, "32001C-32002C", "32022C-32023C"]
    assert [code for code in codes if code not in page] == []
