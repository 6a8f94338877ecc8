"""The monthly layout is told apart, written, read back and checked by its own table."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from mapping.editions.edition import Variant, edition_on, editions
from mapping.finding import Finding, Severity
from mapping.monthly import (
    CardKeys,
    ClaimKeys,
    monthly_tag,
    stamp_monthly_upload_time,
    to_daily,
    to_monthly,
    variant_of,
)
from mapping.record import UploadRecord, plain_values
from mapping.rules import RuleContext, check_package, check_record
from mapping.upload_xml import read_upload, write_upload
from tests.unit.upload_samples import UPLOAD_DAY, record_of, valid_record

EDITION = edition_on(UPLOAD_DAY, Variant.MONTHLY)
CONTEXT = RuleContext(today=UPLOAD_DAY, upload_on=UPLOAD_DAY, sealed=True)
KEYS = ClaimKeys(
    fee_month=date(2025, 2, 1),
    kind="1",
    claimed_on=date(2025, 2, 4),
    case_type="01",
    case_serial=17,
    order_serial=3,
)
CARD = CardKeys(
    executed_in=date(2025, 2, 3),
    card_at=datetime(2025, 2, 3, 2, 11, 12, tzinfo=UTC),
    visit_type="01",
)
STAMPED_AT = datetime(2025, 2, 4, 1, 15, tzinfo=UTC)


def monthly(**changes: str) -> UploadRecord:
    """The valid record in the monthly layout, ``h18="…"`` set or, empty, taken away."""
    record = stamp_monthly_upload_time(to_monthly(valid_record(), KEYS), STAMPED_AT)
    values = {**plain_values(record.header), **changes}
    header = {tag: value for tag, value in values.items() if value}
    return record_of(header, *(plain_values(row) for row in record.rows))


def errors(record: UploadRecord) -> list[tuple[str, str]]:
    return [
        (finding.code, finding.field)
        for finding in check_record(record, CONTEXT)
        if finding.severity is Severity.ERROR
    ]


def test_the_table_has_every_field_of_the_format_document() -> None:
    assert [rule.tag for rule in EDITION.header] == [f"h{number}" for number in range(1, 34)]
    assert EDITION.rows[0].tag == "r1"
    daily = edition_on(UPLOAD_DAY)
    assert [rule.tag for rule in EDITION.rows] == [rule.tag for rule in daily.rows]
    assert all(edition.variant is Variant.DAILY for edition in editions())


def test_what_both_layouts_have_is_the_same_field_by_length_and_type() -> None:
    daily = edition_on(UPLOAD_DAY)
    for rule in EDITION.header:
        if rule.daily:
            same = daily.rule(rule.daily)
            assert same is not None
            assert (rule.name_zh, rule.length, rule.exact, rule.type, rule.dates, rule.form) == (
                *(same.name_zh, same.length, same.exact, same.type, same.dates, same.form),
            )


def test_a_daily_record_becomes_a_monthly_one_that_breaks_no_rule() -> None:
    record = monthly()
    values = plain_values(record.header)
    assert {tag: values[tag] for tag in ("h4", "h5", "h6", "h7", "h8", "h17")} == {
        "h4": "11402",
        "h5": "1",
        "h6": "1140204",
        "h7": "01",
        "h8": "17",
        "h17": "3",
    }
    assert (values["h18"], values["h19"], values["h26"]) == ("08011C", "1140204091500", "0001")
    assert record.rows == valid_record().rows
    assert errors(record) == []


def test_provenance_goes_along_and_the_claim_is_named() -> None:
    record = to_monthly(valid_record(), KEYS)
    assert record.header["h18"].origin == "test"
    assert record.header["h17"].origin == "claim"


def test_a_serial_that_was_unknown_comes_from_the_claim() -> None:
    unknown = valid_record({"h3": "50", "h7": "Z000", "h26": "5", "h27": "3501234567"})
    kept = to_monthly(unknown, KEYS)
    assert ("23", "h26") in errors(kept)
    known = replace(KEYS, visit_serial="0042")
    assert to_monthly(unknown, known).value("h26") == "0042"
    assert ("23", "h26") not in errors(to_monthly(unknown, known))


@pytest.mark.parametrize(
    ("header", "variant"),
    [
        ({}, Variant.DAILY),
        ({"h5": "1140203101112", "h6": "01", "h15": "08011C"}, Variant.DAILY),
        ({"h5": "1", "h6": "1140204", "h18": "08011C"}, Variant.MONTHLY),
        # One sign may be wrong or missing.
        ({"h5": "1", "h6": "01", "h15": "08011C"}, Variant.DAILY),
        ({"h6": "01", "h15": "08011C"}, Variant.DAILY),
        ({"h5": "1140203101112", "h15": "08011C", "h6": "1140204"}, Variant.DAILY),
        ({"h5": "1140203101112", "h6": "01"}, Variant.DAILY),
        ({"h5": "1140203101112", "h6": "1140204", "h18": "08011C"}, Variant.MONTHLY),
        ({"h6": "1140204", "h18": "08011C"}, Variant.MONTHLY),
        ({"h5": "1", "h18": "08011C"}, Variant.MONTHLY),
        ({"h5": "1", "h6": "1140204"}, Variant.MONTHLY),
        # h15 and h16 of an inpatient claim are days, h18 of a daily record is a person.
        ({"h5": "2", "h6": "1140204", "h15": "1140101", "h18": "08011C"}, Variant.MONTHLY),
        ({"h5": "1140203101112", "h15": "08011C", "h18": "A123456789"}, Variant.DAILY),
    ],
)
def test_two_of_three_signs_tell_the_layout(header: dict[str, str], variant: Variant) -> None:
    assert variant_of(record_of(header)) is variant


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"h4": "11413"}, ("04", "h4")),
        ({"h5": "3"}, ("03", "h5")),
        ({"h5": ""}, ("01", "h5")),
        ({"h6": "1140230"}, ("04", "h6")),
        ({"h7": "1"}, ("01", "h7")),
        ({"h7": "a1"}, ("03", "h7")),
        ({"h8": "0"}, ("06", "h8")),
        ({"h8": "1234567"}, ("01", "h8")),
        ({"h8": "1a"}, ("05", "h8")),
        ({"h11": ""}, ("01", "h11")),
        ({"h17": ""}, ("01", "h17")),
        ({"h17": "0"}, ("06", "h17")),
        ({"h17": "123456"}, ("01", "h17")),
        ({"h18": ""}, ("01", "h18")),
        ({"h18": "08011c"}, ("37", "h18")),
        ({"h1": "2"}, ("30", "h1")),
        ({"h19": ""}, ("01", "h19")),
        ({"h19": "1140205091500"}, ("22", "h19")),
        ({"h20": "A12345678"}, ("01", "h20")),
        ({"h23": "114020310"}, ("04", "h23")),
        ({"h26": "Z000"}, ("23", "h26")),
        ({"h26": ""}, ("01", "h26")),
        ({"h27": "1140201"}, ("12", "h28")),
        ({"h28": "a"}, ("11", "h27")),
        ({"h27": "1130201", "h28": "A"}, ("13", "h27")),
        ({"h29": "7"}, ("03", "h29")),
        ({"h29": "5"}, ("01", "h30")),
        ({"h29": "3", "h30": "350123456x"}, ("28", "h30")),
        ({"h31": "x" * 21}, ("01", "h31")),
        ({"h25": "血液<1"}, ("half-width-special", "h25")),
        ({"h34": "1"}, ("unknown-field", "h34")),
    ],
)
def test_one_change_raises_its_code_on_its_field(
    changes: dict[str, str], found: tuple[str, str]
) -> None:
    assert found in errors(monthly(**changes))


def test_work_accepted_from_others_needs_the_day_of_treatment() -> None:
    accepted = {"h29": "5", "h30": "3501234567"}
    assert errors(monthly(**accepted)) == [("01", "h12")]
    assert errors(monthly(**accepted, h12="1140203")) == []


def test_an_inpatient_claim_needs_its_period_and_admission() -> None:
    inpatient = {"h3": "22", "h11": "", "h29": ""}
    assert set(errors(monthly(**inpatient))) == {("01", "h13"), ("01", "h15"), ("01", "h16")}
    whole = {"h13": "1140201", "h15": "1140201", "h16": "1140228"}
    assert errors(monthly(**inpatient, **whole)) == []


@pytest.mark.parametrize("order_code", ["Y00006", "Z0000", "Z09005C"])
@pytest.mark.parametrize(("serial", "code"), [("0", None), ("00000", None), ("2", "08")])
def test_an_order_outside_the_claim_has_the_serial_zero(
    serial: str, code: str | None, order_code: str
) -> None:
    row = {"r1": "1", "r2": "收縮壓", "r4": "120", "r5": "mmHg", "r6-1": "90", "r6-2": "130"}
    header = {**plain_values(monthly().header), "h18": order_code, "h17": serial}
    found = errors(record_of(header, row, {**row, "r1": "2", "r2": "舒張壓", "r4": "80"}))
    assert [each for each in found if each[1] == "h17"] == ([(code, "h17")] if code else [])


def test_the_fee_month_need_not_be_the_month_of_execution() -> None:
    assert errors(monthly(h4="11403")) == []


def test_rows_are_checked_like_those_of_the_daily_layout() -> None:
    record = UploadRecord(monthly().header, valid_record(row={"r1": "x", "r4": ""}).rows)
    assert errors(record) == [("05", "r1"), ("01", "r4")]
    positivity = monthly(h18="14051C")
    assert ("01", "r4-1") in errors(positivity)


def test_a_file_reads_back_as_it_was_written() -> None:
    out = io.BytesIO()
    assert write_upload([monthly(), monthly(h17="4")], out, EDITION) == 2
    assert b"<h33>" not in out.getvalue()
    out.seek(0)
    back = list(read_upload(out))
    assert [plain_values(record.header) for record in back] == [
        plain_values(record.header) for record in (monthly(), monthly(h17="4"))
    ]
    assert {variant_of(record) for record in back} == {Variant.MONTHLY}


def test_orders_are_double_by_the_monthly_key() -> None:
    stem = "35012345671140204001"
    found = check_package([monthly(), monthly(h17="4"), monthly(h26="0002")], stem, CONTEXT)
    assert [(finding.code, finding.field, finding.place) for finding in found] == [
        ("25", "h18", "hdata[3]")
    ]
    (finding,) = check_package([monthly(h19="1140203091500")], stem, CONTEXT)
    assert finding == Finding("22", "h19", "hdata[1]", "1140203091500")


def test_back_in_the_daily_layout_the_card_event_is_named() -> None:
    daily = to_daily(monthly(), CARD)
    assert (daily.value("h5"), daily.value("h6"), daily.value("h8")) == ("1140203101112", "01", "1")
    assert plain_values(daily.header) == {
        **plain_values(valid_record().header),
        "h16": "1140204091500",
    }
    assert errors(daily) == []


def test_a_tag_that_the_monthly_layout_lacks_is_given_back() -> None:
    assert [monthly_tag(tag) for tag in ("h15", "h25", "r4")] == ["h18", "h25", "r4"]
