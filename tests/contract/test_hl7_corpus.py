"""Real messages of many senders (``LABBROKER_CORPUS``/hl7v2): read or refused, never a fault."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from adapters.hl7.acknowledgement import ACCEPTED, write_acknowledgement
from adapters.hl7.charset import decode_payload
from adapters.hl7.er7 import parse_er7, write_er7
from adapters.hl7.framing import enclose
from adapters.hl7.header import read_header
from adapters.hl7.oru import read_hl7
from mapping.errors import UnreadablePayload
from mapping.parsed import Content
from mapping.profile import SourceProfile
from tests.conftest import Tell

CORPUS = os.environ.get("LABBROKER_CORPUS", "")

pytestmark = pytest.mark.usefixtures("corpus")
PROFILE = SourceProfile("lab-a")
_LARGEST = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def files() -> list[Path]:
    found = sorted((Path(CORPUS) / "hl7v2").rglob("*.hl7"))
    assert found, "LABBROKER_CORPUS holds no hl7v2/*.hl7"
    return found


def outcome_of(file: Path) -> str:
    """The outcome in words: what was read, or why not."""
    try:
        parsed = read_hl7(file.read_bytes(), PROFILE)
    except UnreadablePayload as error:
        return f"refused: {error.code}" if error.sentence("en") and error.remedy("zh") else ""
    assert (parsed.content is Content.REPORTS) == bool(parsed.reports), file
    for finding in parsed.findings:
        assert finding.message("en"), file
        assert finding.remedy("zh"), file
    if parsed.content is Content.NOTHING:
        assert parsed.findings, f"{file} is passed over in silence"
        return "nothing: " + ", ".join(sorted({finding.code for finding in parsed.findings}))
    return parsed.content.value


def test_every_file_is_read_or_refused_in_words(files: list[Path], tell: Tell) -> None:
    root = Path(CORPUS) / "hl7v2"
    tally = Counter((file.relative_to(root).parts[0], outcome_of(file)) for file in files)
    assert sum(tally.values()) == len(files)
    reports = sum(count for (_, outcome), count in tally.items() if outcome == "reports")
    lines = [
        f"{source:28}{count:6}  {outcome}" for (source, outcome), count in sorted(tally.items())
    ]
    total = f"{'all':28}{len(files):6}  {reports} with reports"
    tell("\n".join((f"{'source':28} files  outcome", *lines, total)))
    assert all(outcome for _, outcome in tally)
    assert reports > len(files) // 2


def test_odd_files_are_never_silent() -> None:
    """The malformed files, whatever their format says, at the HL7 door."""
    for file in sorted((Path(CORPUS) / "bad").rglob("*")):
        if file.is_file() and file.stat().st_size <= _LARGEST:
            assert outcome_of(file)


def test_every_line_of_a_message_is_in_an_observation_or_told(files: list[Path]) -> None:
    """No OBX of a result message vanishes: it is an observation, part of a running text, named
    in a finding, or of a control run."""
    for file in files:
        raw = file.read_bytes()
        try:
            parsed = read_hl7(raw, PROFILE)
            text, codec = decode_payload(raw)
        except UnreadablePayload:
            continue
        if parsed.content is not Content.REPORTS or "hl7-control-specimen" in {
            finding.code for finding in parsed.findings
        }:
            continue
        told = {o.place for report in parsed.reports for o in report.observations}
        places = [finding.place.rpartition("-")[0] or finding.place for finding in parsed.findings]
        told |= {*places, *(place.replace("OBR[1]/", "") for place in places)}
        for message in parse_er7(text, codec).messages:
            if message.segments[0].text(9)[:3] not in ("ORU", "OUL", ""):
                continue
            for segment in message.every("OBX"):
                if segment.text(2) not in ("TX", "FT"):
                    assert segment.place() in told, (file, segment.place())


def test_what_is_read_is_written_back(files: list[Path]) -> None:
    for file in files:
        raw = file.read_bytes()
        if b"\n" in raw or not raw.startswith(b"MSH"):
            continue
        try:
            text, codec = decode_payload(raw)
            messages = parse_er7(text, codec).messages
        except UnreadablePayload:
            continue
        if any(message.stray_lines or message.refused_lines for message in messages):
            continue
        written = "".join(write_er7(message.segments) for message in messages)
        lines = [line for line in text.split("\r") if line.strip()]
        assert written.split("\r")[:-1] == lines, file


def test_every_header_can_be_acknowledged(files: list[Path]) -> None:
    for file in files:
        header = read_header(file.read_bytes())
        answer = write_acknowledgement(header, ACCEPTED, "20260101000000+0800", "1")
        assert enclose(answer), file
