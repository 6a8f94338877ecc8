from __future__ import annotations

from collections import Counter
from importlib import resources

import pytest

from mapping.catalogue.tables import (
    code_table,
    has_programme,
    loinc_order_codes,
    order_code,
    order_codes,
    programme_item,
    read_table,
    report_items,
)


def test_all_708_order_codes_are_there_with_their_report_type() -> None:
    types = Counter(code.report_type for code in order_codes().values())
    assert types == {"1": 607, "2": 72, "3": 29}


def test_an_order_code_is_found_or_is_none() -> None:
    found = order_code("08011C")
    assert found is not None
    assert found.report_type == "1"
    assert order_code("99999Z") is None


def test_the_panel_of_blood_counts_keeps_the_official_order() -> None:
    items = report_items("08011C")
    assert [item.number for item in items] == list(range(1, 9))
    assert items[1].name == "Hemoglobin 血色素"
    assert items[1].units == ("g/dL",)
    assert report_items("99999Z") == ()


def test_all_123_report_items_stand_under_codes_of_the_list() -> None:
    rows = read_table("report-items")
    assert len(rows) == 123
    assert {row["order_code"] for row in rows} <= set(order_codes())


def test_loinc_links_go_to_each_order_code_once() -> None:
    assert loinc_order_codes("2160-0") == ("09015C",)
    assert loinc_order_codes("0-0") == ()
    assert sum(1 for _ in read_table("loinc-links")) == 806


def test_programme_rows_are_found_by_code_and_row_number() -> None:
    item = programme_item("09015C", "101")
    assert item is not None
    assert item.decimals == 2
    assert programme_item("09015C", "1") is None
    assert has_programme("Y00000")
    assert not has_programme("08011C")


def test_all_46_codes_of_the_check_report_have_names() -> None:
    assert len(code_table("nhi-codes")) == 46
    assert code_table("nhi-codes")["01"].name_zh == "資料長度不正確"


@pytest.mark.parametrize(
    "entry",
    [e for e in (resources.files("mapping") / "catalogue").iterdir() if e.name.endswith(".csv")],
    ids=lambda entry: str(entry.name),
)
def test_every_table_names_its_source_first(entry: resources.abc.Traversable) -> None:
    assert entry.read_text(encoding="utf-8").startswith("# source: ")
