from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from adapters.hl7.charset import UndecodablePayload
from adapters.hl7.oru import read_hl7
from mapping.finding import Severity
from mapping.moment import Moment, Precision
from mapping.parsed import Content, ParsedPayload
from mapping.profile import Hl7Dialect, SourceProfile
from mapping.report import Coding, ObservationStatus, ReportStatus
from tests.hl7_samples import (
    CLINIC,
    LAB,
    MSH,
    NATIONAL_ID,
    OBR,
    OBX,
    ORC,
    PID,
    codes,
    message,
    profile,
    read,
    read_report,
    result,
    with_fields,
)

FINAL, PRELIMINARY = ObservationStatus.FINAL, ObservationStatus.PRELIMINARY


def test_an_ordinary_result_is_read_whole() -> None:
    parsed = read(result(OBX, "NTE|1|L|檢體輕微溶血"))
    assert parsed.content is Content.REPORTS
    assert (parsed.kind, parsed.control_id, parsed.findings) == ("ORU^R01", "C-1", ())
    (report,) = parsed.reports
    assert report.patient.national_id == NATIONAL_ID
    assert report.patient.birth_on == date(1970, 1, 2)
    assert (report.patient.sex, report.patient.name) == ("M", "王小明")
    assert report.patient.chart_number == "000123"
    assert report.service == (Coding("09005C", "血液葡萄糖", "L"),)
    assert report.status is ReportStatus.FINAL
    assert (report.lab_code, report.clinic_code) == (LAB, CLINIC)
    assert (report.placer_order_number, report.filler_order_number) == ("P-1", "F-1")
    assert report.specimen.collected_at == Moment(datetime(2026, 3, 21, 0, tzinfo=UTC))
    assert report.specimen.received_at == Moment(datetime(2026, 3, 21, 0, 15, tzinfo=UTC))
    assert report.reported_at == Moment(datetime(2026, 3, 21, 1, tzinfo=UTC))
    assert report.place == "OBR[1]"
    (observation,) = report.observations
    assert observation.codings == (
        Coding("09005C", "血液葡萄糖", "L"),
        Coding("2345-7", "Glucose", "LN"),
    )
    assert (observation.value, observation.unit, observation.value_type) == ("131", "mg/dL", "NM")
    assert (observation.reference.low, observation.reference.high) == ("70", "100")
    assert observation.abnormal_flags == ("H",)
    assert observation.status is ObservationStatus.FINAL
    assert observation.notes == ("檢體輕微溶血",)
    assert observation.place == "OBX[1]"


def test_every_obr_is_a_report_of_its_own() -> None:
    parsed = read(result(OBX, with_fields(OBR, f3="F-2"), OBX, OBX))
    assert [(r.place, r.filler_order_number, len(r.observations)) for r in parsed.reports] == [
        ("OBR[1]", "F-1", 1),
        ("OBR[2]", "F-2", 2),
    ]
    assert [o.place for o in parsed.reports[1].observations] == ["OBX[2]", "OBX[3]"]


def test_a_second_orc_belongs_to_the_obr_after_it() -> None:
    obr = with_fields(OBR, f2="", f3="")
    parsed = read(message(MSH, PID, "ORC|RE|P-1|F-1", obr, OBX, "ORC|RE|P-2|F-2", obr, OBX))
    numbers = [(r.placer_order_number, r.filler_order_number) for r in parsed.reports]
    assert numbers == [("P-1", "F-1"), ("P-2", "F-2")]


def test_obr_before_orc_is_understood() -> None:
    obr = with_fields(OBR, f2="", f3="")
    parsed = read(message(MSH, PID, obr, "ORC|RE|P-1|F-1", OBX, obr, "ORC|RE|P-2|F-2", OBX))
    assert [r.placer_order_number for r in parsed.reports] == ["P-1", "P-2"]


def test_an_obr_without_orc_takes_no_order_number_from_another() -> None:
    obr = with_fields(OBR, f2="", f3="")
    parsed = read(message(MSH, PID, f"{ORC}|||||||||D123456785", obr, OBX, obr, OBX))
    assert [r.placer_order_number for r in parsed.reports] == ["P-1", ""]
    assert [r.ordering_provider_id for r in parsed.reports] == ["D123456785", "D123456785"]


def test_a_message_without_orc_is_read() -> None:
    assert read_report(message(MSH, PID, OBR, OBX)).placer_order_number == "P-1"


def test_notes_belong_to_what_they_follow() -> None:
    report = read_report(
        message(
            MSH, PID, "NTE|1||of the patient", ORC, "NTE|1||of the order", OBR,
            "NTE|1||of the report~second line", OBX, "NTE|1||of the line", "NTE|2||",
        )
    )  # fmt: skip
    assert report.notes == ("of the patient", "of the order", "of the report\nsecond line")
    assert report.observations[0].notes == ("of the line",)


def test_the_specimen_after_the_obx_is_that_of_its_obr() -> None:
    spm = "SPM|1|P-9&HIS^S-9&LIS||SER^Serum^HL70487|||||||||||||20260321070000|20260321073000"
    report = read_report(result(OBX, spm))
    assert report.specimen.kind == "Serum"
    assert report.accession_number == "S-9"
    assert report.specimen.collected_at == Moment(datetime(2026, 3, 20, 23, tzinfo=UTC))
    assert report.specimen.received_at == Moment(datetime(2026, 3, 20, 23, 30, tzinfo=UTC))


def test_a_specimen_that_leads_is_that_of_the_obr_after_it() -> None:
    header = with_fields(MSH, f9="OUL^R22^OUL_R22")
    parsed = read(message(header, PID, "SPM|1|A||Serum", OBR, OBX, "SPM|2|B||Urine", OBR, OBX))
    assert [r.specimen.kind for r in parsed.reports] == ["Serum", "Urine"]


def test_the_old_specimen_field_is_read() -> None:
    obr = with_fields(OBR, f15="BLD&全血&HL70070^^^")
    assert read_report(message(MSH, PID, obr, OBX)).specimen.kind == "全血"


@pytest.mark.parametrize(
    ("letter", "status", "line"),
    [
        ("F", ReportStatus.FINAL, ObservationStatus.FINAL),
        ("C", ReportStatus.CORRECTED, ObservationStatus.CORRECTED),
        ("C^Corrected^HL70123", ReportStatus.CORRECTED, ObservationStatus.CORRECTED),
        ("P", ReportStatus.PRELIMINARY, ObservationStatus.PRELIMINARY),
        ("A", ReportStatus.PRELIMINARY, ObservationStatus.PRELIMINARY),
        ("X", ReportStatus.CANCELLED, ObservationStatus.NOT_DONE),
        ("", ReportStatus.FINAL, ObservationStatus.FINAL),
    ],
)
def test_obr_25_is_the_status_and_an_empty_obx_11_follows_it(
    letter: str, status: ReportStatus, line: ObservationStatus
) -> None:
    obx = with_fields(OBX, f11="")
    report = read_report(message(MSH, PID, with_fields(OBR, f25=letter), obx))
    assert report.status is status
    assert report.observations[0].status is line


def test_a_status_that_is_none_is_told_and_never_final() -> None:
    obx = with_fields(OBX, f11="")
    parsed = read(message(MSH, PID, with_fields(OBR, f25="unknown"), obx))
    assert codes(parsed) == {"hl7-status": "OBR[1]-25"}
    assert parsed.reports[0].status is ReportStatus.PRELIMINARY
    assert parsed.reports[0].observations[0].status is ObservationStatus.PRELIMINARY


@pytest.mark.parametrize("letter", ["W", "D"])
def test_a_report_that_was_posted_in_error_is_not_final(letter: str) -> None:
    obr = with_fields(OBR, f25=letter)
    assert read_report(message(MSH, PID, obr, OBX)).status is ReportStatus.CANCELLED
    corrected = read_report(message(MSH, PID, obr, with_fields(OBX, f11="C")))
    assert corrected.status is ReportStatus.CORRECTED
    silent = read_report(message(MSH, PID, obr, with_fields(OBX, f11="")))
    assert silent.observations[0].status is ObservationStatus.WITHDRAWN


def test_flags_in_obx_11_are_no_status_where_the_dialect_says_so() -> None:
    raw = result(with_fields(OBX, f11="1"), with_fields(OBX, f11="0"))
    flagged = read(raw, profile(dialect=Hl7Dialect(status_from_obx_11=False)))
    assert flagged.findings == ()
    assert {o.status for o in flagged.reports[0].observations} == {ObservationStatus.FINAL}
    unknown = read(raw)
    assert codes(unknown) == {"hl7-status": "OBX[1]-11"}
    assert {o.status for o in unknown.reports[0].observations} == {ObservationStatus.PRELIMINARY}


def test_without_obr_25_the_lines_tell_the_status() -> None:
    obr = with_fields(OBR, f25="")
    corrected = read_report(message(MSH, PID, obr, OBX, with_fields(OBX, f11="C")))
    assert corrected.status is ReportStatus.CORRECTED
    withdrawn = read_report(message(MSH, PID, obr, with_fields(OBX, f11="W")))
    assert withdrawn.status is ReportStatus.CANCELLED


def test_a_cancelled_order_is_a_report_without_lines() -> None:
    parsed = read(message(MSH, PID, ORC, with_fields(OBR, f25="X"), "NTE|1||檢體不足"))
    assert parsed.findings == ()
    assert parsed.reports[0].status is ReportStatus.CANCELLED
    assert parsed.reports[0].notes == ("檢體不足",)


def test_an_order_without_a_result_is_told() -> None:
    parsed = read(message(MSH, PID, ORC, OBR))
    assert codes(parsed) == {"hl7-no-observation": "OBR[1]"}


@pytest.mark.parametrize(
    "header",
    [
        with_fields(MSH, f11="Q"),
        with_fields(MSH, f16="1"),
        with_fields(MSH, f16="2"),
    ],
)
def test_control_runs_are_no_reports(header: str) -> None:
    parsed = read(message(header, PID, OBR, OBX))
    assert parsed.content is Content.QUALITY_CONTROL
    assert parsed.reports == ()


def test_a_control_specimen_leaves_the_patients_beside_it() -> None:
    control = "SPM|1|||Serum|||||||Q^Control^HL70369"
    only_control = read(result(OBX, control))
    assert only_control.content is Content.QUALITY_CONTROL
    mixed = read(result(OBX, control, OBR, OBX))
    assert mixed.content is Content.REPORTS
    assert [r.place for r in mixed.reports] == ["OBR[2]"]
    assert codes(mixed) == {"hl7-control-specimen": "SPM[1]-11"}


@pytest.mark.parametrize("mark", ["T", "D"])
def test_a_training_message_is_told(mark: str) -> None:
    parsed = read(message(with_fields(MSH, f11=mark), PID, OBR, OBX))
    assert codes(parsed) == {"hl7-not-production": "MSH[1]-11"}


@pytest.mark.parametrize("kind", ["ACK^R01", "QRY^A19", "ORL^O22", "ORR^O02", "MDM^T01", "ADT^A01"])
def test_other_messages_carry_nothing_and_say_so(kind: str) -> None:
    parsed = read(message(with_fields(MSH, f9=kind), PID, ORC, OBR, OBX))
    assert parsed.content is Content.NOTHING
    assert codes(parsed) == {"hl7-not-a-result": "MSH[1]-9"}
    assert parsed.findings[0].severity is Severity.INFORMATION
    assert "^".join(kind.split("^")[:2]) in parsed.findings[0].message()


def test_a_result_without_a_message_type_is_read_with_a_warning() -> None:
    parsed = read(message(with_fields(MSH, f9=""), PID, OBR, OBX))
    assert parsed.content is Content.REPORTS
    assert codes(parsed) == {"hl7-no-message-type": "MSH[1]-9"}


def test_a_result_message_without_results_carries_nothing() -> None:
    assert read(message(MSH, PID)).content is Content.NOTHING


def test_results_without_a_patient_are_kept_and_told() -> None:
    parsed = read(message(MSH, OBR, OBX))
    assert codes(parsed) == {"hl7-no-patient": "MSH[1]"}
    assert parsed.findings[0].severity is Severity.ERROR
    assert parsed.reports[0].patient.national_id == ""


def test_obx_without_obr_are_a_report_without_a_service() -> None:
    parsed = read(message(MSH, PID, OBX, OBX))
    assert codes(parsed) == {"hl7-no-obr": "OBX[1]"}
    assert parsed.reports[0].service == ()
    assert len(parsed.reports[0].observations) == 2


def test_a_bad_obx_does_not_cost_the_others() -> None:
    parsed = read(result(OBX, with_fields(OBX, f3=""), "OBX", with_fields(OBX, f14="never"), OBX))
    assert [o.place for o in parsed.reports[0].observations] == ["OBX[1]", "OBX[4]", "OBX[5]"]
    assert codes(parsed) == {"hl7-no-code": "OBX[2]-3", "hl7-time": "OBX[4]-14"}


def test_a_line_with_a_control_character_is_left_out_and_told() -> None:
    for bad in ("13\x001", r"13\X00\1"):
        parsed = read(result(OBX, with_fields(OBX, f5=bad)))
        first, second = parsed.reports[0].observations
        assert (first.place, first.value, first.status) == ("OBX[1]", "131", FINAL)
        assert (second.place, second.value, second.status) == ("OBX[2]", "", PRELIMINARY)
        assert codes(parsed) == {"hl7-control-character": "OBX[2]-5"}


def test_bad_times_are_findings_and_stay_empty() -> None:
    obr = with_fields(OBR, f7="Blood", f22="F")
    parsed = read(message(MSH, with_fields(PID, f7="1991"), obr, OBX))
    assert [(f.code, f.place, f.severity) for f in parsed.findings] == [
        ("hl7-time-needed", "OBR[1]/PID[1]-7", Severity.ERROR),
        ("hl7-time-needed", "OBR[1]-7", Severity.ERROR),
        ("hl7-time", "OBR[1]-22", Severity.WARNING),
    ]
    assert parsed.reports[0].reported_at is None
    assert parsed.reports[0].specimen.collected_at is None


def test_an_offset_is_honoured_and_a_day_stays_a_day() -> None:
    obr = with_fields(OBR, f7="20260321", f22="20260321010000+0000")
    report = read_report(message(MSH, PID, obr, OBX))
    assert report.reported_at == Moment(datetime(2026, 3, 21, 1, tzinfo=UTC))
    assert report.specimen.collected_at is not None
    assert report.specimen.collected_at.precision is Precision.DAY


def test_the_order_time_is_no_result_time() -> None:
    before = message(MSH, PID, f"{ORC}||||||20260320090000", OBR, OBX)
    after = message(MSH, PID, f"{ORC}||||||20260321100000", OBR, OBX)
    assert read_report(before).ordered_at == Moment(datetime(2026, 3, 20, 1, tzinfo=UTC))
    assert read_report(after).ordered_at is None


def test_several_messages_in_one_file_are_all_read() -> None:
    parsed = read(message("FHS|^~\\&|LAB", MSH, PID, OBR, OBX, MSH, PID, OBR, OBX, "FTS|1"))
    assert [r.place for r in parsed.reports] == ["MSH[1]/OBR[1]", "MSH[2]/OBR[1]"]


def test_a_file_with_line_feeds_is_read_the_same() -> None:
    raw = result(OBX)
    assert read(raw.replace(b"\r", b"\n")) == read(raw)
    assert read(raw.replace(b"\r", b"\r\n")) == read(raw)


def test_the_second_patient_is_not_the_first() -> None:
    other = with_fields(PID, f3="B123456780^^^MOI^NNTWN", f5="林^大華", f8="F")
    parsed = read(message(MSH, PID, OBR, OBX, other, OBR, OBX))
    assert [r.patient.national_id for r in parsed.reports] == [NATIONAL_ID, "B123456780"]


def test_big5_is_decoded_before_it_is_split() -> None:
    raw = result(with_fields(OBX, f5="吐育回功", f2="ST"), "NTE|1||許功蓋").decode()
    raw = raw.replace("王^小明", "許^功蓋").replace("UNICODE UTF-8", "BIG-5")
    (report,) = read(raw.encode("cp950")).reports
    assert report.patient.name == "許功蓋"
    assert report.observations[0].value == "吐育回功"
    assert report.observations[0].notes == ("許功蓋",)


def test_undecodable_bytes_are_refused_as_a_whole() -> None:
    with pytest.raises(UndecodablePayload):
        read(result(OBX) + b"NTE|1||\xff\r")


def test_findings_of_a_hostile_message_are_bounded() -> None:
    parsed = read(result(*[with_fields(OBX, f3="")] * 2000))
    assert len(parsed.findings) == 501
    assert parsed.findings[-1].code == "hl7-more-findings"


def test_every_finding_has_its_sentences_in_both_languages() -> None:
    parsed = read(
        message(
            with_fields(MSH, f11="T"), with_fields(PID, f3="", f7="x"), with_fields(OBR, f25="2"),
            with_fields(OBX, f3=""), with_fields(OBX, f2="ED"), with_fields(OBX, f2="BAD", f11="?"),
            with_fields(OBX, f5="1~2"), with_fields(OBX, f5=""), with_fields(OBX, f5="\x01"), OBR,
        )
    )  # fmt: skip
    assert len(codes(parsed)) == 11
    for finding in parsed.findings:
        for language in ("en", "zh"):
            assert finding.message(language)
            assert finding.remedy(language)


def test_a_lone_line_that_cannot_be_used_is_named_and_breaks_nothing() -> None:
    raw = b"MSH|^~\\&|LIS|LAB|||20260101||ORU^R01|1|P|2.5.1\rOBX||\x00\r"
    parsed = read_hl7(raw, SourceProfile("lab", charset="ascii"))
    assert any(finding.place.startswith("OBX") for finding in parsed.findings)
    assert not any(report.observations for report in parsed.reports)


def holding(parsed: ParsedPayload) -> list[tuple[str, str]]:
    return [(f.code, f.place) for f in parsed.findings if f.severity is Severity.ERROR]


@pytest.mark.parametrize("text", ["19/11/2026 0910", "202603", "19000101", "0"])
def test_an_unreadable_collection_time_is_an_error_of_its_report(text: str) -> None:
    obr, obx = with_fields(OBR, f7=text), with_fields(OBX, f14="")
    parsed = read(message(MSH, PID, OBR, obx, obr, obx))
    assert holding(parsed) == [("hl7-time-needed", "OBR[2]-7")]
    assert parsed.reports[1].place == "OBR[2]"
    assert parsed.reports[1].specimen.collected_at is None
    for language in ("en", "zh"):
        assert "OBR[2]-7" in parsed.findings[-1].message(language)


def test_an_unreadable_time_of_the_specimen_is_an_error_unless_the_order_tells_it() -> None:
    spm = "SPM|1|||SER|||||||||||||19/11/2026"
    assert holding(read(message(MSH, PID, with_fields(OBR, f7=""), OBX, spm))) == [
        ("hl7-time-needed", "OBR[1]/SPM[1]-17")
    ]
    parsed = read(message(MSH, PID, OBR, OBX, spm))
    assert holding(parsed) == []
    assert codes(parsed) == {"hl7-time": "SPM[1]-17"}
    assert parsed.reports[0].specimen.collected_at is not None


def test_an_unreadable_time_of_a_line_is_an_error_where_nothing_else_tells_it() -> None:
    lines = OBX, with_fields(OBX, f14="19/11/2026 0910")
    assert holding(read(message(MSH, PID, with_fields(OBR, f7=""), *lines))) == [
        ("hl7-time-needed", "OBR[1]/OBX[2]-14")
    ]
    assert holding(read(message(MSH, PID, OBR, *lines))) == []


def test_an_unreadable_birth_date_is_an_error_of_every_report_of_the_person() -> None:
    pid = with_fields(PID, f7="2/1/1970")
    parsed = read(message(MSH, pid, OBR, OBX, OBR, OBX, PID, OBR, OBX))
    assert holding(parsed) == [
        ("hl7-time-needed", "OBR[1]/PID[1]-7"),
        ("hl7-time-needed", "OBR[2]/PID[1]-7"),
    ]


def test_places_of_errors_begin_with_the_report_in_a_batch_too() -> None:
    bad = message(
        MSH, with_fields(PID, f7="x"), with_fields(OBR, f7="x"), with_fields(OBX, f14="x")
    )
    parsed = read(message(MSH, PID, OBR, OBX) + bad)
    assert [place for _, place in holding(parsed)] == [
        "MSH[2]/OBR[1]/PID[1]-7",
        "MSH[2]/OBR[1]-7",
        "MSH[2]/OBR[1]/OBX[1]-14",
    ]
    assert parsed.reports[1].place == "MSH[2]/OBR[1]"


@pytest.mark.parametrize(
    "stray",
    [
        "OBX|2|NM|CREA^Creatinine||0.9\n99",
        "OBX|2|NM|CREA^Creatinine||0.9|||||F\nMSHXXX",
        "OBX|2|NM|CREA^Creatinine||0.9\rADD|9|mg/dL|||||F",
    ],
)
def test_text_behind_a_value_never_becomes_part_of_it(stray: str) -> None:
    parsed = read(result(OBX, *stray.split("\r")))
    first, second = parsed.reports[0].observations
    assert (first.value, first.status) == ("131", FINAL)
    assert (second.codings[0].code, second.value) == ("CREA", "")
    assert second.status is PRELIMINARY, "its order waits, seen by a person"
    assert holding(parsed) == [("hl7-text-left-out", "OBR[1]/OBX[2]")]


@pytest.mark.parametrize(
    ("behind", "place"),
    [
        (MSH, "MSH[1]"),
        (PID, "PID[1]"),
        (ORC, "ORC[1]"),
        (OBR, ""),
        (OBX, "OBX[1]"),
        ("NTE|1||a|b", "NTE[1]"),
        ("SPM|1", "SPM[1]"),
        ("ZZZ|1", "ZZZ[1]"),
    ],
)
def test_text_behind_any_segment_is_an_error_of_the_report(behind: str, place: str) -> None:
    segments = [MSH, PID, ORC, OBR, OBX, "NTE|1||a|b", "SPM|1", "ZZZ|1"]
    segments.insert(segments.index(behind) + 1, "somebody's text")
    parsed = read(message(*segments))
    assert holding(parsed) == [("hl7-text-left-out", "OBR[1]" + (f"/{place}" if place else ""))]


def test_text_behind_what_belongs_to_no_report_is_told_all_the_same() -> None:
    parsed = read(message(MSH, PID, "PV2|1", "text", "EVN|1", "text"))
    assert holding(parsed) == [("hl7-text-left-out", "PV2[1]"), ("hl7-text-left-out", "EVN[1]")]


@pytest.mark.parametrize(
    "lines",
    [
        ("OBX|1|TX|GLU||92", "OBX|2|TX|GLU||see note"),
        ("OBX|1|TX|GLU||<92", "OBX|2|TX|GLU||95"),
        ("OBX|1|TX|GLU||92\nsee note",),
        ("OBX|1|TX|GLU||92~see note",),
        (r"OBX|1|FT|GLU||92\.br\see note",),
    ],
)
def test_a_number_with_text_behind_it_is_no_value(lines: tuple[str, ...]) -> None:
    parsed = read(result(*lines))
    (found,) = parsed.reports[0].observations
    assert (found.codings[0].code, found.value, found.status) == ("GLU", "", PRELIMINARY)
    assert ("hl7-number-in-text", "OBR[1]/OBX[1]-5") in holding(parsed)


def test_a_text_in_several_lines_stays_whole() -> None:
    lines = "OBX|1|TX|PATH||No malignancy.", "OBX|2|TX|PATH||2 of 3 clear.", "Signed", "NIL"
    parsed = read(result(*lines))
    (found,) = parsed.reports[0].observations
    assert found.value == "No malignancy.\n2 of 3 clear.\nSigned\nNIL"
    assert holding(parsed) == []


def test_no_error_is_lost_among_many_findings() -> None:
    many = [with_fields(OBX, f11="?")] * 600
    parsed = read(message(MSH, PID, OBR, *many, with_fields(OBR, f7="x"), OBX))
    assert ("hl7-time-needed", "OBR[2]-7") in holding(parsed)
    assert parsed.findings[-1].code == "hl7-more-findings"
    assert len(parsed.findings) == 502
