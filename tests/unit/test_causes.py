"""One root cause is one group, named the same each time, the most urgent first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mapping.causes import Fault, group_faults, value_shape
from mapping.finding import Finding
from mapping.proposals import Change, Evidence, Proposal

DUE = datetime(2025, 3, 4, tzinfo=UTC)
SERIAL = Finding("01", "h7", "hdata", "002")
FAULT = Fault(1, SERIAL, "JY00000001", "09005C", "OBR[1]", DUE)


def test_the_same_cause_is_one_group_whatever_the_values_say() -> None:
    faults = [
        replace(FAULT, record_id=number, finding=replace(SERIAL, value=f"{number:03d}"))
        for number in range(1, 501)
    ]
    (cause,) = group_faults(faults)
    assert len(cause.record_ids) == 500
    assert [each.record_id for each in cause.examples] == [1, 2, 3]


@pytest.mark.parametrize(
    "other",
    [
        replace(FAULT, finding=replace(SERIAL, code="23")),
        replace(FAULT, finding=replace(SERIAL, field="h8")),
        replace(FAULT, finding=replace(SERIAL, value="02")),
        replace(FAULT, finding=replace(SERIAL, value="A02")),
        replace(FAULT, lab_code="JY00000002"),
        replace(FAULT, order_code="09006C"),
        replace(FAULT, finding=replace(SERIAL, parameters=(("code", "GLU"),))),
    ],
)
def test_another_code_field_lab_order_or_shape_is_another_group(other: Fault) -> None:
    assert len(group_faults([FAULT, replace(other, record_id=2)])) == 2


def test_the_name_of_a_group_stays_the_same_and_holds_no_value() -> None:
    (one,) = group_faults([FAULT])
    (other,) = group_faults([replace(FAULT, record_id=9, due_at=None, place="OBR[7]")])
    assert one.group_id == other.group_id
    assert len(one.group_id) == 8
    assert int(one.group_id, 16) >= 0


def test_the_most_urgent_group_comes_first_then_the_most_frequent() -> None:
    late = [replace(FAULT, record_id=n, due_at=DUE + timedelta(hours=1)) for n in (1, 2)]
    soon = replace(FAULT, record_id=3, order_code="09006C")
    many = [replace(FAULT, record_id=n, order_code="09007C") for n in (4, 5)]
    undated = replace(FAULT, record_id=6, order_code="09008C", due_at=None)
    causes = group_faults([undated, *late, soon, *many])
    assert [cause.record_ids for cause in causes] == [(4, 5), (3,), (1, 2), (6,)]


def test_a_record_with_the_fault_in_many_rows_counts_once() -> None:
    missing = Finding("14", "r6-1", "rdata[1]")
    faults = [replace(FAULT, finding=replace(missing, place=f"rdata[{n}]")) for n in range(1, 9)]
    (cause,) = group_faults(faults)
    assert cause.record_ids == (1,)
    assert len(cause.faults) == 8


def test_a_file_that_was_refused_whole_is_one_group_for_all_labs_and_orders() -> None:
    refused = Finding("package-refused", parameters=(("nhi_code", "5003"),))
    faults = [
        replace(FAULT, finding=refused),
        replace(FAULT, record_id=2, finding=refused, lab_code="JY2", order_code="12185C"),
    ]
    (cause,) = group_faults(faults)
    assert cause.first.subject == "5003"


def test_the_proposed_are_those_with_a_proposal() -> None:
    proposal = Proposal(Evidence.VISIT, "visit.visit_serial", (Change(0, "h7", "0002"),))
    (cause,) = group_faults([FAULT, replace(FAULT, record_id=2, proposal=proposal)])
    assert [each.record_id for each in cause.proposed] == [2]


@pytest.mark.parametrize(
    ("value", "tag", "shape"),
    [
        ("002", "h7", "9{3}"),
        ("IC02", "h7", "A{2}9{2}"),
        ("", "h7", ""),
        ("A123456789", "h9", "A9{9}"),
        ("12.5", "h7", "9{2}.9"),
        ("12.5", "r4", "9.9"),
        ("陰性 (-)", "r4", "文 (-)"),
        ("a\nb", "r4", "a␣a"),
        ("１２", "h7", "□{2}"),
    ],
)
def test_a_shape_tells_what_a_value_looks_like(value: str, tag: str, shape: str) -> None:
    assert value_shape(value, tag) == shape


def test_a_shape_is_never_long() -> None:
    assert len(value_shape("1a" * 5000, "r7")) <= 40
