"""Two implementations of the published rules, written apart, agree: what the checks before
upload let pass, the stand-in gateway accepts."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.sandbox.reception import open_package, parse_name
from broker.sandbox.settings import SandboxSettings
from broker.sandbox.verdict import judge
from mapping.finding import Severity
from mapping.package_file import write_package
from mapping.record import Field, UploadRecord
from mapping.rules import RuleContext, check_record
from tests.gateway_samples import INSTITUTION, header, row, upload_day

# An order code outside table 3 is left out: whether it exists is a matter of the fee schedule.
SETTINGS = SandboxSettings(folder=Path(), trusted=())
DAY = upload_day()
TODAY = date(int(DAY[:3]) + 1911, int(DAY[3:5]), int(DAY[5:]))
CONTEXT = RuleContext(today=TODAY, upload_on=TODAY, sealed=True)

MONTH = DAY[:5]
HEADER_VALUES = {
    "h1": ("1", "2", "3", "5", ""),
    "h2": ("3509999999", "35012"),
    "h3": ("12", "21", "50", "99", ""),
    "h4": ("11401", MONTH, "1141"),
    "h5": (f"{DAY}0815", "", f"{DAY}246060"),
    "h6": ("AG", "ZZ", ""),
    "h7": ("IC02", "Z000", "001", "a001", ""),
    "h8": ("2", "3", ""),
    "h9": ("B123456780", "a123456789", "A1234"),
    "h10": ("-050101", "0750230", "19860101"),
    "h11": ("", "1140101", "x"),
    "h12": (DAY, "114"),
    "h13": (DAY, "1140101"),
    "h14": (DAY, "114x101"),
    "h15": ("06012C", "14051C", "12215C", "18001C", "25003C", "33070B", "Z09005C", ""),
    "h16": (f"{DAY}0000", "1140101000000", ""),
    "h17": ("A123456789", "A12345678901"),
    "h19": (f"{DAY}0800", f"{DAY}080000", "x"),
    "h20": (f"{DAY}082000", f"{DAY}0000", DAY, ""),
    "h22": ("尿" * 100, "尿" * 101, "a" * 200, "尿<液", "尿液功", ""),
    "h23": (DAY, "1140101"),
    "h24": ("a", "B", "1", "ab"),
    "h25": ("H", "NJ", "HH", "Z", "h"),
    "h26": ("0", "2", "3", "5", "6", ""),
    "h27": ("3500000001", "350"),
    "h28": ("1" * 20, "1" * 21),
}
ROW_VALUES = {
    "r1": ("2", "0", "x", "1234567", "01", ""),
    "r2": ("蛋白" * 20, "蛋白" * 30, "a&b", ""),
    "r3": ("", "x" * 101),
    "r4": ("陽", "陰", "x" * 4001, "功" * 2000, "<5", "＜5", ""),
    "r4-1": ("1", "U", "Z"),
    "r5": ("無", "x" * 51, ""),
    "r6-1": ("", "功" * 501, "'"),
    "r6-2": ("", "x" * 1000),
    "r7": ("肺野清晰",),
    "r8-1": ("無惡性細胞", '"'),
    "r9": ("A123456789", "A1234567890"),
    "r10": (f"{DAY}093000", DAY, "x"),
    "r11": ("備註", "功\n育"),
    "r12": ("0", "1", "2"),
    "r14": (f"{DAY}0940", "94"),
}


def changes_of(values: dict[str, tuple[str, ...]]) -> st.SearchStrategy[dict[str, str]]:
    pairs = [(tag, value) for tag, options in values.items() for value in options]
    return st.lists(st.sampled_from(pairs), max_size=2).map(dict)


def record_of(head: dict[str, str], *rows: dict[str, str]) -> UploadRecord:
    def fields(values: dict[str, str]) -> dict[str, Field]:
        return {tag: Field(value, "test") for tag, value in values.items()}

    return UploadRecord(fields(head), tuple(fields(values) for values in rows))


@settings(max_examples=400, deadline=None)
@given(changes_of(HEADER_VALUES), st.lists(changes_of(ROW_VALUES), min_size=1, max_size=2))
def test_what_the_checks_let_pass_the_gateway_accepts(
    head: dict[str, str], rows: list[dict[str, str]]
) -> None:
    record = record_of(
        header(**head),
        *(row(**{"r1": str(number), **changes}) for number, changes in enumerate(rows, start=1)),
    )
    findings = check_record(record, CONTEXT)
    if any(finding.severity is Severity.ERROR for finding in findings):
        return
    stem = f"{INSTITUTION}{DAY}001"
    raw = io.BytesIO()
    write_package([record], stem, raw)
    name = parse_name(f"{stem}.zip")
    document = open_package(raw.getvalue(), name, 10_000_000)
    ((order, accepted),), outcome = judge(document, name, SETTINGS, lambda key: "")
    assert order.header["h15"] == record.value("h15")
    # h2 against the file name is a check of the whole package, not of a record.
    assert accepted or record.value("h2") != INSTITUTION, outcome
