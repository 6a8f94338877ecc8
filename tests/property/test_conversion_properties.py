"""Whatever a lab sends: every line is uploaded or named in a finding, and no value changes."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mapping.big5 import fit_text
from mapping.codes import OrderResult, split_orders
from mapping.convert import convert
from mapping.match import Outcome, match_visit
from mapping.merge import merge_order
from mapping.profile import Agreement, CodeLink, SourceProfile
from mapping.record import UploadRecord, correction_key
from mapping.reference_range import parse_reference_range
from mapping.report import Coding, LabReport, Observation, ObservationStatus, ReportStatus
from mapping.report_text import NARRATIVE_TYPES, joined_text
from tests.unit.conversion_examples import (
    CBC,
    CLINIC,
    CLINIC_UPLOADS,
    LAB_UPLOADS,
    PROFILE,
    RECEIVED,
    report,
    visit,
)

ORDER_CODES = ["08011C", "08013C", "09005C", "09015C", "12171B", "14051C", "32001C", "99999C"]
CODINGS = st.builds(
    Coding,
    st.sampled_from([*ORDER_CODES, *CBC, "718-7", "2160-0", "RDW", ""]),
    st.sampled_from(["", "WBC", "肌酸酐", "something"]) | st.text(max_size=10),
    st.sampled_from(["", "LN", "L", "NHI", "http://loinc.org"]),
)
OBSERVATIONS = st.builds(
    Observation,
    codings=st.lists(CODINGS, max_size=2).map(tuple),
    value=st.sampled_from(["5.0", "<0.1", "陰性", "05.60"]) | st.text(max_size=20),
    unit=st.sampled_from(["", "mg/dL", "%", "10^3/uL"]),
    reference=st.sampled_from(["", "1-9", "<200", "Negative"]).map(parse_reference_range),
    abnormal_flags=st.lists(st.sampled_from(["H", "N", "x"]), max_size=2).map(tuple),
    status=st.sampled_from(ObservationStatus),
    notes=st.lists(st.text(max_size=10), max_size=1).map(tuple),
)
SERVICES = st.sampled_from(["", *ORDER_CODES])
PROFILES = st.sampled_from(
    [PROFILE, replace(PROFILE, codes={"WBC": CodeLink("08002C"), "RDW": CodeLink("")})]
)


@st.composite
def reports(draw: st.DrawFn) -> LabReport:
    drawn = draw(st.lists(OBSERVATIONS, max_size=8))
    numbered = (replace(line, place=f"OBX[{index}]") for index, line in enumerate(drawn, 1))
    status = draw(st.sampled_from(ReportStatus))
    return report(*numbered, service=draw(SERVICES), status=status)


@given(reports(), PROFILES)
def test_every_line_is_in_one_order_or_in_a_finding(
    sent: LabReport, profile: SourceProfile
) -> None:
    split = split_orders(sent, profile)
    placed = [
        resolved.observation.place
        for order in split.orders
        for resolved in (*order.lines, *order.awaited, *order.withdrawn)
    ]
    assert len(placed) == len(set(placed))
    told = {finding.place for finding in split.findings}
    assert set(placed) | told == {line.place for line in sent.observations}
    for finding in split.findings:
        assert finding.message()
        assert finding.remedy("zh")


@given(reports(), PROFILES)
def test_row_numbers_are_unique_within_an_order(sent: LabReport, profile: SourceProfile) -> None:
    for order in split_orders(sent, profile).orders:
        lines = (*order.lines, *order.awaited, *order.withdrawn)
        assert len({resolved.item_number for resolved in lines}) == len(lines)


def check_one_row_a_line(order: OrderResult, record: UploadRecord) -> None:
    assert len(record.rows) == len(order.lines)
    for resolved, row in zip(order.lines, record.rows, strict=True):
        written = row["r4"].value if "r4" in row else ""
        assert written == fit_text(resolved.observation.value, "r4")[0]


def check_one_text(order: OrderResult, record: UploadRecord) -> None:
    assert len(record.rows) == min(1, len(order.lines))
    for row in record.rows:
        text = joined_text({tag: field.value for tag, field in row.items()})
        for resolved in order.lines:
            said = resolved.observation.value.replace("\r\n", "\n").replace("\r", "\n")
            assert fit_text(said, "r7")[0] in text


@given(reports(), st.sampled_from([CLINIC_UPLOADS, LAB_UPLOADS]))
def test_conversion_changes_no_value_and_names_every_origin(
    sent: LabReport, terms: Agreement
) -> None:
    for order in split_orders(sent, PROFILE).orders:
        visited = visit(order.order_code)
        found = match_visit(sent, order.order_code, CLINIC, (visited,))
        assert found.outcome is Outcome.MATCHED
        assert found.visit is not None
        assert found.order is not None
        conversion = convert(
            sent,
            order,
            found.visit,
            found.order,
            terms,
            PROFILE,
            RECEIVED,
        )
        record = conversion.record
        if record.value("h1") in NARRATIVE_TYPES:
            check_one_text(order, record)
        else:
            check_one_row_a_line(order, record)
        for fields in (record.header, *record.rows):
            assert all(field.value and field.origin for field in fields.values())
        again = convert(sent, order, visited, found.order, terms, PROFILE, RECEIVED)
        assert again == conversion


@given(reports(), reports())
def test_a_correction_keeps_the_key_and_loses_no_row(first: LabReport, second: LabReport) -> None:
    def records(sent: LabReport) -> dict[str, UploadRecord]:
        return {
            order.order_code: convert(
                sent,
                order,
                visit(order.order_code),
                visit(order.order_code).orders[0],
                CLINIC_UPLOADS,
                PROFILE,
                RECEIVED,
            ).record
            for order in split_orders(sent, PROFILE).orders
        }

    early, late = records(first), records(second)
    for code in early.keys() & late.keys():
        previous, current = early[code], late[code]
        merged = merge_order(previous, current)
        assert correction_key(merged) == correction_key(previous)
        numbers = [row["r1"].value for row in merged.rows]
        assert len(numbers) == len(set(numbers))
        assert len(merged.rows) >= max(len(previous.rows), len(current.rows))
        values = [row.get("r4") for row in merged.rows]
        for row in current.rows:
            assert row.get("r4") in values


DEFAULTED = replace(
    PROFILE, default_method="無", default_unit="mg/dL", default_reference="3-4", codes={}
)


@given(st.lists(OBSERVATIONS, max_size=4), st.sampled_from([PROFILE, DEFAULTED]))
def test_a_line_that_was_seen_before_is_written_as_one_that_never_was(
    drawn: list[Observation], profile: SourceProfile
) -> None:
    lines = [
        replace(line, notes=(), status=ObservationStatus.FINAL, place=f"OBX[{index}]")
        for index, line in enumerate(drawn, 1)
    ]
    sent = report(*lines, service="09005C")
    # A note is written beside the row, and keeps the row from being remembered.
    noted = replace(sent, observations=tuple(replace(line, notes=("remark",)) for line in lines))
    for order, other in zip(
        split_orders(sent, profile).orders, split_orders(noted, profile).orders, strict=True
    ):
        if order.order_code in {"32001C"}:
            continue
        visited = visit(order.order_code)
        made = [
            convert(told, of, visited, visited.orders[0], CLINIC_UPLOADS, profile, RECEIVED)
            for told, of in ((sent, order), (sent, order), (noted, other))
        ]
        assert made[0] == made[1]
        assert made[0].record.header == made[2].record.header
        for row, with_note in zip(made[0].record.rows, made[2].record.rows, strict=True):
            assert row == {
                tag: field for tag, field in with_note.items() if "notes" not in field.origin
            }
            assert list(row) == [tag for tag in with_note if "notes" not in with_note[tag].origin]
        assert [found for found in made[0].findings if not found.field.startswith("r7")] == [
            found for found in made[2].findings if not found.field.startswith("r7")
        ]
