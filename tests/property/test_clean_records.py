"""What is remembered of right records never hides what the rules would find."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapping.editions.edition import Variant, editions
from mapping.finding import Finding
from mapping.record import Field, PlacedFields, UploadRecord
from mapping.rules import RuleContext, check_record
from mapping.rules.clean_records import ALONE, CleanRecords
from mapping.rules.plan import RecordPlan, plan_for
from mapping.upload_xml import read_upload
from tests.golden.build import CONTEXT, FOLDER, INPUTS, golden_file
from tests.unit.test_mutation_table import TABLE, spelled

NAMES = sorted(golden_file(path).stem for path in INPUTS)


@cache
def golden(name: str) -> UploadRecord:
    (record,) = read_upload(io.BytesIO((FOLDER / f"{name}.xml").read_bytes()))
    return record


INSTITUTIONS = frozenset(golden(name).value(tag) for name in NAMES for tag in ("h2", "h27"))
LISTS = (
    CONTEXT,
    replace(CONTEXT, sealed=False),
    replace(CONTEXT, institutions=INSTITUTIONS - {""}),
)


def changed(record: UploadRecord, place: str, tag: str, value: str) -> UploadRecord:
    """As a file would bring it: the fields that stay keep their order."""
    index = 0 if place == "hdata" else int(place.removeprefix("rdata[").removesuffix("]"))
    levels = [dict(fields) for fields in (record.header, *record.rows)]
    if index >= len(levels):
        return record
    levels[index] |= {tag: Field(value, "test")}
    return read_again(levels)


def read_again(levels: list[dict[str, Field]]) -> UploadRecord:
    placed = [
        PlacedFields(
            tuple(tag for tag in level if level[tag].value),
            tuple(field.value for field in level.values() if field.value),
            "test",
        )
        for level in levels
    ]
    return UploadRecord(placed[0], tuple(placed[1:]))


def made(record: UploadRecord) -> UploadRecord:
    """The same record as one that was made here, not read."""
    return UploadRecord(dict(record.header), tuple(map(dict, record.rows)))


class Unknowing(CleanRecords):
    """Remembers nothing: every record takes the plain path."""

    def knows(self, record: UploadRecord) -> bool:
        return False

    def learn(self, record: UploadRecord, plan: RecordPlan, with_results: bool) -> None:
        return


class Rules:
    """The rules of one context, once with what was seen before and once without."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def compare(self, record: UploadRecord, context: RuleContext) -> None:
        remembered = check_record(record, context)
        with self._patch.context() as patch:
            patch.setattr("mapping.rules.record._clean_records", lambda _: Unknowing(""))
            plain = check_record(record, context)
        assert remembered == plain


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Rules:
    monkeypatch.setattr("mapping.rules.record._known", (None, None))
    return Rules(monkeypatch)


@pytest.mark.parametrize("context", LISTS, ids=("sealed", "open", "institutions"))
def test_every_change_of_the_mutation_table_is_found_after_the_right_records(
    rules: Rules, context: RuleContext
) -> None:
    for name in (*NAMES, *NAMES):
        rules.compare(golden(name), context)
        rules.compare(made(golden(name)), context)
    for row in TABLE:
        if row["place"] == "package":
            continue
        wrong = changed(golden(row["file"]), row["place"], row["field"], spelled(row["value"]))
        rules.compare(wrong, context)
        rules.compare(made(wrong), context)
        rules.compare(golden(row["file"]), context)


TAGS = sorted(
    {rule.tag for edition in editions(Variant.DAILY) for rule in (*edition.header, *edition.rows)}
)
VALUES = sorted({spelled(row["value"])[:200] for row in TABLE} | {""})


def said_of(tag: str) -> list[str]:
    """What the golden files and the mutation table say in a field, and a day long ago."""
    levels = [fields for name in NAMES for fields in (golden(name).header, *golden(name).rows)]
    said = {fields[tag].value for fields in levels if tag in fields}
    said |= {spelled(row["value"])[:200] for row in TABLE if row["field"] == tag}
    return sorted((said | {"1130501"}) - {""})


@pytest.mark.parametrize("context", LISTS, ids=("sealed", "open", "institutions"))
@pytest.mark.parametrize("tag", TAGS)
def test_whatever_else_a_field_says_is_found_as_the_rules_find_it(
    rules: Rules, tag: str, context: RuleContext
) -> None:
    for name in NAMES:
        check_record(golden(name), context)
        place = "hdata" if tag.startswith("h") else "rdata[1]"
        for value in said_of(tag)[:60]:
            rules.compare(changed(golden(name), place, tag, value), context)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_two_records_that_were_mixed_are_found_as_the_rules_find_them(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mapping.rules.record._known", (None, None))
        rules = Rules(patch)
        first, second = (golden(data.draw(st.sampled_from(NAMES))) for _ in range(2))
        for _ in range(2):
            rules.compare(first, CONTEXT)
            rules.compare(second, CONTEXT)
        levels = [dict(fields) for fields in (first.header, *first.rows)]
        others = [dict(fields) for fields in (second.header, *second.rows)]
        for _ in range(data.draw(st.integers(1, 4))):
            number = data.draw(st.integers(0, len(levels) - 1))
            pool = [tag for tag in TAGS if (tag[0] == "h") is (number == 0)]
            tag = data.draw(st.sampled_from(pool))
            other = others[min(number, len(others) - 1)]
            value = other[tag].value if tag in other else data.draw(st.sampled_from(VALUES))
            levels[number][tag] = Field(value, "test")
        if data.draw(st.booleans()):
            levels.append(levels[-1])
        mixed = read_again(levels)
        for _ in range(2):
            rules.compare(mixed, CONTEXT)
        rules.compare(first, CONTEXT)


def test_no_condition_of_an_edition_looks_at_a_field_that_stands_alone() -> None:
    for edition in editions(Variant.DAILY):
        for rule in (*edition.header, *edition.rows):
            for case in (*rule.when, *rule.blank, *(case for case, _ in rule.narrowed)):
                assert ALONE.isdisjoint(tag for tag, _ in case)


def test_a_right_record_is_known_again_and_one_with_another_order_code_is_not() -> None:
    record = golden("glucose")
    known = CleanRecords("1140401")
    assert not known.knows(record)
    header = {tag: field.value for tag, field in record.header.items()}
    known.learn(record, plan_for(CONTEXT.edition, header), with_results=False)
    assert known.knows(record)
    assert not known.knows(made(record))
    assert not known.knows(changed(record, "hdata", "h15", "09001C"))
    assert known.knows(changed(record, "rdata[1]", "r4", "101.5"))
    assert not known.knows(changed(record, "rdata[1]", "r4", "值" * 2000))
    assert not known.knows(UploadRecord(record.header, record.rows * 2))


def test_a_record_with_a_finding_is_never_remembered() -> None:
    right = golden("glucose")
    wrong = changed(right, "hdata", "h4", "11301")
    for _ in range(3):
        assert [finding.code for finding in check_record(wrong, CONTEXT)] == ["10"]
        assert check_record(right, CONTEXT) == ()


def test_a_day_that_is_future_in_one_context_is_found_there() -> None:
    record = golden("glucose")
    assert check_record(record, CONTEXT) == ()
    early = replace(CONTEXT, today=CONTEXT.today.replace(year=CONTEXT.today.year - 1))
    found: tuple[Finding, ...] = check_record(record, early)
    assert {finding.code for finding in found} == {"future-date"}
    assert check_record(record, CONTEXT) == ()
