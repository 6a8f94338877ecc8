"""What is written for a clinic is what was read: our own reader finds the same report in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.hl7.oru import read_hl7
from adapters.hl7.oru_writer import Envelope, Unwritable, range_text, write_oru
from broker.demo.people import CLINIC, LAB, national_id
from mapping.moment import TAIPEI, Moment, Precision
from mapping.profile import SourceProfile
from mapping.reference_range import parse_reference_range
from mapping.report import (
    Attachment,
    Coding,
    LabReport,
    Observation,
    ObservationStatus,
    ParentResult,
    Patient,
    ReferenceRange,
    ReportStatus,
    Specimen,
)
from mapping.values import parse_quantity

PROFILE = SourceProfile("clinic")
ENVELOPE = Envelope("L1", datetime(2026, 11, 20, 4, 0, tzinfo=UTC), LAB, CLINIC)

# Delimiters, escapes, Big5 characters whose second byte is a delimiter, letters of all kinds.
_SIGNS = st.sampled_from(
    [*"|^~\\&#<>=+-.,:;()[]{}'\"%*/ ", *"功育回才許蓋測驗陽性µ≧×㎎", *"aZ09éß"]
)
_words = st.text(_SIGNS, max_size=12).map(str.strip)
_filled = _words.filter(lambda text: text not in ("", '""'))
_numbers = st.decimals(0, 10**6, places=2).map(str)
_values = st.one_of(
    _numbers, _filled, st.sampled_from(["<0.1", ">=60", "≦5", "陰性(-)", "1:128", '""', "0.10"])
)
_lines = st.lists(_filled, min_size=2, max_size=3).map("\n".join)
_ranges = st.one_of(
    st.just(ReferenceRange()),
    st.sampled_from(["70-100", "0.4 - 4.0 mIU/L", "<200", "Negative", "0 to 17", "陰性"]).map(
        parse_reference_range
    ),
    _filled.map(parse_reference_range),
    st.just(ReferenceRange("70", "", raw="70 -")),
)


@st.composite
def _moments(draw: st.DrawFn) -> Moment:
    at = draw(st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1))).replace(microsecond=0)  # noqa: DTZ001
    precision = draw(st.sampled_from(Precision))
    if precision is Precision.DAY:
        at = at.replace(hour=0, minute=0, second=0)
    elif precision is Precision.MINUTE:
        at = at.replace(second=0)
    return Moment(at.replace(tzinfo=TAIPEI), precision)


_codings = st.lists(
    st.builds(
        Coding, _filled, _words.filter(lambda t: t != '""'), st.sampled_from(["", "LN", "L"])
    ),
    min_size=1,
    max_size=3,
).map(tuple)


@st.composite
def _observations(draw: st.DrawFn) -> Observation:
    return Observation(
        codings=draw(_codings),
        value=draw(st.one_of(_values, _lines)),
        value_type=draw(st.sampled_from(["NM", "ST", "TX", "FT", "SN", "CWE", "Quantity", ""])),
        unit=draw(st.one_of(st.just(""), st.sampled_from(["mg/dL", "10^3/uL", "%", "U&L"]))),
        reference=draw(_ranges),
        abnormal_flags=draw(
            st.lists(st.sampled_from(["H", "LL", "↑", "A"]), max_size=2).map(tuple)
        ),
        status=draw(st.sampled_from(ObservationStatus)),
        method=draw(_filled | st.just("")),
        sub_id=draw(st.sampled_from(["", "1", "1.1"])),
        observed_at=draw(st.none() | _moments()),
        analysed_at=draw(st.none() | _moments()),
        notes=draw(st.lists(_filled, max_size=2).map(tuple)),
    )


@st.composite
def _reports(draw: st.DrawFn) -> LabReport:
    return LabReport(
        patient=Patient(
            national_id("A", draw(st.integers(10000000, 29999999))),
            draw(st.dates(date(1900, 1, 1), date(2026, 1, 1))),
            draw(st.sampled_from(["M", "F", ""])),
            draw(_filled),
            draw(st.sampled_from(["", "C-77", "0012"])),
        ),
        service=draw(_codings),
        observations=tuple(draw(st.lists(_observations(), min_size=1, max_size=4))),
        status=draw(st.sampled_from(ReportStatus)),
        lab_code=LAB,
        clinic_code=CLINIC,
        placer_order_number=draw(_filled | st.just("")),
        filler_order_number=draw(_filled | st.just("")),
        accession_number=draw(_filled | st.just("")),
        specimen=Specimen(
            draw(_filled | st.just("")), draw(_moments()), draw(st.none() | _moments())
        ),
        ordered_at=draw(st.none() | _moments()),
        reported_at=draw(st.none() | _moments()),
        ordering_provider_id=national_id("C", 19900077),
        notes=draw(st.lists(_filled, max_size=2).map(tuple)),
        attachments=draw(
            st.lists(
                st.builds(
                    Attachment,
                    st.just((Coding("PDF", "報告"),)),
                    st.just("application/pdf"),
                    st.binary(min_size=1, max_size=30),
                ),
                max_size=1,
            ).map(tuple)
        ),
        parent=draw(
            st.none()
            | st.just(ParentResult("P1", "F1", (Coding("600-7", "Culture", "LN"),), "1", "E. coli"))
        ),
    )


def _meaning(report: LabReport, held: set[int]) -> LabReport:
    """Without what only tells where and as which type it stood."""
    return replace(
        report,
        place="",
        observations=tuple(
            replace(
                line,
                place="",
                value_type="",
                reference=replace(line.reference, raw=""),
                value="",
                unit="",
                status=ObservationStatus.FINAL,
            )
            for at, line in enumerate(report.observations)
            if at not in held
        ),
        attachments=tuple(replace(item, place="") for item in report.attachments),
    )


def _is_held(line: Observation) -> bool:
    """A number that goes on as text: our own reader holds such a line and reads no more of it."""
    first, goes_on, _ = line.value.partition("\n")
    return bool(goes_on) and parse_quantity(first.strip()) is not None


@given(_reports())
def test_what_is_written_reads_back_as_it_was(report: LabReport) -> None:
    (told,) = read_hl7(write_oru(report, ENVELOPE), PROFILE).reports
    for read, written in zip(told.observations, report.observations, strict=True):
        if not _is_held(written):
            assert (read.value, read.unit, read.status) == (
                written.value,
                written.unit,
                written.status,
            )
    held = {at for at, line in enumerate(report.observations) if _is_held(line)}
    assert _meaning(told, held) == _meaning(report, held)


@given(_ranges, st.sampled_from(["", "M", "F"]))
@example(ReferenceRange("", "40", raw=""), "")
def test_a_range_keeps_its_bounds(reference: ReferenceRange, sex: str) -> None:
    told = parse_reference_range(range_text(reference), sex)
    assert (told.low, told.high, told.text) == (reference.low, reference.high, reference.text) or (
        told == parse_reference_range(reference.raw, sex)
    )


def _one(value: str, value_type: str = "ST", **more: Any) -> LabReport:
    line = Observation((Coding("GLUC", "血糖"),), value, value_type, **more)
    return LabReport(Patient(national_id("A", 19900001), name="測試"), (), (line,))


def _obx(report: LabReport) -> list[str]:
    text = write_oru(report, ENVELOPE).decode()
    return next(each for each in text.split("\r") if each.startswith("OBX")).split("|")


@pytest.mark.parametrize(
    ("value", "sent_as", "written"),
    [
        ("5.10", "NM", ("NM", "5.10")),
        ("5.10", "ST", ("ST", "5.10")),
        ("0", "Quantity", ("NM", "0")),
        ("1e3", "NM", ("ST", "1e3")),
        ("<0.1", "SN", ("SN", "<^0.1")),
        ("≦5", "SN", ("ST", "≦5")),
        ("陰性", "CWE", ("ST", "陰性")),
        ("一\n二", "TX", ("FT", "一\\.br\\二")),
        ("a" * 200, "ST", ("TX", "a" * 200)),
        ("", "NM", ("NM", "")),
    ],
    ids=[
        "number",
        "number-as-text",
        "zero",
        "exponent",
        "below",
        "full-width",
        "coded",
        "lines",
        "long",
        "none",
    ],
)
def test_a_value_goes_out_under_a_type_that_holds_it(
    value: str, sent_as: str, written: tuple[str, str]
) -> None:
    fields = _obx(_one(value, sent_as))
    assert (fields[2], fields[5]) == written


def test_a_corrected_line_is_marked_with_c() -> None:
    assert _obx(_one("6", status=ObservationStatus.CORRECTED))[11] == "C"


def test_a_message_may_be_written_in_big5_with_every_trail_byte() -> None:
    report = _one("功育回才許蓋")
    raw = write_oru(report, replace(ENVELOPE, charset="cp950"))
    assert b"BIG-5" in raw
    assert read_hl7(raw, PROFILE).reports[0].observations[0].value == "功育回才許蓋"


@pytest.mark.parametrize(
    ("report", "charset"),
    [(_one("a\x0bb"), "utf-8"), (_one("é"), "cp950"), (_one("\ud800"), "utf-8")],
    ids=["vertical-tab", "not-in-big5", "half-a-character"],
)
def test_what_cannot_be_written_as_it_is_is_refused_without_its_words(
    report: LabReport, charset: str
) -> None:
    with pytest.raises(Unwritable) as refused:
        write_oru(report, replace(ENVELOPE, charset=charset))
    assert report.observations[0].value not in str(refused.value)


def test_two_texts_under_one_code_stay_two() -> None:
    line = Observation((Coding("NOTE"),), "a" * 300, "TX")
    report = replace(_one("1"), observations=(line, replace(line, value="b" * 300)))
    told = read_hl7(write_oru(report, ENVELOPE), PROFILE).reports[0]
    assert [each.value for each in told.observations] == ["a" * 300, "b" * 300]


def test_a_result_without_code_and_name_is_not_written() -> None:
    with pytest.raises(Unwritable):
        write_oru(replace(_one("1"), observations=(Observation((), "1"),)), ENVELOPE)
