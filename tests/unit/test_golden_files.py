"""The golden files: what a written-down result becomes, compared byte by byte.

``LABBROKER_WRITE_GOLDEN=1 pytest tests/unit/test_golden_files.py`` writes them anew; then read
the difference, line by line, before it is committed (tests/golden/README.md).
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from broker.sandbox.reception import open_package, parse_name
from broker.sandbox.settings import SandboxSettings
from broker.sandbox.verdict import judge
from mapping.finding import Severity
from mapping.record import UploadRecord
from mapping.rules import check_record
from mapping.upload_xml import read_upload
from tests.golden.build import CONTEXT, FOLDER, INPUTS, STEM, build, golden_file

WRITE = os.environ.get("LABBROKER_WRITE_GOLDEN") == "1"
each_input = pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)


def values(record: UploadRecord) -> list[dict[str, str]]:
    return [
        {tag: field.value for tag, field in fields.items()}
        for fields in (record.header, *record.rows)
    ]


@each_input
def test_a_result_becomes_its_golden_file(path: Path) -> None:
    written = build(path).xml()
    if WRITE:
        golden_file(path).write_bytes(written)
    assert written.decode("cp950") == golden_file(path).read_bytes().decode("cp950")
    assert written == golden_file(path).read_bytes()


@each_input
def test_a_golden_file_has_no_error_before_upload(path: Path) -> None:
    golden = build(path)
    findings = (*golden.findings, *check_record(golden.record, CONTEXT))
    assert [f.message() for f in findings if f.severity is Severity.ERROR] == []


@each_input
def test_a_golden_file_reads_back_as_its_record(path: Path) -> None:
    (read,) = read_upload(io.BytesIO(golden_file(path).read_bytes()))
    assert values(read) == values(build(path).record)


@each_input
def test_the_stand_in_gateway_takes_every_golden_file(path: Path) -> None:
    golden = build(path)
    name = parse_name(f"{golden.record.value('h2')}{STEM[10:]}.zip")
    settings = SandboxSettings(folder=Path(), trusted=())
    if name.institution == STEM[:10]:
        document = open_package(golden.package(), name, 10_000_000)
    else:
        document = golden.xml()
    ((_, accepted),), outcome = judge(document, name, settings, lambda key: "")
    assert accepted, outcome


def test_every_golden_file_has_an_input_and_a_title() -> None:
    assert {path.name for path in FOLDER.glob("*.xml")} == {
        golden_file(path).name for path in INPUTS
    }
    assert len({build(path).title for path in INPUTS}) == len(INPUTS)


def test_there_is_a_golden_file_for_each_report_type_and_common_panel() -> None:
    records = [build(path).record for path in INPUTS]
    assert {record.value("h1") for record in records} == {"1", "2", "3", "4"}
    panels = {"06012C", "06013C", "08011C", "08013C", "08026C", "09015C"}
    assert panels <= {record.value("h15") for record in records}


def test_the_page_of_the_golden_files_names_each() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    missing = [path.stem for path in INPUTS if f"| {path.stem} | {build(path).title} |" not in page]
    assert missing == []
