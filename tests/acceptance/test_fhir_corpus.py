"""Every FHIR file of the corpus, and every file made to break a parser, is read or refused.

``LABBROKER_CORPUS`` names the folder.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from adapters.fhir.bundle import read_fhir_json, read_fhir_xml
from adapters.fhir.errors import DoctypeRefused
from mapping.errors import UnreadablePayload
from mapping.parsed import ParsedPayload, Reader
from tests.conftest import Tell
from tests.fhir.samples import read_or_refuse

CORPUS = Path(os.environ.get("LABBROKER_CORPUS", "") or "unset")
LONGEST_SECONDS = 2.0

pytestmark = pytest.mark.usefixtures("corpus")


def read(reader: Reader, path: Path) -> ParsedPayload | UnreadablePayload:
    raw = path.read_bytes()
    started = time.process_time()
    parsed = read_or_refuse(reader, raw)
    assert time.process_time() - started < LONGEST_SECONDS, path
    if isinstance(parsed, ParsedPayload):
        for finding in parsed.findings:
            assert finding.message("zh")
    return parsed


def fhir_files() -> list[Path]:
    kinds = {".json", ".xml", ".ndjson"}
    return sorted(
        path
        for path in (CORPUS / "fhir").rglob("*")
        if path.suffix in kinds and path.parent.name != "tw-core-profiles"
    )


def test_every_fhir_file_is_read_or_refused(tell: Tell) -> None:
    files = fhir_files()
    tally: Counter[str] = Counter()
    for path in files:
        read_by = read_fhir_xml if path.suffix == ".xml" else read_fhir_json
        parsed = read(read_by, path)
        if isinstance(parsed, UnreadablePayload):
            tally[parsed.code] += 1
            continue
        tally[parsed.content.value] += 1
        with_lines = [report for report in parsed.reports if report.observations]
        tally["with observations"] += bool(with_lines)
        tally["with a known patient"] += any(
            report.patient.national_id or report.patient.name for report in with_lines
        )
    tell(f"{len(files)} {dict(tally.most_common())}")
    assert tally["with observations"] >= len(files) // 3


def test_the_message_bundle_of_tw_core_is_a_whole_report() -> None:
    path = CORPUS / "fhir" / "tw-core" / "Bundle-bun-message-request-example.json"
    parsed = read(read_fhir_json, path)
    assert isinstance(parsed, ParsedPayload)
    (report,) = parsed.reports
    assert (report.patient.national_id, report.lab_code) == ("A123456789", "0131060029")
    assert report.service[0].code == "09002C"
    assert (report.observations[0].value, report.observations[0].unit) == ("16.6", "mg/dL")


@pytest.mark.parametrize("folder", ["jsontestsuite", "defusedxml", "libxml2", "blns"])
def test_files_made_to_break_parsers_break_nothing(folder: str) -> None:
    files = sorted(path for path in (CORPUS / "bad" / folder).rglob("*") if path.is_file())
    assert files
    for path in files:
        for reader in (read_fhir_json, read_fhir_xml):
            assert isinstance(read(reader, path), UnreadablePayload), path


def test_every_file_with_a_doctype_is_refused_for_it() -> None:
    for path in sorted((CORPUS / "bad" / "defusedxml").glob("*.xml")):
        parsed = read(read_fhir_xml, path)
        if b"<!DOCTYPE" in path.read_bytes():
            assert isinstance(parsed, UnreadablePayload)
            assert parsed.code in (DoctypeRefused.code, "fhir-malformed-xml")
