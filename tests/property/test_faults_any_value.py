"""Faults, proposals, groups and corrections of any record whatever it holds."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from mapping.causes import Fault, group_faults, value_shape
from mapping.corrections import carry_corrections, corrected
from mapping.finding import Finding
from mapping.proposals import Change, Known, propose
from mapping.record import Field, UploadRecord
from mapping.verdict import CheckedRecord
from mapping.verdict_findings import verdict_findings

TEXT = st.text(max_size=12)
TAGS = st.sampled_from(["h1", "h4", "h7", "h15", "h20", "r1", "r4", "r5", "r6-1", "r6-2", "x9"])
CODES = st.sampled_from(["01", "03", "10", "14", "21", "22", "23", "30", "37", "A1", "zz", ""])
FIELDS = st.dictionaries(TAGS, st.builds(Field, TEXT, TEXT), max_size=8)
RECORDS = st.builds(UploadRecord, FIELDS, st.lists(FIELDS, max_size=4).map(tuple))
FINDINGS = st.builds(
    Finding, CODES, TAGS, st.sampled_from(["hdata", "rdata[1]", "rdata[9]", ""]), TEXT
)
CHECKED = st.builds(
    CheckedRecord, st.dictionaries(TAGS, TEXT), st.lists(TAGS, max_size=3).map(tuple), CODES, TEXT
)


@given(FINDINGS, RECORDS)
def test_any_finding_of_any_record_is_answered_without_fault(
    finding: Finding, record: UploadRecord
) -> None:
    proposal = propose(finding, record, Known(on=date(2025, 3, 3)))
    if proposal is not None:
        assert not {change.tag for change in proposal.changes} & {"r4", "r7", "r5", "r6-1", "r6-2"}


@given(RECORDS, st.lists(CHECKED, max_size=4))
def test_any_printed_records_become_findings_with_texts(
    record: UploadRecord, printed: list[CheckedRecord]
) -> None:
    for finding in verdict_findings(record, printed):
        assert finding.message("en")
        assert finding.remedy("zh")
        values = {field.value for field in record.header.values()}
        values |= {field.value for row in record.rows for field in row.values()}
        assert finding.value in values | {""}


@given(st.lists(st.tuples(st.integers(1, 40), FINDINGS), max_size=60))
def test_grouping_loses_and_doubles_nothing(pairs: list[tuple[int, Finding]]) -> None:
    due = datetime(2025, 3, 3, tzinfo=UTC)
    faults = [Fault(number, finding, due_at=due) for number, finding in pairs]
    causes = group_faults(faults)
    assert sorted(map(repr, faults)) == sorted(repr(f) for cause in causes for f in cause.faults)
    assert len({cause.group_id for cause in causes}) == len(causes)
    for cause in causes:
        kinds = {(f.finding.code, f.finding.field) for f in cause.faults}
        shapes = {value_shape(f.finding.value, f.finding.field) for f in cause.faults}
        assert len(kinds) == len(shapes) == 1


@given(st.text(max_size=200), TAGS)
def test_a_shape_shows_no_letter_and_no_digit_of_the_value(value: str, tag: str) -> None:
    shape = value_shape(value, tag)
    assert len(shape) <= 40
    letters = {char for char in value if char.isalpha() and char not in "Aa文"}
    assert not letters & set(shape)


@given(RECORDS, st.lists(st.builds(Change, st.integers(0, 5), TAGS, TEXT), max_size=6))
def test_a_correction_touches_only_what_it_names_and_signs_it(
    record: UploadRecord, changes: list[Change]
) -> None:
    after = corrected(record, changes, "Wang")
    named = {(change.row, change.tag) for change in changes}
    before_levels = (record.header, *record.rows)
    for row, (before, now) in enumerate(
        zip(before_levels, (after.header, *after.rows), strict=True)
    ):
        for tag in {*before, *now}:
            if (row, tag) not in named:
                assert before.get(tag) == now.get(tag)
            elif tag in now:
                assert now[tag].origin == "person:Wang"


@given(RECORDS)
def test_what_nobody_set_is_never_carried(record: UploadRecord) -> None:
    plain = corrected(record, (), "Wang")
    told = UploadRecord({}, tuple({"r1": row["r1"]} for row in record.rows if "r1" in row))
    assert carry_corrections(told, plain, [record]) == told
