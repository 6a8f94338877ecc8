from __future__ import annotations

import io

import pytest

from mapping.editions.edition import editions
from mapping.errors import UnreadablePayload
from mapping.record import UploadRecord
from mapping.upload_errors import (
    ForbiddenDoctype,
    MalformedXml,
    UnacceptedEncoding,
    UndecodableText,
    UnexpectedStructure,
    UnwritableRecord,
    UploadTooLarge,
)
from mapping.upload_xml import read_upload, write_upload
from tests.unit.upload_samples import record_of, valid_record

EDITION = editions()[0]
Plain = tuple[dict[str, str], tuple[dict[str, str], ...]]


def written(*records: UploadRecord) -> bytes:
    out = io.BytesIO()
    assert write_upload(records, out, EDITION) == len(records)
    return out.getvalue()


def plain(record: UploadRecord) -> Plain:
    return (
        {tag: field.value for tag, field in record.header.items()},
        tuple({tag: field.value for tag, field in row.items()} for row in record.rows),
    )


def read(data: bytes) -> list[Plain]:
    return [plain(record) for record in read_upload(io.BytesIO(data))]


def xml(body: str, encoding: str = "Big5", codec: str = "cp950") -> bytes:
    return f'<?xml version="1.0" encoding="{encoding}"?><patient>{body}</patient>'.encode(codec)


def test_the_file_is_exactly_as_the_format_wants() -> None:
    record = record_of(
        {"h2": "3501234567", "h1": "1", "h22": "血液", "h7": ""},
        {"r2": "功育回才", "r1": "1", "r6-1": "陰", "r4-1": "0", "r4": "-"},
    )
    assert written(record) == (
        '<?xml version="1.0" encoding="Big5"?>\r\n<patient>\r\n<hdata>\r\n'
        "<h1>1</h1>\r\n<h2>3501234567</h2>\r\n<h22>血液</h22>\r\n"
        "<rdata>\r\n<r1>1</r1>\r\n<r2>功育回才</r2>\r\n<r4>-</r4>\r\n<r4-1>0</r4-1>\r\n"
        "<r6-1>陰</r6-1>\r\n</rdata>\r\n</hdata>\r\n</patient>\r\n"
    ).encode("cp950")


def test_what_was_written_reads_back_with_its_place() -> None:
    records = [valid_record(), valid_record({"h15": "09005C"}, {"r11": "a\nb & <c> 'd' \"e\""})]
    back = list(read_upload(io.BytesIO(written(*records))))
    assert [plain(record) for record in back] == [plain(record) for record in records]
    assert back[1].header["h1"].origin == "hdata[2]"
    assert back[1].rows[0]["r1"].origin == "hdata[2]/rdata[1]"


def test_a_tag_that_the_edition_does_not_have_is_not_written() -> None:
    with pytest.raises(UnwritableRecord, match="edition"):
        written(record_of({"h1": "1"}, {"r6": "1-2"}))


@pytest.mark.parametrize("value", ["酶", "½", "•", "\ue000", "a\rb", "a\x00b", "\ud800"])
def test_a_character_that_would_not_come_back_is_not_written(value: str) -> None:
    with pytest.raises(UnwritableRecord) as refused:
        written(record_of({"h9": "A123456789"}, {"r4": f"secret {value}"}))
    assert "secret" not in str(refused.value)
    assert "hdata[1]" in str(refused.value)


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("Big5", "cp950"),
        ("big5", "cp950"),
        ("CP950", "cp950"),
        ("UTF-8", "utf-8"),
        ("utf-8", "utf-8-sig"),
    ],
)
def test_declared_encodings_are_honoured(encoding: str, codec: str) -> None:
    body = "<hdata><h1>1</h1><h22>血液，‧€裏碁</h22><rdata><r1>1</r1></rdata></hdata>"
    assert read(xml(body, encoding, codec)) == [
        ({"h1": "1", "h22": "血液，‧€裏碁"}, ({"r1": "1"},))
    ]


@pytest.mark.parametrize("codec", ["cp950", "utf-8"])
def test_a_file_without_a_declaration_is_utf_8_or_else_big5(codec: str) -> None:
    data = "<patient><hdata><h22>血液</h22></hdata></patient>".encode(codec)
    assert read(data) == [({"h22": "血液"}, ())]


def test_empty_elements_comments_and_the_old_r6_are_read() -> None:
    body = "<!-- a --><hdata><h7></h7><h8/><h1>1</h1><rdata><r6>1-2</r6></rdata></hdata>\r\n"
    assert read(xml(body)) == [({"h1": "1"}, ({"r6": "1-2"},))]


def test_a_multibyte_character_may_lie_across_two_reads() -> None:
    body = "<hdata><r4>x" + "血" * 50_000 + "</r4></hdata>"
    ((header, _),) = read(xml(body))
    assert header["r4"] == "x" + "血" * 50_000


@pytest.mark.parametrize(
    "data",
    [
        b'<!DOCTYPE patient [<!ENTITY a "b">]><patient><hdata><h1>&a;</h1></hdata></patient>',
        b'<?xml version="1.0" encoding="Big5"?>\n<!DOCTYPE patient SYSTEM "http://127.0.0.1/x">'
        b"<patient></patient>",
        b"<!doctype patient><patient></patient>",
        b" " * 65_530 + b"<!DOCTYPE patient><patient></patient>",
    ],
)
def test_every_doctype_is_refused(data: bytes) -> None:
    with pytest.raises(ForbiddenDoctype):
        read(data)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", MalformedXml),
        (b"PK\x03\x04", MalformedXml),
        (b"<patient><hdata></patient>", MalformedXml),
        (b"<patient>", MalformedXml),
        (b"<patient></patient><patient></patient>", MalformedXml),
        (b"<patient>&undefined;</patient>", MalformedXml),
        (xml("<hdata><h1>\x00</h1></hdata>"), MalformedXml),
        (b"<hdata></hdata>", UnexpectedStructure),
        (b"<html></html>", UnexpectedStructure),
        (b'<patient xmlns="urn:x"></patient>', UnexpectedStructure),
        (xml("<hdata><h1>1</h1><h1>2</h1></hdata>"), UnexpectedStructure),
        (xml("<hdata><h1><b>1</b></h1></hdata>"), UnexpectedStructure),
        (xml("<hdata><rdata><hdata></hdata></rdata></hdata>"), UnexpectedStructure),
        (xml("<hdata>lost</hdata>"), UnexpectedStructure),
        (xml("<hdata><h1>1</h1>lost</hdata>"), UnexpectedStructure),
        (xml("<hdata><rdata><r1>1</r1></rdata>lost</hdata>"), UnexpectedStructure),
        (xml("lost<hdata></hdata>"), UnexpectedStructure),
        (xml("<hdata></hdata>lost<hdata></hdata>"), UnexpectedStructure),
        (xml("<hdata></hdata><x/><hdata></hdata>"), UnexpectedStructure),
        (xml("<hdata></hdata><x/>"), UnexpectedStructure),
        (xml("<hdata></hdata>lost"), UnexpectedStructure),
        (xml("", "UTF-16", "utf-16"), UnacceptedEncoding),
        (xml("", "GB2312"), UnacceptedEncoding),
        (xml("<hdata><h22>血</h22></hdata>", "UTF-8", "cp950"), UndecodableText),
        (xml("<hdata><h22>") + b"\xfa\x40", UndecodableText),
        (xml("<hdata><h22>")[:-11] + b"\xa6", UndecodableText),
    ],
)
def test_what_is_no_daily_upload_is_refused_with_a_clear_error(
    data: bytes, error: type[UnreadablePayload]
) -> None:
    with pytest.raises(error) as refused:
        read(data)
    assert refused.type is error
    assert "lost" not in str(refused.value)
    assert refused.value.remedy("zh")


def test_the_offset_of_an_undecodable_byte_is_right() -> None:
    data = xml("<hdata><h22>血" + "x" * 70_000 + "\x7f</h22></hdata>").replace(b"\x7f", b"\xfa\x40")
    with pytest.raises(UndecodableText) as refused:
        read(data)
    assert refused.value.parameters["offset"] == data.index(b"\xfa\x40")


def test_a_file_over_the_limit_is_refused() -> None:
    data = written(*[valid_record()] * 300)
    with pytest.raises(UploadTooLarge):
        list(read_upload(io.BytesIO(data), largest_file=100_000))


def test_a_record_over_the_limit_is_refused_before_it_is_whole() -> None:
    endless = b"<patient><hdata>" + b"<rdata><r1>1</r1></rdata>" * 20_000
    with pytest.raises(UploadTooLarge):
        list(read_upload(io.BytesIO(endless), largest_record=200_000))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(UnreadablePayload):
        read(b"<patient><hdata>" + b"<a>" * 5000)


def test_records_before_a_fault_are_given_out_and_the_fault_is_raised() -> None:
    reader = read_upload(io.BytesIO(xml("<hdata><h1>1</h1></hdata>" * 3)[:-10]))
    assert plain(next(reader)) == ({"h1": "1"}, ())
    with pytest.raises(MalformedXml):
        list(reader)
