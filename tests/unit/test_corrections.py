"""What a person puts right says so, and stays right while the laboratory says the same."""

from __future__ import annotations

from mapping.corrections import carry_corrections, corrected
from mapping.proposals import Change
from mapping.record import Field, UploadRecord


def record(serial: str, value: str = "92", low: str = "") -> UploadRecord:
    row = {"r1": Field("1", "sequence"), "r4": Field(value, "OBX[1]-5")}
    if low:
        row["r6-1"] = Field(low, "OBX[1]-7")
    return UploadRecord({"h7": Field(serial, "visit.visit_serial")}, (row,))


def test_a_change_carries_the_persons_name_and_leaves_the_rest() -> None:
    before = record("002")
    after = corrected(before, (Change(0, "h7", "0002"), Change(1, "r6-1", "<200")), "Wang")
    assert after.header["h7"] == Field("0002", "person:Wang")
    assert after.rows[0]["r6-1"] == Field("＜200", "person:Wang")
    assert after.rows[0]["r4"] == before.rows[0]["r4"]
    assert before.header["h7"].value == "002"


def test_an_empty_value_takes_the_field_away_and_a_missing_row_is_passed_over() -> None:
    after = corrected(record("0002"), (Change(0, "h7", ""), Change(5, "r5", "x")), "Wang")
    assert "h7" not in after.header
    assert len(after.rows) == 1


def test_what_was_put_right_is_carried_while_the_laboratory_says_the_same() -> None:
    old = record("002")
    fixed = corrected(old, (Change(0, "h7", "0002"), Change(1, "r6-1", "70")), "Wang")
    told = carry_corrections(record("002", "95"), fixed, [old])
    assert told.header["h7"] == Field("0002", "person:Wang")
    assert told.rows[0]["r6-1"] == Field("70", "person:Wang")
    assert told.rows[0]["r4"].value == "95"


def test_a_new_word_of_the_laboratory_counts_more_than_the_correction() -> None:
    old = record("002")
    fixed = corrected(old, (Change(0, "h7", "0002"), Change(1, "r6-1", "70")), "Wang")
    told = carry_corrections(record("0117", "95", "65"), fixed, [old])
    assert told.header["h7"].value == "0117"
    assert told.rows[0]["r6-1"].value == "65"


def test_a_correction_of_a_correction_remembers_all_that_it_replaced() -> None:
    old = record("002")
    once = corrected(old, (Change(0, "h7", "0003"),), "Wang")
    twice = corrected(once, (Change(0, "h7", "0002"),), "Lin")
    told = carry_corrections(record("002"), twice, [once, old])
    assert told.header["h7"] == Field("0002", "person:Lin")


def test_nothing_that_a_person_did_not_set_is_carried() -> None:
    old = record("002", low="70")
    fixed = corrected(old, (Change(0, "h7", "0002"),), "Wang")
    told = record("002")
    assert "r6-1" not in carry_corrections(told, fixed, [old]).rows[0]
