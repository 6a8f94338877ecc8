"""Finished NHI upload files at the folder door."""

from __future__ import annotations

import io
import zipfile

import pytest

from adapters.folder.formats.nhi_upload import read_nhi_xml, read_nhi_zip
from mapping.errors import UnreadablePayload
from mapping.parsed import Content
from mapping.profile import SourceProfile

PROFILE = SourceProfile("lab")
DAILY = "<hdata><h1>1</h1><h5>1150814090509</h5><h15>09005C</h15><rdata><r1>1</r1></rdata></hdata>"
MONTHLY = "<hdata><h1>1</h1><h5>1</h5><h18>09005C</h18><rdata><r1>1</r1></rdata></hdata>"


def upload(*records: str) -> bytes:
    text = '<?xml version="1.0" encoding="Big5"?>\r\n<patient>' + "".join(records) + "</patient>"
    return text.encode("cp950")


def zipped(raw: bytes, name: str = "35012345671150814001.xml") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, raw)
    return buffer.getvalue()


def test_a_daily_file_is_counted() -> None:
    raw = upload(DAILY, DAILY.replace("</rdata>", "</rdata><rdata><r1>2</r1></rdata>"))
    for parsed in (read_nhi_xml(raw, PROFILE), read_nhi_zip(zipped(raw), PROFILE)):
        assert (parsed.content, parsed.kind) == (Content.RECORDS, "nhi-daily")
        (finding,) = parsed.findings
        assert finding.message() == "The file holds 2 orders with 3 result rows."


@pytest.mark.parametrize(
    "record", [MONTHLY, MONTHLY.replace("<h5>1</h5>", "")], ids=["by h5", "by the order code"]
)
def test_a_monthly_file_is_told_apart(record: str) -> None:
    parsed = read_nhi_xml(upload(record), PROFILE)
    assert parsed.kind == "nhi-monthly"
    assert [finding.code for finding in parsed.findings] == [
        "nhi-file-counted",
        "nhi-monthly-layout",
    ]


def test_layouts_mixed_in_one_file_are_said() -> None:
    parsed = read_nhi_xml(upload(DAILY, MONTHLY), PROFILE)
    assert parsed.kind == "nhi-mixed"
    assert parsed.findings[-1].remedy("zh")


def test_a_file_without_orders_holds_nothing() -> None:
    parsed = read_nhi_xml(upload(), PROFILE)
    assert parsed.content is Content.NOTHING
    assert [finding.code for finding in parsed.findings] == ["nhi-file-empty"]


@pytest.mark.parametrize("raw", [b"", b"<RECS/>", upload(DAILY)[:-3], b"<!DOCTYPE a><patient/>"])
def test_an_unreadable_xml_is_refused(raw: bytes) -> None:
    with pytest.raises(UnreadablePayload):
        read_nhi_xml(raw, PROFILE)


def test_an_unreadable_zip_is_refused() -> None:
    whole = zipped(upload(DAILY))
    for raw in (b"", whole[:-5], zipped(upload(DAILY), "../evil.xml"), zipped(b"x", "a.txt")):
        with pytest.raises(UnreadablePayload):
            read_nhi_zip(raw, PROFILE)


def test_a_zip_bomb_is_refused_before_it_is_inflated() -> None:
    with pytest.raises(UnreadablePayload) as caught:
        read_nhi_zip(zipped(upload(" " * 50_000_000)), PROFILE)
    assert caught.value.code == "package-suspicious"


def test_a_zip_whose_content_was_damaged_is_refused() -> None:
    raw = bytearray(zipped(upload(DAILY * 50)))
    raw[90] ^= 0xFF
    with pytest.raises(UnreadablePayload):
        read_nhi_zip(bytes(raw), PROFILE)
