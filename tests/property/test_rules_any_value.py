from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from mapping.editions.edition import editions
from mapping.finding import Finding, finding_texts
from mapping.record import Field, Fields, UploadRecord
from mapping.rules import RuleContext, check_package, check_record
from tests.unit.upload_samples import CONTEXT, valid_record

EDITION = editions()[0]
VALUES = (
    st.text(max_size=20)
    | st.from_regex(r"[0-9]{1,14}", fullmatch=True)
    | st.sampled_from(["1", "2", "3", "4", "11", "21", "50", "AG", "Z000", "1140203", "Y00010"])
)


def fields(tags: list[str]) -> st.SearchStrategy[Fields]:
    chosen = st.dictionaries(st.sampled_from(tags), VALUES)
    return chosen.map(lambda values: {tag: Field(text, "test") for tag, text in values.items()})


RECORDS = st.builds(
    UploadRecord,
    fields([*(rule.tag for rule in EDITION.header), "h99"]),
    st.lists(fields([*(rule.tag for rule in EDITION.rows), "r6"]), max_size=3).map(tuple),
)


@given(RECORDS, st.dates(date(1975, 1, 1), date(2100, 1, 1)), st.booleans())
def test_any_record_is_answered_with_readable_findings(
    record: UploadRecord, today: date, sealed: bool
) -> None:
    context = RuleContext(
        today=today,
        upload_on=today,
        sealed=sealed,
        institutions=frozenset(),
        order_codes={"08011C": (date(2020, 1, 1), None)},
    )
    for finding in check_record(record, context):
        assert finding.message("zh")
        assert finding.remedy("en")


@given(st.lists(RECORDS, max_size=3), st.text(max_size=20))
def test_any_package_is_answered(records: list[UploadRecord], stem: str) -> None:
    for wanted in (stem, "35012345671140204007"):
        for finding in check_package(records, wanted, CONTEXT):
            assert finding.message("en")


@given(st.sampled_from([r.tag for r in EDITION.header]), VALUES.filter(bool))
def test_a_change_of_one_header_value_never_hides_behind_another_place(
    tag: str, value: str
) -> None:
    record = valid_record({tag: value})
    for finding in check_record(record, CONTEXT):
        assert finding.place in ("hdata", "rdata[1]")


def test_a_finding_without_parameters_still_has_its_sentence() -> None:
    for code in finding_texts():
        assert Finding(code, "h7", "hdata", "002").message("zh")
