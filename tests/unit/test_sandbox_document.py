"""The gateway's own reader of the daily XML refuses all that is not plainly one."""

from __future__ import annotations

import pytest

from broker.sandbox.upload_document import UnreadableDocument, read_document
from tests.gateway_samples import document, header, row

HEAD = b'<?xml version="1.0" encoding="Big5"?>'


def test_fields_come_back_as_written() -> None:
    (order,) = read_document(document((header(h22="血液（靜脈）功"), [row(), row(r1="2")])))
    assert order.header["h22"] == "血液（靜脈）功"
    assert [fields["r1"] for fields in order.rows] == ["1", "2"]
    assert order.key[10] == "09005C"


def test_empty_elements_are_absent_fields() -> None:
    raw = HEAD + b"<patient><hdata><h7></h7><h8/><h9>A</h9><rdata/></hdata></patient>"
    assert read_document(raw)[0].header == {"h9": "A"}


def test_content_is_equal_when_only_the_upload_time_differs() -> None:
    first, second, third = read_document(
        document((header(), [row()]), (header(h16="x"), [row()]), (header(), [row(r4="1")]))
    )
    assert first.content == second.content
    assert first.content != third.content


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<patient/>",
        b'<?xml version="1.0" encoding="UTF-8"?><patient><hdata/></patient>',
        HEAD,
        HEAD + b"<patient></patient>",
        HEAD + b"<patients><hdata/></patients>",
        HEAD + b"<patient><hdata></patient>",
        HEAD + b"<patient>text<hdata/></patient>",
        HEAD + b"<patient><rdata/></patient>",
        HEAD + b"<patient><hdata>text<h1>1</h1></hdata></patient>",
        HEAD + b"<patient><hdata><rdata>text</rdata></hdata></patient>",
        HEAD + b"<patient><hdata><rdata/><h1>1</h1></hdata></patient>",
        HEAD + b"<patient><hdata><h1><h2/></h1></hdata></patient>",
        HEAD + b"<patient><hdata><h1 a='b'>1</h1></hdata></patient>",
        HEAD + b"<!DOCTYPE patient><patient><hdata/></patient>",
        HEAD + b"<!doctype patient [<!ENTITY a 'b'>]><patient><hdata/></patient>",
        HEAD + b"<patient><hdata><h1>&a;</h1></hdata></patient>",
        HEAD + b"<patient><hdata><h22>\xff\xff</h22></hdata></patient>",
        HEAD + "<patient><hdata><h22>血</h22></hdata></patient>".encode() + b"\x85",
    ],
)
def test_anything_else_is_refused_without_quoting_it(raw: bytes) -> None:
    with pytest.raises(UnreadableDocument) as refusal:
        read_document(raw)
    assert "text" not in str(refusal.value) or "stands between" in str(refusal.value)
