from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mapping.order_identity import order_identity
from mapping.report import Patient, ReportStatus, Specimen
from tests.unit.conversion_examples import CLINIC, LAB, NATIONAL_ID, at, line, report


def key(code: str = "09005C", **change: Any) -> str:
    return order_identity(replace(report(), **change), code, LAB, CLINIC)


def test_versions_of_one_order_share_a_key() -> None:
    versions = {
        key(),
        key(status=ReportStatus.PRELIMINARY),
        key(status=ReportStatus.CORRECTED, observations=(line("GLU"),), reported_at=at(9)),
        key(specimen=Specimen("Plasma", at(3)), place="Bundle.entry[0].resource"),
        key(placer_order_number="P1", accession_number="A1"),
    }
    assert len(versions) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"filler_order_number": "LAB20250302002"},
        {"filler_order_number": "", "placer_order_number": "LAB20250302001"},
        {"filler_order_number": "", "accession_number": "LAB20250302001"},
        {"patient": Patient("F234567898")},
        {"patient": Patient("", chart_number=NATIONAL_ID)},
    ],
)
def test_another_order_has_another_key(change: dict[str, Any]) -> None:
    assert key(**change) != key()


def test_code_lab_and_clinic_belong_to_the_key() -> None:
    keys = {
        key(),
        key("09001C"),
        order_identity(report(), "09005C", "JY2", CLINIC),
        order_identity(report(), "09005C", LAB, "C2"),
    }
    assert len(keys) == 4


def test_a_counter_that_starts_anew_each_day_names_an_order_only_with_its_day() -> None:
    monday = key(filler_order_number="12", specimen=Specimen("", at(3, 9)))
    again = key(filler_order_number="12", specimen=Specimen("", at(3, 11)))
    tuesday = key(filler_order_number="12", specimen=Specimen("", at(4, 9)))
    assert monday == again
    assert monday != tuesday


def test_without_order_numbers_the_time_of_collection_decides() -> None:
    unnumbered = {"filler_order_number": "", "accession_number": "S1"}
    eight = key(**unnumbered, specimen=Specimen("", at(3, 8)))
    assert eight == key(**unnumbered, specimen=Specimen("", at(3, 8)))
    assert eight != key(**unnumbered, specimen=Specimen("", at(3, 10)))


def test_the_key_shows_nothing_of_the_patient() -> None:
    assert len(key()) == 64
    assert NATIONAL_ID not in key()
