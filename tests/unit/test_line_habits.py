"""A laboratory that suddenly sends another unit or range is noticed on the first result."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from mapping.finding import Severity
from mapping.line_habits import Habit, HabitKind, LineHabits
from mapping.moment import Moment
from mapping.report import Coding, LabReport, Observation, Patient, ReferenceRange, Specimen

NOON = Moment(datetime(2026, 11, 20, 4, tzinfo=UTC))


def line(
    unit: str = "mg/dL", ranged: str = "70-99", code: str = "GLU", name: str = ""
) -> Observation:
    reference = ReferenceRange(raw=ranged)
    return Observation((Coding(code, name),), "90", "NM", unit, reference, place="OBX[1]")


def review(
    habits: LineHabits,
    *lines: Observation,
    specimen: str = "Serum",
    sex: str = "M",
    born: date | None = date(1970, 1, 1),
    source: str = "lab",
    default_unit: str = "",
) -> list[str]:
    report = LabReport(
        Patient(sex=sex, birth_on=born), (), lines, specimen=Specimen(specimen), reported_at=NOON
    )
    return [found.code for found in habits.review(source, report, lines, default_unit)]


def test_the_first_result_of_a_code_is_its_habit_and_the_next_says_nothing() -> None:
    habits = LineHabits()
    assert review(habits, line()) == []
    assert review(habits, line()) == []
    assert [habit.value for habit in habits.take_new()] == ["mg/dL", "70-99"]
    assert habits.take_new() == ()


def test_another_unit_is_an_error_on_each_result_until_it_is_confirmed() -> None:
    habits = LineHabits()
    review(habits, line())
    for _ in range(3):
        assert review(habits, line("mmol/L")) == ["unit-changed"]
    assert review(habits, line()) == []
    new = habits.take_new()[-1]
    assert (new.value, new.known) == ("mmol/L", False)
    confirmed = LineHabits([new._replace(known=True)])
    assert review(confirmed, line("mmol/L")) == []


def test_the_finding_names_the_unit_and_what_it_was_and_is_about_the_unit_field() -> None:
    habits = LineHabits()
    review(habits, line())
    report = LabReport(Patient(), (), (), specimen=Specimen("Serum"))
    (found,) = habits.review("lab", report, [line("mmol/L", "")])
    assert (found.field, found.value, found.severity) == ("r5", "mmol/L", Severity.ERROR)
    assert dict(found.parameters)["known"] == "mg/dL"
    assert "mmol/L" in found.message("en")
    assert "mg/dL" in found.message("zh")
    assert "labbroker codes confirm lab" in found.remedy("en")


def test_another_range_is_a_warning_once() -> None:
    habits = LineHabits()
    review(habits, line())
    assert review(habits, line(ranged="74-106")) == ["range-changed"]
    assert review(habits, line(ranged="74-106")) == []
    assert review(habits, line(ranged="70-99")) == []
    new = habits.take_new()[-1]
    assert (new.kind, new.group, new.known) == (HabitKind.RANGE, "M adult", False)
    assert review(LineHabits([new]), line(ranged="74-106")) == []


def test_each_sex_and_children_have_ranges_of_their_own() -> None:
    habits = LineHabits()
    review(habits, line())
    assert review(habits, line(ranged="60-90"), sex="F") == []
    assert review(habits, line(ranged="50-90"), born=date(2020, 1, 1)) == []
    assert review(habits, line(ranged="40-90"), born=None) == []


@pytest.mark.parametrize("other", ["MG/DL", " mg / dL", "mg/dl"])
def test_another_spelling_of_the_unit_is_no_change(other: str) -> None:
    habits = LineHabits()
    review(habits, line())
    assert review(habits, line(other)) == []


def test_another_specimen_source_or_code_has_habits_of_its_own() -> None:
    habits = LineHabits()
    review(habits, line())
    assert review(habits, line("g/L"), specimen="Urine") == []
    assert review(habits, line("g/L"), source="other") == []
    assert review(habits, line("g/L", code="GLU2")) == []


def test_two_units_of_one_code_in_its_first_report_are_both_its_habit() -> None:
    habits = LineHabits()
    assert review(habits, line("%", "1-2"), line("10^3/uL", "3-4")) == []
    assert review(habits, line("10^3/uL", "3-4")) == []
    assert review(habits, line("g/L", "3-4")) == ["unit-changed"]


def test_a_missing_unit_is_the_default_of_the_source_or_none_at_all() -> None:
    without, with_default = LineHabits(), LineHabits()
    for habits in (without, with_default):
        review(habits, line())
    assert review(without, line("")) == []
    assert review(with_default, line(""), default_unit="無") == ["unit-changed"]
    assert review(LineHabits(), line("", "")) == []


def test_a_line_without_a_code_goes_by_its_name() -> None:
    habits = LineHabits()
    review(habits, line(code="", name="飯前血糖"))
    assert review(habits, line("mmol/L", code="", name="飯前血糖")) == ["unit-changed"]


def test_a_text_that_is_too_long_for_a_unit_or_range_is_not_learned() -> None:
    habits = LineHabits()
    assert review(habits, line("x" * 101, "y" * 101)) == []
    assert habits.take_new() == ()


def test_what_was_learned_is_known_again_after_a_restart() -> None:
    habits = LineHabits()
    review(habits, line())
    again = LineHabits(habits.take_new())
    assert review(again, line()) == []
    assert review(again, line("mmol/L", "70-99")) == ["unit-changed"]
    assert isinstance(again.take_new()[0], Habit)
