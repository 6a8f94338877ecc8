from __future__ import annotations

from mapping.catalogue.tables import read_table, report_items
from mapping.item_lookup import find_item, is_loinc, numbered_rows
from mapping.report import Coding


def test_every_alias_names_a_row_of_the_official_table() -> None:
    for row in read_table("item-aliases"):
        code = row["order_code"]
        numbers = {item.number for item in report_items(code) or numbered_rows(code)}
        assert int(row["number"]) in numbers, row
        assert row["kind"] in ("name", "loinc"), row


def test_every_alias_leads_to_its_own_row() -> None:
    for row in read_table("item-aliases"):
        loinc = row["kind"] == "loinc"
        coding = Coding(row["text"], "", "LN" if loinc else "L")
        item = find_item(row["order_code"], (coding,), row["unit"])
        assert item is not None, row
        assert item.number == int(row["number"]), row


def test_every_official_name_leads_to_its_own_row() -> None:
    for code in {row["order_code"] for row in read_table("report-items")}:
        for item in report_items(code):
            unit = item.units[0] if item.units else ""
            assert find_item(code, (Coding("1", item.name, "L"),), unit) is item


def test_loinc_codes_in_the_alias_table_have_right_check_digits() -> None:
    for row in read_table("item-aliases"):
        if row["kind"] == "loinc":
            digits, check = row["text"].split("-")
            doubled = int(digits[::-2]) * 2
            total = sum(map(int, str(doubled))) + sum(map(int, digits[-2::-2]))
            assert (10 - total % 10) % 10 == int(check), row


def test_codings_that_name_two_rows_name_none() -> None:
    torn = (Coding("1", "RBC", "L"), Coding("718-7", "", "LN"))
    assert find_item("08011C", torn, "") is None


def test_a_bare_code_counts_as_loinc_only_by_its_shape() -> None:
    assert is_loinc(Coding("718-7"))
    assert is_loinc(Coding("718-7", "", "http://loinc.org"))
    assert not is_loinc(Coding("WBC-1"))
    assert not is_loinc(Coding("718-7", "", "99LAB"))


def test_a_name_and_its_translation_in_brackets_are_the_row_that_both_mean() -> None:
    for name in ("肌酸酐(Creatinine)", "Creatinine（肌酸酐）", "CRE ( 肌酸酐 )"):
        item = find_item("09015C", (Coding("B0102", name, "L"),), "mg/dL")
        assert item is not None, name
        assert item.number == 1, name


def test_a_name_with_another_word_in_brackets_is_no_row() -> None:
    for name in ("肌酸酐(eGFR)", "肌酸酐(尿液)", "肌酸酐(Creatinine)24hr"):
        assert find_item("09015C", (Coding("B0102", name, "L"),), "mg/dL") is None, name
