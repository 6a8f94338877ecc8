"""Documents in OBX: kept with the report, never a value."""

from __future__ import annotations

import base64

import pytest

from mapping.report import Attachment
from tests.hl7_samples import OBR, codes, observation_segment, read, read_report, result

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 40
BASE64 = base64.b64encode(PDF).decode()


def attached(value_type: str, field: str) -> Attachment:
    line = observation_segment(f2=value_type, f5=field)
    report = read_report(result(observation_segment(), line))
    assert len(report.observations) == 1
    (attachment,) = report.attachments
    return attachment


@pytest.mark.parametrize(
    ("field", "media_type"),
    [
        (f"^application^pdf^Base64^{BASE64}", "application/pdf"),
        (f"LIS^AP^PDF^BASE64^{BASE64}", "application/pdf"),
        (f"^PDF^^Base64^{BASE64}", "application/pdf"),
        (f"^^PDF^Base64^{BASE64}", "application/pdf"),
        (f"^IM^JPEG^base64^{BASE64}", "image/jpeg"),
        (f"^TEXT^^Hex^{PDF.hex()}", "text"),
        (f"^AP^PDF^Base64^{BASE64[:100]}\\.br\\{BASE64[100:]}", "application/pdf"),
    ],
)
def test_an_embedded_document_is_kept_as_it_was(field: str, media_type: str) -> None:
    attachment = attached("ED", field)
    assert attachment.content == PDF
    assert attachment.media_type == media_type
    assert attachment.place == "OBX[2]"
    assert attachment.codings[0].code == "09005C"


def test_base64_in_lines_of_its_own_is_one_document() -> None:
    lines = "\r".join(BASE64[at : at + 76] for at in range(0, len(BASE64), 76))
    raw = result(f"OBX|1|ED|PDF^Report^L||^AP^PDF^Base64^{lines}")
    (attachment,) = read_report(raw).attachments
    assert attachment.content == PDF


def test_a_reference_is_kept_and_not_followed() -> None:
    attachment = attached("RP", "http://127.0.0.1:9/report.pdf^PACS^AP^PDF")
    assert attachment.reference == "http://127.0.0.1:9/report.pdf"
    assert attachment.content == b""


@pytest.mark.parametrize(
    "field",
    [
        "^AP^PDF^Base64^****",
        "^AP^PDF^Base64^JVBER",
        "^AP^PDF^Hex^0G",
        "^AP^PDF^ROT13^abc",
        "^AP^PDF^Base64^",
        "功育",
    ],
)
def test_a_document_that_does_not_decode_is_told(field: str) -> None:
    line = observation_segment(f2="ED", f5=field)
    parsed = read(result(line))
    assert codes(parsed)["hl7-attachment-unreadable"] == "OBX[1]-5"
    assert parsed.reports[0].attachments[0].content == b""


def test_a_large_document_does_not_cost_the_results_beside_it() -> None:
    data = base64.b64encode(b"\0" * 1_600_000).decode()
    line = observation_segment(f2="ED", f5=f"^AP^PDF^Base64^{data}")
    report = read_report(result(line, observation_segment()))
    assert len(report.attachments[0].content) == 1_600_000
    assert report.observations[0].value == "131"


def test_documents_stay_with_their_own_report() -> None:
    line = observation_segment(f2="ED", f5=f"^AP^PDF^Base64^{BASE64}")
    first, second = read(result(observation_segment(), OBR, line)).reports
    assert (len(first.attachments), len(second.attachments)) == (0, 1)
