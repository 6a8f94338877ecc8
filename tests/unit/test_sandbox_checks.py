"""Each check of the stand-in gateway: one change to a valid order, one code at one field."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from broker.sandbox.calendar import is_moment, parse_day
from broker.sandbox.checks import Fault, check_document
from broker.sandbox.settings import SandboxSettings
from broker.sandbox.tables import (
    check_texts,
    code_values,
    field_forms,
    programme_values,
    report_types,
)
from broker.sandbox.upload_document import UploadedOrder, read_document
from tests.gateway_samples import INSTITUTION, document, header, row, upload_day

SETTINGS = SandboxSettings(folder=Path(), trusted=())


def faults_of(
    head: Mapping[str, str], *rows: Mapping[str, str], settings: SandboxSettings = SETTINGS
) -> list[tuple[int, str, str]]:
    orders = read_document(document((head, rows)))
    (faults,) = check_document(orders, INSTITUTION, upload_day(), settings)
    return [(fault.row, fault.tag, fault.code) for fault in faults]


def test_a_valid_order_has_no_fault() -> None:
    assert faults_of(header(), row()) == []


@pytest.mark.parametrize(
    ("changes", "tag", "code"),
    [
        ({"h1": ""}, "h1", "02"),
        ({"h1": "2"}, "h1", "30"),
        ({"h2": "3509999999"}, "h2", "22"),
        ({"h2": "350"}, "h2", "01"),
        ({"h3": "99"}, "h3", "03"),
        ({"h4": "11413"}, "h4", "04"),
        ({"h4": "10001"}, "h4", "10"),
        ({"h5": "11501010800"}, "h5", "04"),
        ({"h6": "XX"}, "h6", "21"),
        ({"h6": ""}, "h6", "21"),
        ({"h7": "002"}, "h7", "01"),
        ({"h7": "00a1"}, "h7", "23"),
        ({"h7": ""}, "h7", "23"),
        ({"h8": "3"}, "h8", "24"),
        ({"h9": "A12345678"}, "h9", "01"),
        ({"h10": "0750230"}, "h10", "04"),
        ({"h11": ""}, "h11", "04"),
        ({"h15": "99999Z"}, "h15", "37"),
        ({"h16": "1010101101010"}, "h16", "22"),
        ({"h20": ""}, "h20", "04"),
        ({"h22": "血" * 101}, "h22", "01"),
        ({"h22": "血&quot;"}, "h22", "02"),
        ({"h22": "&#37238;"}, "h22", "02"),
        ({"h24": "a"}, "h23", "11"),
        ({"h23": "1140101"}, "h24", "12"),
        ({"h23": "0990101", "h24": "a"}, "h23", "13"),
        ({"h25": "HZ"}, "h25", "16"),
        ({"h26": "9"}, "h26", "03"),
        ({"h26": ""}, "h26", "03"),
        ({"h26": "5"}, "h27", "01"),
        ({"h15": "33070B", "h1": "2"}, "h25", "15"),
        ({"h3": "21"}, "h13", "04"),
    ],
)
def test_a_fault_of_the_header_is_named(changes: dict[str, str], tag: str, code: str) -> None:
    assert (0, tag, code) in faults_of(header(**changes), row(r7="x"))


@pytest.mark.parametrize(
    ("changes", "tag", "code"),
    [
        ({"r1": ""}, "r1", "05"),
        ({"r1": "x"}, "r1", "05"),
        ({"r1": "0"}, "r1", "06"),
        ({"r2": ""}, "r2", "01"),
        ({"r4": ""}, "r4", "01"),
        ({"r4": "x" * 4001}, "r4", "01"),
        ({"r4": "&lt;5"}, "r4", "02"),
        ({"r4_1": "Z"}, "r4-1", "03"),
        ({"r5": ""}, "r5", "01"),
        ({"r6_1": "", "r6_2": ""}, "r6-1", "14"),
        ({"r10": "114"}, "r10", "04"),
        ({"r12": "2"}, "r12", "03"),
    ],
)
def test_a_fault_of_a_row_is_named_at_that_row(
    changes: dict[str, str], tag: str, code: str
) -> None:
    second = {**row(**changes), "r1": changes.get("r1", "2")}
    assert faults_of(header(), row(), second) == [(2, tag, code)]


def test_one_bound_of_the_reference_is_enough() -> None:
    assert faults_of(header(), row(r6_1="")) == []
    assert faults_of(header(), row(r6_2="")) == []


def test_the_four_positivity_codes_need_their_mark_and_two_of_them_a_clear_one() -> None:
    assert faults_of(header(h15="14051C"), row()) == [(1, "r4-1", "03")]
    assert faults_of(header(h15="14051C"), row(r4_1="U")) == []
    assert faults_of(header(h15="14084C"), row(r4_1="U")) == [(1, "r4-1", "03")]


def test_an_order_twice_in_a_file_is_a_repetition() -> None:
    orders = read_document(document((header(), [row()]), (header(), [row(r4="99")])))
    first, second = check_document(orders, INSTITUTION, upload_day(), SETTINGS)
    assert (first, second) == ([], [Fault(0, "h15", "25")])


def test_unknown_repeated_misplaced_and_unordered_fields_are_structure_faults() -> None:
    head = header()
    assert faults_of({**head, "h31": "x"}, row()) == [(0, "h31", "02")]
    assert faults_of({**head, "r1": "1"}, row()) == [(0, "r1", "02")]
    assert faults_of(dict(reversed(head.items())), row())[0][2] == "02"
    assert faults_of(head)[0] == (0, "h1", "02")
    order = UploadedOrder(head, (row(),), ("h9",))
    assert check_document([order], INSTITUTION, upload_day(), SETTINGS) == [[Fault(0, "h9", "02")]]


def test_the_institution_list_is_asked_when_there_is_one() -> None:
    known = SandboxSettings(
        folder=Path(), trusted=(), institutions=frozenset((INSTITUTION, "3500000001"))
    )
    assert faults_of(header(h26="5", h27="3500000001"), row(), settings=known) == []
    assert faults_of(header(h26="5", h27="3500000002"), row(), settings=known) == [(0, "h27", "28")]


def test_the_fee_schedule_widens_the_known_order_codes() -> None:
    wider = SandboxSettings(folder=Path(), trusted=(), fee_schedule=frozenset(("09999C",)))
    assert faults_of(header(h15="09999C"), row(), settings=wider) == []


def test_image_and_pathology_reports_need_their_own_texts() -> None:
    assert faults_of(header(h1="2", h15="18001C"), {"r1": "1"}) == [(1, "r7", "01")]
    assert faults_of(header(h1="3", h15="25003C"), {"r1": "1", "r2": "x"}) == [(1, "r8-1", "01")]
    assert faults_of(header(h1="2", h15="18001C"), {"r1": "1", "r7": "正常"}) == []


IMPLANT = {"h1": "4", "h15": "64164B", "h22": ""}
KNEE = (
    {"r1": "1", "r2": "BH", "r4": "167.5", "r5": "cm"},
    {"r1": "2", "r2": "BW", "r4": "70.25", "r5": "kg"},
    {"r1": "3", "r2": "ASA", "r4": "2"},
    {"r1": "4", "r2": "Surgical Approach", "r3": "R11", "r4": "7115-000599067T7W78"},
)


def test_a_whole_implant_order_has_no_fault() -> None:
    assert faults_of(header(**IMPLANT), *KNEE) == []


@pytest.mark.parametrize(
    ("place", "changes", "tag", "code"),
    [
        (1, {"r4": "167.53"}, "r4", "09"),
        (1, {"r4": "0"}, "r4", "06"),
        (2, {"r4": "70kg"}, "r4", "05"),
        (2, {"r5": ""}, "r5", "01"),
        (3, {"r4": "6"}, "r4", "08"),
        (3, {"r5": "無"}, "r5", "07"),
        (4, {"r3": "X11"}, "r3", "03"),
        (4, {"r3": "R1"}, "r3", "01"),
        (4, {"r4": "(01)04712345678901(17)990630(10)L"}, "r4", "A2"),
        (4, {"r4": "(01)04712345678900(17)991330(10)L"}, "r4", "A4"),
        (4, {"r4": "+H124ABC1234561/28181LOT7BF"}, "r4", "B7"),
        (4, {"r4": "99-9999999"}, "r4", "C3"),
        (4, {"r4": "7115-000599067T7W78;"}, "r4", "D1"),
        (4, {"r4": ";".join(["7115-000599067T7W78"] * 21)}, "r4", "D2"),
    ],
)
def test_a_fault_of_an_implant_row_is_named(
    place: int, changes: dict[str, str], tag: str, code: str
) -> None:
    rows = [dict(row) for row in KNEE]
    rows[place - 1] = {key: value for key, value in (rows[place - 1] | changes).items() if value}
    rows[place - 1] = dict(sorted(rows[place - 1].items()))
    assert faults_of(header(**IMPLANT), *rows) == [(place, tag, code)]


def test_an_implant_order_without_all_rows_is_not_whole() -> None:
    assert faults_of(header(**IMPLANT), *KNEE[:3]) == [(0, "r1", "D3")]


def test_rows_of_special_programmes_are_held_to_their_tables() -> None:
    pressure = {"r1": "1", "r2": "收縮壓", "r4": "128", "r5": "mmHg", "r6-1": "90"}
    head = header(h15="Y00006")
    assert faults_of(head, pressure) == []
    assert faults_of(head, pressure | {"r4": "128.5"}) == [(1, "r4", "09")]
    assert faults_of(head, pressure | {"r1": "3"}) == [(1, "r1", "08")]
    eye = header(h1="2", h15="23501C")
    assert faults_of(eye, {"r1": "101", "r7": "2"}) == []
    assert faults_of(eye, {"r1": "101", "r7": "2", "r8-2": "x"}) == [(1, "r8-2", "07")]


def test_every_code_that_can_be_given_has_its_printed_text() -> None:
    used = {form.missing for form in field_forms().values()}
    used |= {form.wrong for form in field_forms().values()}
    used |= {form.code for forms in programme_values().values() for form in forms}
    assert used - {""} <= set(check_texts())
    assert set(programme_values()) <= set(report_types())
    assert len(report_types()) == 738
    assert set(code_values()) <= set(field_forms())


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("1140228", True),
        ("1140229", False),
        ("1130229", True),
        ("-050101", True),
        ("0000101", False),
        ("114022", False),
        ("１140228", False),
    ],
)
def test_days_of_the_republic(text: str, good: bool) -> None:
    assert (parse_day(text) is not None) is good


def test_years_before_the_republic_count_back_from_1912() -> None:
    day = parse_day("-050315")
    assert day is not None
    assert day.isoformat() == "1907-03-15"


def test_moments_have_eleven_or_thirteen_digits_and_a_real_time() -> None:
    assert is_moment("11402280000", (11, 13))
    assert is_moment("1140228235959", (13,))
    assert not is_moment("11402282400", (11, 13))
    assert not is_moment("11402280000", (13,))
    assert not is_moment("114022800 0", (11, 13))
