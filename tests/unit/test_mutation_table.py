"""The mutation table: a right record, one change, and exactly the codes that must be found.

``tests/golden/mutations.csv``: ``file`` is the golden file that is changed, ``place`` and
``field`` say where, ``value`` is written there (empty: the field is left out; ``血×101``: so many
of the same; ``U+0007`` stands for that character), ``found`` lists what is found then and was
not before (``code``, or ``field:code`` and ``place/field:code`` where it is not the changed
field), ``lists`` is the list that the operator imported for the check.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from functools import cache

import pytest

from mapping.catalogue.tables import code_table
from mapping.editions.edition import edition_on
from mapping.finding import Finding, Severity
from mapping.record import Field, UploadRecord
from mapping.rules import ClaimList, RuleContext, check_package, check_record
from mapping.upload_xml import read_upload
from tests.golden.build import CONTEXT, FOLDER, INPUTS, STEM, UPLOAD_DAY, golden_file

with (FOLDER / "mutations.csv").open(encoding="utf-8", newline="") as _file:
    TABLE = list(csv.DictReader(_file))

_REPEATED = re.compile(r"(.)×([0-9]+)")
_CHARACTER = re.compile(r"U\+([0-9A-F]{4})")
PERSON, VISIT_DAY = "A223456781", "1140302"
LISTS = {
    "": CONTEXT,
    "institutions": RuleContext(
        today=UPLOAD_DAY,
        upload_on=UPLOAD_DAY,
        sealed=True,
        institutions=frozenset(("3501200000", "JY00000001")),
    ),
    "order-codes": RuleContext(
        today=UPLOAD_DAY,
        upload_on=UPLOAD_DAY,
        sealed=True,
        order_codes={
            "12171B": (date(2020, 1, 1), None),
            "12111C": (date(2020, 1, 1), date(2025, 3, 1)),
        },
    ),
    "claims": RuleContext(
        today=UPLOAD_DAY,
        upload_on=UPLOAD_DAY,
        sealed=True,
        claims=ClaimList(
            "3501200000",
            frozenset(("11403",)),
            {
                (PERSON, "08011C", VISIT_DAY): (),
                (PERSON, "64164B", VISIT_DAY): ("1140302091500",),
            },
        ),
    ),
}


@cache
def golden(name: str) -> UploadRecord:
    (record,) = read_upload(io.BytesIO((FOLDER / f"{name}.xml").read_bytes()))
    return record


def spelled(value: str) -> str:
    if match := _REPEATED.fullmatch(value):
        return match.group(1) * int(match.group(2))
    return _CHARACTER.sub(lambda match: chr(int(match.group(1), 16)), value)


def changed(record: UploadRecord, place: str, tag: str, value: str) -> UploadRecord:
    index = 0 if place == "hdata" else int(place.removeprefix("rdata[").removesuffix("]"))
    levels = [dict(record.header), *map(dict, record.rows)]
    levels[index].pop(tag, None)
    if value:
        levels[index][tag] = Field(value, "test")
    return UploadRecord(levels[0], tuple(levels[1:]))


def named(findings: tuple[Finding, ...]) -> set[str]:
    return {f"{finding.place}/{finding.field}:{finding.code}" for finding in findings}


def wanted(row: dict[str, str]) -> set[str]:
    whole = set()
    for entry in row["found"].split():
        place, _, rest = entry.rpartition("/")
        field, _, code = rest.rpartition(":")
        field = field or row["field"]
        if not place:
            place = "hdata" if field.startswith("h") else row["place"]
        whole.add(f"{place}/{field}:{code}")
    return whole


def identity(row: dict[str, str]) -> str:
    return f"{row['file']} {row['field']} {row['damage']}"


@pytest.mark.parametrize("row", [r for r in TABLE if r["place"] != "package"], ids=identity)
def test_a_change_is_found_as_just_what_it_is(row: dict[str, str]) -> None:
    context = LISTS[row["lists"]]
    right = golden(row["file"])
    before = check_record(right, context)
    assert [finding for finding in before if finding.severity is Severity.ERROR] == []
    wrong = changed(right, row["place"], row["field"], spelled(row["value"]))
    after = check_record(wrong, context)
    assert named(after) - named(before) == wanted(row)
    for finding in after:
        assert "{" not in finding.message("zh") + finding.message("en") + finding.remedy("zh")


@pytest.mark.parametrize("row", [r for r in TABLE if r["place"] == "package"], ids=identity)
def test_a_change_of_the_package_is_found_as_just_what_it_is(row: dict[str, str]) -> None:
    record, field, value = golden(row["file"]), row["field"], row["value"]
    assert check_package((record,), STEM, CONTEXT) == ()
    used = frozenset((int(value),)) if field == "used" else frozenset()
    context = RuleContext(today=UPLOAD_DAY, used_serials=used)
    stem = value if field == "stem" else STEM
    copies = int(value) if field == "copies" else 1
    found = check_package((record,) * copies, stem, context)
    entries = [entry.rpartition(":") for entry in row["found"].split()]
    assert [(finding.field, finding.code) for finding in found] == [
        (field, code) for field, _, code in entries
    ]


def test_the_table_has_a_pair_for_each_of_the_46_codes() -> None:
    codes = {entry.rpartition(":")[2] for row in TABLE for entry in row["found"].split()}
    assert set(code_table("nhi-codes")) - codes == set()


def test_the_table_breaks_each_field_of_the_edition() -> None:
    edition = edition_on(UPLOAD_DAY)
    tags = {rule.tag for rule in (*edition.header, *edition.rows)}
    assert tags - {row["field"] for row in TABLE} == set()


def test_the_table_has_hundreds_of_different_changes() -> None:
    assert len({(row["file"], row["place"], row["field"], row["value"]) for row in TABLE}) >= 500
    assert {row["file"] for row in TABLE} <= {golden_file(path).stem for path in INPUTS}
