from __future__ import annotations

import pytest

from adapters.hl7.conformance import conformance_findings
from mapping.finding import Severity
from tests.hl7_samples import MSH, OBR, OBX, PID, message, result, with_fields

CLEAN = message(
    r"MSH|^~\&|LIS|LAB|BROKER|HOSP|20260321230233||ORU^R01^ORU_R01|C-1|P|2.5",
    "PID|1||000123^^^LAB^MR||WANG^MING",
    "OBR|1|P-1|F-1|09005C^Glucose^L",
    "OBX|1|NM|09005C^Glucose^L||131|mg/dL|70-100|H|||F",
)


def test_a_message_by_the_book_has_no_findings() -> None:
    assert conformance_findings(CLEAN) == ()


def test_a_field_that_breaks_the_book_is_named_with_its_segment() -> None:
    findings = conformance_findings(CLEAN.replace(b"OBR|1|P-1|F-1|09005C^Glucose^L", b"OBR|1"))
    assert [(f.code, f.place) for f in findings] == [("hl7-nonconformant", "OBR[1]")]
    assert findings[0].severity is Severity.INFORMATION
    assert "2.5" in findings[0].message("zh")


def test_a_segment_that_the_structure_requires_is_missed() -> None:
    findings = conformance_findings(CLEAN.replace(b"OBR|1|P-1|F-1|09005C^Glucose^L\r", b""))
    assert [f.place for f in findings] == ["MSH[1]"]
    assert "OBR" in findings[0].value


def test_five_encoding_characters_are_no_obstacle() -> None:
    assert conformance_findings(CLEAN.replace(b"^~\\&|", b"^~\\&#|", 1)) == ()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"MSH|^~\\&|",
        b"MSH|^^^^|LIS\r",
        b"MSH||LIS\rPID|1\r",
        message(with_fields(MSH, f12="9.9"), PID),
        message(with_fields(MSH, f12=""), PID),
        message(MSH, "ZZZ|1", "zzz", "OBX", "123|4", OBX * 3, OBR),
        message(MSH, PID) + b"\xff",
        b"MSH|^~\\&|" + b"x" * 300_000,
        result(*[OBX] * 500),
    ],
)
def test_nothing_makes_it_raise(raw: bytes) -> None:
    for finding in conformance_findings(raw):
        assert finding.code in ("hl7-nonconformant", "hl7-conformance-unchecked")
        assert finding.message("en")
        assert finding.message("zh")
