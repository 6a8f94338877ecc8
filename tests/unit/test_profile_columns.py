"""Proposals for files whose columns are hard to tell apart."""

from __future__ import annotations

from datetime import date

from adapters.folder.profile_proposal import propose_profile
from tests.folder.tables import NATIONAL_ID, OTHER_ID, csv_file, dbf_file, fixed_file

TODAY = date(2026, 8, 20)


def test_columns_of_fixed_width_that_stand_close_together_are_parted_by_their_shape() -> None:
    widths = (10, 7, 10, 8, 20, 8, 8, 12, 11, 11)
    rows = [
        f"{NATIONAL_ID}|0640701|3501234567|GLU|飯前血糖|92|mg/dL|70-99|11508140910|11508141530",
        f"{OTHER_ID}|0801231|3501234567|CHO|總膽固醇|231|mg/dL|<200|11508140925|11508141530",
    ]
    found = propose_profile(fixed_file([row.split("|") for row in rows], widths), "day.txt", TODAY)
    places = {name: place for name, (place, *_) in found.profile.columns.items()}
    assert places["national_id"] == "1-10"
    assert places["birth_on"] == "11-17"
    assert places["clinic_code"] == "18-27"
    assert places["collected_at"] == "84-94"
    assert places["reported_at"] == "95-105"
    assert "format" in found.doubts


def test_a_column_that_only_begins_like_an_id_is_not_parted() -> None:
    rows = [("A123456789B", "x"), ("Nothing", "y")]
    found = propose_profile(
        fixed_file([(*row, "92", "mg/dL", "70-99") for row in rows], (14, 6, 6, 8, 8)),
        "day.txt",
        TODAY,
    )
    assert ("1-10",) not in found.profile.columns.values()


def test_of_two_times_without_a_telling_name_the_earlier_is_the_collection() -> None:
    fields = [("PATID", "C", 10), ("TESTNAME", "C", 12), ("RESULT", "C", 6), ("UNIT", "C", 8)]
    fields += [("DT1", "C", 11), ("DT2", "C", 11)]
    record = [NATIONAL_ID.encode(), "飯前血糖".encode("cp950"), b"92", b"mg/dL"]
    for first, second, collected in (
        (b"11508140910", b"11508141530", "DT1"),
        (b"11508141530", b"11508140910", "DT2"),
    ):
        raw = dbf_file(fields, [[*record, first, second], [*record, first, second]])
        found = propose_profile(raw, "day.dbf", TODAY)
        assert found.profile.columns["collected_at"] == (collected,)
        assert "columns.collected_at" in found.doubts


def test_a_number_that_either_side_could_have_given_is_a_doubt() -> None:
    rows = [("身分證號", "檢驗單號", "檢驗項目", "結果"), (NATIONAL_ID, "R1", "飯前血糖", "92")]
    found = propose_profile(csv_file(rows), "day.csv", TODAY)
    assert "accession_number" in found.doubts["columns.placer_order_number"].text("en")
