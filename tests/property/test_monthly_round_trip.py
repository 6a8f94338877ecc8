"""What both layouts carry is the same after any way between them."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from mapping.big5 import is_encodable
from mapping.editions.edition import Variant, editions
from mapping.monthly import CardKeys, ClaimKeys, to_daily, to_monthly, variant_of
from mapping.record import Field, UploadRecord, plain_values
from mapping.rules import RuleContext, check_record
from mapping.upload_xml import read_upload, write_upload

DAILY, MONTHLY = editions()[0], editions(Variant.MONTHLY)[0]
SHARED = {rule.daily: rule.tag for rule in MONTHLY.header if rule.daily}
ROW_TAGS = [rule.tag for rule in DAILY.rows]
TEXTS = st.text(st.characters(max_codepoint=0xFFFF).filter(is_encodable), min_size=1, max_size=12)
DAYS = st.dates(date(1912, 1, 1), date(2200, 12, 31))


def records(tags: list[str]) -> st.SearchStrategy[UploadRecord]:
    def fields(names: list[str]) -> st.SearchStrategy[dict[str, Field]]:
        return st.dictionaries(st.sampled_from(names), st.builds(Field, TEXTS, TEXTS))

    rows = st.lists(fields(ROW_TAGS), max_size=3).map(tuple)
    return st.builds(UploadRecord, fields(tags), rows)


CLAIMS = st.builds(
    ClaimKeys,
    fee_month=DAYS,
    kind=st.sampled_from("12"),
    claimed_on=DAYS,
    case_type=st.sampled_from(["01", "09", "E1"]),
    case_serial=st.integers(1, 999_999),
    order_serial=st.integers(0, 99_999),
    period=st.none() | st.tuples(DAYS, DAYS),
)
CARDS = st.builds(
    CardKeys,
    executed_in=DAYS,
    card_at=st.datetimes(datetime(1950, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    visit_type=st.sampled_from(["01", "AG"]),
)


@given(records([rule.tag for rule in DAILY.header]), CLAIMS, CARDS)
def test_a_daily_record_comes_back_in_all_that_both_carry(
    record: UploadRecord, claim: ClaimKeys, card: CardKeys
) -> None:
    there = to_monthly(record, claim)
    back = to_daily(there, card)
    for daily, monthly in SHARED.items():
        assert record.header.get(daily) == there.header.get(monthly) == back.header.get(daily)
    assert record.rows == there.rows == back.rows
    assert set(there.header) <= {rule.tag for rule in MONTHLY.header}


@given(records([rule.tag for rule in MONTHLY.header]), CLAIMS, CARDS)
def test_a_monthly_record_comes_back_in_all_that_both_carry(
    record: UploadRecord, claim: ClaimKeys, card: CardKeys
) -> None:
    there = to_daily(record, card)
    back = to_monthly(there, claim)
    for daily, monthly in SHARED.items():
        assert record.header.get(monthly) == there.header.get(daily) == back.header.get(monthly)
    assert record.rows == there.rows == back.rows
    assert set(there.header) <= {rule.tag for rule in DAILY.header}


@given(records([rule.tag for rule in MONTHLY.header]))
def test_reading_undoes_writing(record: UploadRecord) -> None:
    out = io.BytesIO()
    write_upload([record], out, MONTHLY)
    out.seek(0)
    (back,) = read_upload(out)
    assert plain_values(back.header) == plain_values(record.header)
    assert [plain_values(row) for row in back.rows] == [plain_values(row) for row in record.rows]


@given(st.dictionaries(st.from_regex(r"h[0-9]{1,2}", fullmatch=True), st.text(max_size=14)))
def test_whatever_the_values_there_is_a_layout_and_an_answer(values: dict[str, str]) -> None:
    header = {tag: Field(value, "test") for tag, value in values.items()}
    record = UploadRecord(header, ())
    assert variant_of(record) in Variant
    found = check_record(record, RuleContext(today=date(2025, 2, 4)))
    assert all(finding.message("zh") and finding.remedy("en") for finding in found)
