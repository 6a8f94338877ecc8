"""What real senders do, a test for each: values reach the report as sent, or a person is told."""

from __future__ import annotations

import pytest

from mapping.parsed import Content
from mapping.profile import Hl7Dialect
from mapping.report import ObservationStatus, ReportStatus
from tests.hl7_samples import (
    MSH,
    NATIONAL_ID,
    OBR,
    OBX,
    ORC,
    PID,
    codes,
    message,
    observation_segment,
    profile,
    read,
    read_observation,
    read_report,
    result,
    with_fields,
)


@pytest.mark.parametrize(
    "kind",
    [
        *("ORU^R01", "ORU^R01^ORU_R01", "ORU", "ORU^R30", "ORU^R31^ORU_R30", "ORU^R32", "oru^r01"),
        *("OUL^R21", "OUL^R22^OUL_R22", "OUL^R23", "OUL^R24^OUL_R24", ""),
    ],
)
def test_every_event_that_brings_results_is_read(kind: str) -> None:
    report = read_report(message(with_fields(MSH, f9=kind), PID, ORC, OBR, OBX))
    assert report.observations[0].value == "131"


@pytest.mark.parametrize(
    "version",
    [*("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8"),
     *("2.8.1", "2.8.2", "2.9", "", "5.0.0", "2.5^TWN")],
)  # fmt: skip
def test_every_version_is_read_alike(version: str) -> None:
    report = read_report(message(with_fields(MSH, f12=version), PID, ORC, OBR, OBX))
    assert report == read_report(result(OBX))


def test_specimen_first_messages_give_each_order_its_own_specimen() -> None:
    first, second = "SPM|1|S-1||SER^Serum", "SPM|2|S-2||UR^Urine"
    head = with_fields(MSH, f9="OUL^R22^OUL_R22")
    parsed = read(message(head, PID, first, OBR, ORC, OBX, second, OBR, ORC, OBX))
    assert [report.specimen.kind for report in parsed.reports] == ["Serum", "Urine"]
    assert [report.accession_number for report in parsed.reports] == ["S-1", "S-2"]


@pytest.mark.parametrize("characters", ["^~\\&#", "^~\\&", "^~\\", "^~", "@~\\&", "^!%&"])
def test_declared_delimiters_are_used_whatever_they_are(characters: str) -> None:
    component = characters[0]
    lines = (PID, ORC, OBR, OBX)
    mine = tuple(line.replace("^", component).replace("~", characters[1]) for line in lines)
    assert read_report(message(MSH.replace(r"^~\&", characters), *mine)).service[0].code == "09005C"


def test_a_field_separator_may_be_any_sign() -> None:
    raw = result(OBX).decode().replace("|", "$").encode()
    assert read_report(raw) == read_report(result(OBX))


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\r\r\n"])
def test_dropped_files_end_their_lines_as_they_like(end: bytes) -> None:
    raw = result(OBX, "NTE|1||hemolysed")
    assert read_report(raw.replace(b"\r", end)) == read_report(raw)


def test_z_segments_and_segments_nobody_knows_cost_nothing() -> None:
    odd = ("ZLR|1|x", "PRT|1", "CTI|a", "SAC|1", "INV|1", "TQ1|1", "DSC|1", "NK1|1")
    segments = [line for each in (MSH, PID, ORC, OBR, OBX) for line in (each, *odd)]
    assert read_report(message(*segments)) == read_report(result(OBX))


def test_number_results_in_st_are_the_rule_with_some() -> None:
    observation = read_observation(f2="ST", f5="5.40")
    assert (observation.value, observation.value_type) == ("5.40", "ST")


@pytest.mark.parametrize("value", ["60~120", "01I", "Negative", "+", "-", "1+", "未檢出", "3,5"])
def test_a_text_declared_as_a_number_is_kept_and_told(value: str) -> None:
    parsed = read(result(observation_segment(f5=value)))
    assert parsed.reports[0].observations[0].value == value
    assert {"hl7-not-a-number", "hl7-repeated-value"} & codes(parsed).keys()


@pytest.mark.parametrize("value", ["5", "-1.5", "+2", ".5", "<0.1", ">=60", "≦5.0", " 7.0 ", "007"])
def test_a_number_is_a_number(value: str) -> None:
    parsed = read(result(observation_segment(f5=value)))
    assert parsed.reports[0].observations[0].value == value.strip()
    assert parsed.findings == ()


@pytest.mark.parametrize("value", ["****", "***.**", "----", "--.-", "####"])
def test_signs_of_an_analyser_are_no_result(value: str) -> None:
    parsed = read(result(observation_segment(f5=value)))
    (line,) = parsed.reports[0].observations
    assert (line.value, line.status) == ("", ObservationStatus.PRELIMINARY)
    assert codes(parsed)["hl7-no-result-signs"].startswith("OBR[1]")


@pytest.mark.parametrize(
    ("value", "unit", "reference"), [("mg/dL", "131", "70-100"), ("", "131", "mg/dL")]
)
def test_a_line_whose_columns_are_shifted_is_not_used(
    value: str, unit: str, reference: str
) -> None:
    parsed = read(result(observation_segment(f5=value, f6=unit, f7=reference)))
    (line,) = parsed.reports[0].observations
    assert (line.value, line.status) == ("", ObservationStatus.PRELIMINARY)
    assert codes(parsed)["hl7-shifted"].startswith("OBR[1]")


def test_a_shifted_order_is_not_taken_for_final() -> None:
    shifted = with_fields(OBR, f14="Blood", f22="F", f25="2")
    parsed = read(message(MSH, PID, ORC, shifted, with_fields(OBX, f11="")))
    assert parsed.reports[0].observations[0].status is ObservationStatus.PRELIMINARY
    assert parsed.reports[0].specimen.received_at is None
    assert {"hl7-time", "hl7-status"} <= codes(parsed).keys()


def test_the_unit_may_stand_in_the_second_component_and_between_blanks() -> None:
    assert read_observation(f6="^umol/L").unit == "umol/L"
    assert read_observation(f6=" umol/L ").unit == "umol/L"
    assert read_observation(f6="THOU/uL").unit == "THOU/uL"


@pytest.mark.parametrize(
    ("field", "low", "high", "text"),
    [
        ("0 to 17", "0", "17", ""),
        ("35-150^35^150", "35", "150", ""),
        ("< 200", "", "< 200", ""),
        ("阴性", "", "", "阴性"),
        ("轻：31-49，中：50-69，重：>70", "", "", "轻：31-49，中：50-69，重：>70"),
        ("<1 = Susceptible, >= 1 = Resistant", "", "", "<1 = Susceptible, >= 1 = Resistant"),
        ("-", "", "", ""),
        ('""', "", "", ""),
    ],
)
def test_ranges_are_bounds_only_where_they_surely_are(
    field: str, low: str, high: str, text: str
) -> None:
    reference = read_observation(f7=field).reference
    assert (reference.low, reference.high, reference.text) == (low, high, text)


@pytest.mark.parametrize(
    ("field", "flags"),
    [
        ("A^Abnormal^HL70078^^^^2.7", ("A",)),
        ("^^^^^^2.7", ()),
        ('""', ()),
        ("H~N", ("H", "N")),
        ("N/A", ("N/A",)),
    ],
)
def test_flags_are_read_from_whatever_stands_there(field: str, flags: tuple[str, ...]) -> None:
    assert read_observation(f8=field).abnormal_flags == flags


def test_the_item_may_stand_in_obx_4_where_the_dialect_says_so() -> None:
    dialect = profile(dialect=Hl7Dialect(item_in_obx_4=True))
    named = read_observation(dialect, f3="1742-6", f4="ALT")
    assert (named.codings[0].code, named.codings[0].display) == ("1742-6", "ALT")
    only = read_observation(dialect, f3="", f4="ALT")
    assert (only.codings[0].code, only.sub_id) == ("ALT", "")
    assert codes(read(result(observation_segment(f3="", f4="ALT"))))["hl7-no-code"] == "OBX[1]-3"
    assert read_observation(f3="1742-6", f4="1").sub_id == "1"


def test_statuses_may_be_written_as_coded_elements() -> None:
    obr = with_fields(OBR, f25="C^Corrected^HL70123")
    report = read_report(message(MSH, PID, ORC, obr, with_fields(OBX, f11="C^x^HL70085")))
    assert report.status is ReportStatus.CORRECTED
    assert report.observations[0].status is ObservationStatus.CORRECTED


def test_a_correction_may_come_with_an_empty_obx_11() -> None:
    report = read_report(
        message(MSH, PID, ORC, with_fields(OBR, f25="C"), with_fields(OBX, f11=""))
    )
    assert report.observations[0].status is ObservationStatus.CORRECTED


@pytest.mark.parametrize(
    "head", [{"f11": "Q"}, {"f16": "1"}, {"f16": "2"}, {"f11": "P", "f16": "2"}]
)
def test_control_and_calibration_runs_never_become_a_report(head: dict[str, str]) -> None:
    parsed = read(message(with_fields(MSH, **head), OBR, OBX))
    assert parsed.content is Content.QUALITY_CONTROL
    assert parsed.reports == ()


def test_a_run_without_a_patient_is_held() -> None:
    parsed = read(message(MSH, OBR, OBX))
    assert "hl7-no-patient" in codes(parsed)
    assert parsed.reports[0].patient.national_id == ""


def test_the_id_may_stand_in_pid_2_and_the_time_behind_a_blank() -> None:
    pid = with_fields(PID, f2=NATIONAL_ID, f3="")
    report = read_report(message(MSH, pid, ORC, OBR, with_fields(OBX, f14=" 202603210800")))
    assert report.patient.national_id == NATIONAL_ID
    assert report.observations[0].observed_at is not None


def test_the_lis_that_puts_other_things_in_obx_16_names_no_person() -> None:
    assert read_observation(f16="C^0^AAA^low^high").performer_id == ""


def test_a_culture_and_its_susceptibilities_know_each_other() -> None:
    culture = with_fields(OBR, f4="13007C^Culture^NHI")
    isolate = "OBX|1|CWE|634-6^Bacteria^LN|1|112283007^Escherichia coli^SCT||||||F"
    child = with_fields(
        OBR,
        f3="F-2^LIS",
        f4="13023C^AST^NHI",
        f26="634-6&Bacteria&LN^1^Escherichia coli",
        f29="P-1&HIS^F-1&LIS",
    )
    drug = "OBX|1|SN|18864-9^Ampicillin^LN|1|>^16|ug/mL||R|||F"
    parent, report = read(message(MSH, PID, ORC, culture, isolate, child, drug)).reports
    assert parent.parent is None
    assert parent.observations[0].sub_id == "1"
    assert report.parent is not None
    assert report.parent.codings == parent.observations[0].codings
    assert report.parent.sub_id == "1"
    assert report.parent.value == "Escherichia coli"
    assert report.parent.placer_order_number == parent.placer_order_number
    assert report.parent.filler_order_number == parent.filler_order_number
    assert report.filler_order_number == "F-2"


@pytest.mark.parametrize(
    ("value_type", "field", "value"),
    [
        ("CF", "A^Abnormal finding^L", "Abnormal finding"),
        ("CX", "123^^^LAB^MR", "123^^^LAB^MR"),
        ("NA", "1^2^3", "1^2^3"),
        ("TM", "0930", "0930"),
        ("DT", "20260321", "20260321"),
        ("TS", "202603210930^M", "202603210930"),
        ("DTM", "202603210930+0800", "202603210930+0800"),
        ("SN", "^1^:^128", "1:128"),
        ("SN", "<^0.5", "<0.5"),
        ("SN", "=^5", "5"),
        ("SN", "^2^-^5", "2-5"),
        ("CWE^^HL70125", "POS^Positive^L", "Positive"),
    ],
)
def test_each_value_type_gives_the_text_that_was_sent(
    value_type: str, field: str, value: str
) -> None:
    assert read_observation(f2=value_type, f5=field).value == value
