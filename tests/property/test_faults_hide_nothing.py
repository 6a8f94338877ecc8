"""Whatever happens to one record of an upload file, all others are read as they are."""

from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from mapping.errors import UnreadablePayload
from mapping.finding import Finding
from mapping.record import UploadRecord, plain_values
from mapping.upload_xml import read_upload
from tests.unit.test_upload_faults import HEAD, record

COUNT = 5
PARTS = [HEAD.encode(), *(record(number).encode("cp950") for number in range(1, COUNT + 1))]
FOOT = b"</patient>\r\n"
MARKUP = [
    b"<",
    b">",
    b"&",
    b"</",
    b"/>",
    b"<h9>",
    b"</rdata>",
    b"<!",
    b"<?",
    b"<?a ",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"\x00",
]


def read(data: bytes) -> tuple[list[UploadRecord], list[Finding], UnreadablePayload | None]:
    faults: list[Finding] = []
    records: list[UploadRecord] = []
    try:
        for each in read_upload(io.BytesIO(data), on_fault=faults.append):
            records.append(each)
    except UnreadablePayload as error:
        return records, faults, error
    return records, faults, None


@settings(deadline=None)
@given(
    number=st.integers(1, COUNT),
    at=st.integers(0, len(PARTS[1]) - 3),
    removed=st.integers(0, 3),
    put=st.binary(max_size=3) | st.sampled_from(MARKUP),
)
def test_an_edit_of_one_record_hides_no_other(
    number: int, at: int, removed: int, put: bytes
) -> None:
    parts = list(PARTS)
    whole = parts[number]
    parts[number] = whole[:at] + put + whole[at + removed :]
    records, faults, error = read(b"".join(parts) + FOOT)
    assert error is None
    sound = [each for each in range(1, COUNT + 1) if each != number]
    serials = [each.value("h7") for each in records]
    assert [each for each in serials if int_or_zero(each) in sound] == [
        f"{each:04d}" for each in sound
    ]
    assert {each.place for each in faults} <= {f"hdata[{number}]", f"hdata[{number + 1}]"}


@settings(deadline=None)
@given(data=st.binary(max_size=400) | st.lists(st.sampled_from(MARKUP + PARTS)).map(b"".join))
def test_no_bytes_make_it_raise_anything_but_an_unreadable_payload(data: bytes) -> None:
    for file in (data, PARTS[0] + data, PARTS[0] + PARTS[1] + data + FOOT):
        records, faults, _ = read(file)
        for each in records:
            for level in (each.header, *each.rows):
                for value in plain_values(level).values():
                    value.encode("utf-8")
        for finding in faults:
            assert finding.message("en")
            assert finding.message("zh").encode("utf-8")


def int_or_zero(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
