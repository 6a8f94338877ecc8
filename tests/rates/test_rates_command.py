"""`labbroker rates`: the tables and the JSON of a clinic's month."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.cli.main import main
from broker.rates.month import Month
from broker.store.engine import open_reader
from mapping.moment import TAIPEI
from mapping.rates.cuts import Cut
from tests.rates.rate_store import CLINIC, LAB, RateStore, open_rate_store, order

OTHER = "3531000000"
# Rates are of the month that is asked for: that of eight days ago holds all of the made-up days.
DAY = (datetime.now(TAIPEI) - timedelta(days=8)).date()
MONTH = str(Month.of(DAY))
SETTINGS = """
data_dir = "store"
[lists]
groups = "groups.csv"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    store = open_rate_store(tmp_path / "store")
    fill(store)
    store.engine.dispose()
    (tmp_path / "labbroker.toml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "groups.csv").write_text(
        f"醫療群代碼,醫療群名稱,醫事機構代碼,起日,迄日\nG1,第一群,{CLINIC},1120101,\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(store: RateStore) -> None:
    """Ten orders at one clinic, six uploaded, one of them late, one opted out; one elsewhere."""
    began = datetime(DAY.year, DAY.month, DAY.day, 3, tzinfo=UTC)
    for number in range(10):
        visit = store.add_visit(DAY, order("09005C", "2" if number == 9 else "1"))
        if number < 6:
            hours = 30 if number == 5 else 5
            store.add_record(visit, "09005C", hours=hours, started_at=began, uploader=LAB)
        elif number == 9:
            store.add_record(visit, "09005C", "held", held_reason="invalid")
    store.add_visit(DAY, order("08011C", upload_opted_out=True))
    store.add_visit(DAY, order("08011C"), institution=OTHER)


@pytest.fixture
def rates(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Rates:
    def run(*arguments: str, language: str = "en") -> str:
        monkeypatch.setenv("LABBROKER_LANG", language)
        assert main(["rates", "--config", "labbroker.toml", "--month", MONTH, *arguments]) == 0
        return capsys.readouterr().out

    return run


Rates = Callable[..., str]


def as_json(text: str) -> Any:
    return json.loads(text)


def test_the_json_tells_every_rate_with_its_numbers_and_date(rates: Rates) -> None:
    told = as_json(rates("--institution", CLINIC, "--json"))
    assert told["rates"]["within_24h"] | {"data_on": ""} == {
        "percent": "45.45",
        "uploaded": "5",
        "due": "11",
        "own": "0",
        "commissioned": "5",
        "opted_out": "1",
        "data_on": "",
    }
    assert told["rates"]["whole_month"]["uploaded"] == "6"
    assert told["rates"]["ic_card"]["due"] == "12"
    assert "nhi" not in told["rates"]
    (late,) = told["differences"][0]["causes"]
    assert (late["cause"], late["uploaded"], late["order_count"]) == ("late", "1", 1)
    # 6 of 11 are below 60 %: 0.6 are lacking, and the order of two does it alone.
    assert told["score"]["points"] == "0"
    assert (
        told["score"]["next"] | {"at_least": "0.6", "needed": "0.6", "order_count": 1}
        == (told["score"]["next"])
    )


def test_everywhere_is_all_institutions(rates: Rates) -> None:
    told = as_json(rates("--json"))
    assert told["institutions"] is None
    assert told["rates"]["whole_month"]["due"] == "12"


@pytest.mark.parametrize("cut", [str(each) for each in Cut])
def test_each_cut_adds_up(rates: Rates, cut: str) -> None:
    told = as_json(rates("--json", "--by", cut))
    rows = told["cut"]["rows"]
    assert sum(int(row["rates"]["whole_month"]["due"]) for row in rows) == 12


def test_a_group_is_named_by_the_list_of_the_settings(rates: Rates) -> None:
    assert "G1 第一群" in rates("--by", "group", language="zh-TW")


def test_the_orders_behind_a_difference_and_the_next_tier_are_listed_without_patients(
    rates: Rates,
) -> None:
    text = rates("--institution", CLINIC, "--explain", "within_24h", "whole_month", "--what-if")
    assert re.search(rf"{CLINIC} {DAY} visit 6 09005C x1 late record 6", text)
    assert re.search(rf"{CLINIC} {DAY} visit 10 09005C x2 held record 7  \+18.1818 %", text)
    assert not re.search(r"[A-Z][12]\d{8}", text.replace(LAB, ""))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("24-hour rate", "45.45", "points 0", "1 more order at", "uploaded, but after")),
        ("zh-TW", ("24 小時內上傳率", "45.45", "得分 0", "最少再上傳 1 筆", "已上傳，但超過")),
    ],
    ids=["en", "zh"],
)
def test_the_table_speaks_both_languages(
    rates: Rates, language: str, words: tuple[str, ...]
) -> None:
    text = rates("--institution", CLINIC, language=language)
    assert [word for word in words if word not in text] == []
    assert "新北" not in text
    assert "臺北市 58 %" in text


def test_an_unknown_institution_has_rates_of_nothing(rates: Rates) -> None:
    told = as_json(rates("--json", "--institution", "3599999999"))
    assert told["rates"]["within_24h"]["percent"] is None
    assert told["score"] is None
    assert "-" in rates("--institution", "3599999999")


def test_a_list_of_groups_that_cannot_be_read_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")
    (folder / "groups.csv").write_text("醫療群代碼,醫事機構代碼\nG1,12\n", encoding="utf-8")
    assert main(["rates", "--config", "labbroker.toml"]) == 2
    assert "ten letters and digits" in capsys.readouterr().err


def test_nothing_is_written_by_asking(folder: Path, rates: Rates) -> None:
    reader = open_reader(folder / "store")
    with reader.connect() as connection:
        before = connection.exec_driver_sql("PRAGMA data_version").scalar()
        rates("--json")
        assert connection.exec_driver_sql("PRAGMA data_version").scalar() == before
    reader.dispose()
