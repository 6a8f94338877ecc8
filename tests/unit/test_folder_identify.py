"""A file's format is told by its content; exactly one must match."""

from __future__ import annotations

import io
import zipfile

import pytest

from adapters.folder.formats.ending import ends_whole
from adapters.folder.formats.errors import FileAmbiguous, FileUnidentified, ZipUnreadable
from adapters.folder.formats.identify import identify
from adapters.ports.intake import Media
from mapping.errors import LabbrokerError

XML = b'<?xml version="1.0" encoding="Big5"?>\r\n'


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


KNOWN = [
    (b"MSH|^~\\&|LIS|LAB\rPID|1\r", Media.HL7V2),
    (b"\x0bMSH|^~\\&|LIS\r\x1c\r", Media.HL7V2),
    (b"\xef\xbb\xbf\r\nMSH#$%@!#LIS\r", Media.HL7V2),
    (b"FHS|^~\\&|LIS\rBHS|^~\\&\r", Media.HL7V2),
    (b"BHS|^~\\&|LIS\r", Media.HL7V2),
    (b'{"resourceType": "Bundle"}', Media.FHIR_JSON),
    (b'\xef\xbb\xbf\n {"entry": [], "resourceType" : "Bundle"}', Media.FHIR_JSON),
    (b'<Bundle xmlns="http://hl7.org/fhir"/>', Media.FHIR_XML),
    (b'<f:Bundle xmlns:x="a" xmlns:f="http://hl7.org/fhir"></f:Bundle>', Media.FHIR_XML),
    (XML + b"<!-- \xb0\xb7 -->\n<RECS><REC/></RECS>", Media.IC_CARD_XML),
    (XML + b"<patient><hdata/></patient>", Media.NHI_XML),
    ("<?xml version='1.0'?><patient/>".encode("utf-16"), Media.NHI_XML),
    (zipped(("TOTFA.xml", b"<patient/>")), Media.NHI_ZIP),
    ("身分證號,檢驗項目,檢驗結果\n".encode(), Media.CSV),
    ("身分證號,檢驗項目,檢驗結果\n".encode("cp950"), Media.CSV),
    ("身分證號\t檢驗項目\t結果\n".encode("utf-16"), Media.CSV),
    (b"\xef\xbb\xbfNational_ID;Order_Code;Value\n", Media.CSV),
    (b'"national_id","value"\n', Media.CSV),
]


@pytest.mark.parametrize(("raw", "media"), KNOWN)
def test_each_format_is_known_by_its_content(raw: bytes, media: Media) -> None:
    assert identify(raw, "x") is media


@pytest.mark.parametrize(("raw", "media"), KNOWN)
def test_a_misleading_name_changes_nothing(raw: bytes, media: Media) -> None:
    for name in ("a.csv", "a.xml", "a.hl7", "a.zip", "a.json"):
        assert identify(raw, name) is media


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["MSH", "FHS", "BHS"])
def test_hl7_in_utf_16_is_known(codec: str, name: str) -> None:
    assert identify(f"{name}|^~\\&|LIS\r".encode(codec), "x") is Media.HL7V2


def test_a_csv_with_foreign_header_texts_is_known_by_its_name() -> None:
    raw = "檢體流水,代號,數字\n".encode("cp950")
    assert identify(raw, "result.CSV") is Media.CSV
    with pytest.raises(FileUnidentified):
        identify(raw, "result.dat")


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        (b"MSH|national_id|value|unit\n", {"hl7v2", "csv"}),
        (b'<RECS xmlns="http://hl7.org/fhir"/>', {"fhir+xml", "ic-card-xml"}),
    ],
)
def test_two_formats_at_once_are_an_error_that_names_both(raw: bytes, names: set[str]) -> None:
    with pytest.raises(FileAmbiguous) as caught:
        identify(raw, "x")
    assert {caught.value.parameters["first"], caught.value.parameters["second"]} == names
    for name in names:
        assert name in caught.value.sentence("zh")


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "empty"),
        (b"hello", "no known format"),
        (b"MSHX national", "no known format"),
        (b"{}", "resourceType"),
        (b"[1]", "resourceType"),
        (b"<html/>", "root"),
        (b"<?xml version='1.0'?>", "root"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><RECS/>', "DOCTYPE"),
        (zipped(("[Content_Types].xml", b""), ("word/document.xml", b"")), "Excel"),
        (zipped(), "ZIP"),
        (b"\xff\xfe\x00", "no known format"),
    ],
)
def test_what_is_none_of_them_is_said_with_the_reason(raw: bytes, word: str) -> None:
    with pytest.raises(FileUnidentified) as caught:
        identify(raw, "x")
    assert word in caught.value.sentence()
    assert caught.value.remedy("zh")


def test_a_damaged_zip_is_said_to_be_damaged() -> None:
    with pytest.raises(ZipUnreadable):
        identify(zipped(("a.xml", b"<patient/>"))[:-10], "a.zip")


@pytest.mark.parametrize(
    "raw", [b"<" * 9000, b"<!--" * 9000, b"<?" * 9000, b" " * 9000, b"<a " + b"b='c' " * 9000]
)
def test_a_head_without_an_end_is_answered_quickly(raw: bytes) -> None:
    with pytest.raises(LabbrokerError):
        identify(raw, "x")


@pytest.mark.parametrize(
    ("raw", "media", "whole"),
    [
        (b"MSH|1\r", Media.HL7V2, True),
        (b"MSH|1\rOBX|", Media.HL7V2, False),
        ("MSH|1\r".encode("utf-16"), Media.HL7V2, True),
        ("MSH|1\rOBX|".encode("utf-16"), Media.HL7V2, False),
        (b"MSH|1\r\x1c\r", Media.HL7V2, True),
        (b"a,b\n", Media.CSV, True),
        (b"a,b\n1,", Media.CSV, False),
        ("a,b\n".encode("utf-16"), Media.CSV, True),
        (b'{"a": 1}\n', Media.FHIR_JSON, True),
        (b'{"a": 1', Media.FHIR_JSON, False),
        (b"<RECS><REC/></RECS>\r\n", Media.IC_CARD_XML, True),
        (b"<RECS><REC/>", Media.IC_CARD_XML, False),
        (b"<RECS><REC></REC>", Media.IC_CARD_XML, False),
        (b"<patient/>", Media.NHI_XML, True),
        (b'<f:A xmlns:f="x"></f:A >', Media.FHIR_XML, True),
        ("<patient></patient>".encode("utf-16"), Media.NHI_XML, True),
        (b"anything", Media.UNKNOWN, True),
    ],
)
def test_the_end_of_each_format_is_known(raw: bytes, media: Media, whole: bool) -> None:
    assert ends_whole(raw, media) is whole


def test_every_cut_of_a_zip_lacks_its_end() -> None:
    raw = zipped(("a.xml", b"<patient/>"))
    assert ends_whole(raw, Media.NHI_ZIP)
    assert not any(ends_whole(raw[:cut], Media.NHI_ZIP) for cut in range(len(raw)))
