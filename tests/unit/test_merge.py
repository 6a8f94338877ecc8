from __future__ import annotations

from mapping.codes import OrderResult, ResolvedLine
from mapping.merge import merge_order, withdrawn_numbers
from mapping.record import CORRECTION_KEY, Field, UploadRecord, correction_key
from tests.unit.conversion_examples import line


def row(number: str, name: str, value: str, origin: str = "report-items") -> dict[str, Field]:
    return {
        "r1": Field(number, origin),
        "r2": Field(name, origin),
        "r4": Field(value, "OBX[1]-5"),
    }


def counted(number: str, name: str, value: str) -> dict[str, Field]:
    return row(number, name, value, "sequence")


def record(*rows: dict[str, Field], **header: str) -> UploadRecord:
    return UploadRecord({tag: Field(value, "test") for tag, value in header.items()}, rows)


def shown(merged: UploadRecord) -> list[tuple[str, str, str]]:
    return [(r["r1"].value, r["r2"].value, r["r4"].value) for r in merged.rows]


def test_new_rows_stand_in_the_place_of_the_old_and_the_rest_stays() -> None:
    previous = record(row("1", "RBC", "4"), row("2", "Hb", "13"))
    merged = merge_order(previous, record(row("2", "Hb", "14"), row("4", "WBC", "5")))
    assert shown(merged) == [("1", "RBC", "4"), ("2", "Hb", "14"), ("4", "WBC", "5")]


def test_the_key_stays_frozen_and_the_rest_of_the_header_is_new() -> None:
    previous = record(h1="1", h7="Z000", h20="1140302091500", h22="Serum", h16="1140303000000")
    current = record(h1="1", h7="0012", h20="11403020915", h22="Plasma", h3="50", h12="1140302")
    merged = merge_order(previous, current)
    assert correction_key(merged) == correction_key(previous)
    assert merged.value("h3") == ""
    assert (merged.value("h22"), merged.value("h12")) == ("Plasma", "1140302")
    assert "h16" not in merged.header
    assert set(merged.header) & set(CORRECTION_KEY) == {"h1", "h7", "h20"}


def test_rows_counted_by_the_lab_are_recognised_by_their_name() -> None:
    previous = record(counted("1", "p-ANCA", "neg"), counted("2", "c-ANCA", "neg"))
    merged = merge_order(previous, record(counted("1", "c-ANCA", "pos")))
    assert shown(merged) == [("1", "p-ANCA", "neg"), ("2", "c-ANCA", "pos")]


def test_a_new_name_is_added_and_overwrites_nothing() -> None:
    previous = record(counted("1", "p-ANCA", "neg"))
    merged = merge_order(previous, record(counted("1", "c-ANCA", "pos")))
    assert shown(merged) == [("1", "p-ANCA", "neg"), ("2", "c-ANCA", "pos")]


def test_names_that_changed_places_find_each_other() -> None:
    previous = record(counted("1", "A", "1"), counted("2", "B", "2"))
    current = record(counted("1", "B", "20"), counted("2", "A", "10"))
    assert shown(merge_order(previous, current)) == [("1", "A", "10"), ("2", "B", "20")]


def test_rows_of_the_same_name_keep_their_numbers() -> None:
    previous = record(counted("1", "Organism", "E. coli"), counted("2", "Organism", "none"))
    merged = merge_order(previous, record(counted("2", "Organism", "K. pneumoniae")))
    assert shown(merged)[1] == ("2", "Organism", "K. pneumoniae")
    assert shown(merged)[0] == ("1", "Organism", "E. coli")


def test_official_numbers_decide_whatever_the_name() -> None:
    previous = record(row("9", "白血球酯脢", "neg"))
    merged = merge_order(previous, record(row("9", "白血球酯酶", "1+")))
    assert shown(merged) == [("9", "白血球酯酶", "1+")]


def test_rows_stand_in_the_order_of_their_numbers() -> None:
    previous = record(row("10", "J", "x"), row("2", "B", "x"))
    merged = merge_order(previous, record(row("1", "A", "x")))
    assert [r["r1"].value for r in merged.rows] == ["1", "2", "10"]


def test_withdrawn_rows_are_left_out() -> None:
    previous = record(row("1", "RBC", "4"), row("2", "Hb", "13"))
    taken_back = ResolvedLine(line("RBC"), 1, "RBC", "report-items", "report-items")
    result = OrderResult("08011C", (), withdrawn=(taken_back,))
    numbers = withdrawn_numbers(previous, result)
    assert numbers == ("1",)
    assert shown(merge_order(previous, record(), numbers)) == [("2", "Hb", "13")]


def test_a_withdrawn_row_counted_by_the_lab_is_found_by_its_name() -> None:
    previous = record(counted("1", "p-ANCA", "neg"), counted("2", "A＜B", "neg"))
    gone = ResolvedLine(line("x"), 1, "A<B", "OBX[1]-3")
    unknown = ResolvedLine(line("x"), 2, "never sent", "OBX[2]-3")
    result = OrderResult("12171B", (), withdrawn=(gone, unknown))
    assert withdrawn_numbers(previous, result) == ("2",)


def test_merging_changes_neither_of_its_arguments() -> None:
    previous, current = record(counted("1", "A", "1"), h1="1"), record(counted("1", "B", "2"))
    merge_order(previous, current)
    assert shown(previous) == [("1", "A", "1")]
    assert shown(current) == [("1", "B", "2")]


def test_a_line_known_by_its_service_withdraws_only_what_came_under_its_own_code() -> None:
    taken_back = ResolvedLine(line("EAG"), 1, "醣化血色素", "report-items", "service:EAG")
    result = OrderResult("09006C", (), withdrawn=(taken_back,))
    assert withdrawn_numbers(record(row("1", "醣化血色素", "5.6")), result) == ()
    own = record(row("1", "醣化血色素", "114", "service:EAG"))
    assert withdrawn_numbers(own, result) == ("1",)
