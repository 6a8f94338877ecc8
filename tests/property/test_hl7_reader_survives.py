"""Whatever bytes come, the reader gives a ParsedPayload or one of our own errors."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.hl7.acknowledgement import ACCEPTED, write_acknowledgement
from adapters.hl7.charset import known_names
from adapters.hl7.framing import enclose
from adapters.hl7.header import read_header
from adapters.hl7.oru import read_hl7
from mapping.errors import UnreadablePayload
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile
from tests.hl7_samples import MSH, OBR, OBX, ORC, PID, message, result, with_fields

SAMPLE = message(MSH, PID, "PV1|1|O", ORC, OBR, "NTE|1||x", OBX, "NTE|1||y", "SPM|1||||B", OBR, OBX)
names = st.sampled_from(
    ["MSH", "PID", "PV1", "ORC", "OBR", "OBX", "NTE", "SPM", "TXA", "TQ1", "ADD", "ZZZ", "FHS"]
)
fields = st.text(st.sampled_from('|^~\\&#"A1.-+ :XF\x00\x0b\r功'), max_size=60)
segments = st.lists(st.tuples(names, fields).map(lambda pair: "|".join(pair)), max_size=15)
profiles = st.builds(SourceProfile, st.just("lab-a"), charset=st.sampled_from(known_names()))


def outcome(raw: bytes, profile: SourceProfile) -> ParsedPayload | UnreadablePayload:
    try:
        return read_hl7(raw, profile)
    except UnreadablePayload as error:
        return error


def check(raw: bytes, profile: SourceProfile) -> None:
    found = outcome(raw, profile)
    if isinstance(found, UnreadablePayload):
        for language in ("en", "zh"):
            assert found.sentence(language)
            assert found.remedy(language)
        return
    assert (found.content is Content.REPORTS) == bool(found.reports)
    for finding in found.findings:
        assert finding.message("en")
        assert finding.message("zh")


@given(st.binary(max_size=300), profiles)
def test_any_bytes(raw: bytes, profile: SourceProfile) -> None:
    check(raw, profile)
    check(b"MSH|^~\\&|" + raw, profile)
    check(SAMPLE + raw, profile)


@given(st.sampled_from(["ORU^R01", "OUL^R22", "MDM^T02", "OML^O21", "ADT^A04"]), segments, profiles)
def test_any_segments(kind: str, lines: list[str], profile: SourceProfile) -> None:
    head = with_fields(MSH, f9=kind)
    check(message(head, *lines), profile)
    check(message(head, PID, *lines), profile)


@given(st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), max_size=8))
def test_a_damaged_message(changes: list[tuple[int, int]]) -> None:
    raw = bytearray(SAMPLE)
    for at, byte in changes:
        raw[at] = byte
    check(bytes(raw), SourceProfile("lab-a"))


@given(st.integers(0, len(SAMPLE)), st.integers(0, len(SAMPLE)))
def test_a_message_with_a_piece_missing(first: int, second: int) -> None:
    start, stop = sorted((first, second))
    check(SAMPLE[:start] + SAMPLE[stop:], SourceProfile("lab-a"))


@settings(max_examples=300)
@given(st.binary(max_size=120))
def test_any_header_can_be_answered_in_a_frame(raw: bytes) -> None:
    for lead in (b"", b"MSH", b"MSH|^~\\&|", b"FHS|^~\\&|"):
        header = read_header(lead + raw)
        answer = write_acknowledgement(header, ACCEPTED, "20260101000000+0800", "1")
        assert enclose(answer).count(b"\x0b") == 1
        if header is not None:
            assert header.control_id.isprintable()


def test_a_payload_at_the_size_limit_is_read_in_bounded_time_and_findings() -> None:
    for raw in (
        result(*["OBX|1|NM|A||1"] * 49_000),
        result("OBX|1|TX|A||" + "~" * 2_000_000),
        result("OBX|1|ST|A||" + "\\" * 2_000_000),
        result("OBX|1|CE|A||" + "^" * 2_000_000),
        result("OBX" + "|" * 2_000_000),
        result(*["OBX|1|TX|A||line"] * 49_000),
    ):
        check(raw, SourceProfile("lab-a"))
