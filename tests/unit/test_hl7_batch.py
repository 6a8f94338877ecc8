"""One undecodable message of a batch costs nobody else's result."""

from __future__ import annotations

import pytest

from adapters.hl7.charset import UndecodablePayload, UnknownCharset
from mapping.finding import Severity
from tests.hl7_samples import MSH, OBR, OBX, PID, message, read, with_fields

GOOD = message(MSH, PID, OBR, OBX)
BAD = GOOD.replace("葡萄糖".encode(), b"\xff\xfe", 1)
BIG5 = message(with_fields(MSH, f18="BIG-5"), with_fields(PID, f5="許^功育"), OBR, OBX)


def told(raw: bytes) -> list[tuple[str, str]]:
    return [(f.code, f.place) for f in read(raw).findings if f.severity is Severity.ERROR]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_the_other_messages_of_a_batch_are_read(at: int, end: bytes) -> None:
    parts = [GOOD, GOOD]
    parts.insert(at - 1, BAD)
    raw = b"".join(parts).replace(b"\r", end)
    parsed = read(raw)
    left = [f"MSH[{number}]/OBR[1]" for number in (1, 2, 3) if number != at]
    assert [report.place for report in parsed.reports] == left
    assert [report.patient.name for report in parsed.reports] == ["王小明", "王小明"]
    (finding,) = parsed.findings
    assert (finding.code, finding.place) == ("hl7-message-undecodable", f"MSH[{at}]")
    assert dict(finding.parameters)["offset"] == str(raw.index(b"\xff"))
    assert finding.severity is Severity.ERROR
    assert str(raw.index(b"\xff")) in finding.message("zh")


def test_batch_headers_and_trailers_do_no_harm() -> None:
    raw = b"FHS|^~\\&\rBHS|^~\\&\r" + GOOD + BAD + b"BTS|2\rFTS|1\r"
    assert told(raw) == [("hl7-message-undecodable", "MSH[2]")]
    assert len(read(raw).reports) == 1


def test_messages_in_two_character_sets_are_each_read_in_their_own() -> None:
    big5 = BIG5.decode().encode("cp950")
    names = [report.patient.name for report in read(GOOD + big5).reports]
    assert names == ["王小明", "許功育"]


def test_bytes_in_escapes_follow_the_character_set_of_their_message() -> None:
    big5 = message(with_fields(MSH, f18="BIG-5"), with_fields(PID, f5=r"\XB35C\^功"), OBR, OBX)
    names = [report.patient.name for report in read(GOOD + big5.decode().encode("cp950")).reports]
    assert names == ["王小明", bytes.fromhex("B35C").decode("cp950") + "功"]


def test_a_character_set_nobody_knows_costs_its_message_alone() -> None:
    strange = message(with_fields(MSH, f18="KLINGON"), PID, OBR, OBX)
    assert told(GOOD + strange.replace("王".encode(), b"\xff"))[0][1] == "MSH[2]"


def test_a_payload_of_which_nothing_decodes_is_refused_as_before() -> None:
    for raw in (BAD, BAD + BAD):
        with pytest.raises((UndecodablePayload, UnknownCharset)):
            read(raw)


def test_undecodable_bytes_before_the_first_message_are_told() -> None:
    assert told(b"\xff\xfe\xfd junk\r" + GOOD + GOOD) == [("hl7-outside-message", "line 1")]
