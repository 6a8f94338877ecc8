from __future__ import annotations

import io
from contextlib import suppress
from datetime import date

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mapping.big5 import is_encodable
from mapping.editions.edition import editions
from mapping.errors import UnreadablePayload
from mapping.package_file import package_stem, read_package, verify_package, write_package
from mapping.record import Field, Fields, UploadRecord
from mapping.upload_xml import read_upload, write_upload

EDITION = editions()[0]
REPERTOIRE = [chr(point) for point in range(0x10000) if is_encodable(chr(point))]
STEM = package_stem("3501234567", date(2025, 2, 4), 7)

TEXTS = st.text(st.sampled_from(REPERTOIRE) | st.sampled_from("<>&'\" \n\t]"), min_size=1)


def fields(tags: list[str]) -> st.SearchStrategy[Fields]:
    values: st.SearchStrategy[dict[str, str]] = st.dictionaries(st.sampled_from(tags), TEXTS)
    return values.map(lambda chosen: {tag: Field(text, "test") for tag, text in chosen.items()})


RECORDS = st.lists(
    st.builds(
        UploadRecord,
        fields([rule.tag for rule in EDITION.header]),
        st.lists(fields([rule.tag for rule in EDITION.rows]), max_size=3).map(tuple),
    ),
    max_size=4,
)


def plain(record: UploadRecord) -> object:
    return [
        {tag: field.value for tag, field in part.items()} for part in (record.header, *record.rows)
    ]


@given(RECORDS)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_reading_undoes_writing(records: list[UploadRecord]) -> None:
    out = io.BytesIO()
    assert write_upload(records, out, EDITION) == len(records)
    out.seek(0)
    assert [plain(record) for record in read_upload(out)] == [plain(r) for r in records]


@given(RECORDS.filter(bool))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_package_holds_what_was_packed_and_is_the_same_each_time(
    records: list[UploadRecord],
) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    assert write_package(iter(records), STEM, first) == len(records)
    write_package(records, STEM, second)
    assert first.getvalue() == second.getvalue()
    assert verify_package(first, iter(records), STEM) == len(records)


def test_every_character_of_the_repertoire_survives() -> None:
    assert len(REPERTOIRE) == 13_840
    pieces = ["".join(REPERTOIRE[at : at + 500]) for at in range(0, len(REPERTOIRE), 500)]
    record = UploadRecord({}, tuple({"r4": Field(piece, "test")} for piece in pieces))
    out = io.BytesIO()
    write_upload([record], out, EDITION)
    out.seek(0)
    (back,) = read_upload(out)
    assert [row["r4"].value for row in back.rows] == pieces


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for wrapped in (data, b"<patient><hdata>" + data + b"</hdata></patient>"):
        with suppress(UnreadablePayload):
            list(read_upload(io.BytesIO(wrapped)))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_package_with_one_changed_byte_is_the_same_or_refused(at: int, change: int) -> None:
    record = UploadRecord({"h1": Field("1", "test")}, ({"r4": Field("陽" * 40, "test")},))
    out = io.BytesIO()
    write_package([record], STEM, out)
    data = bytearray(out.getvalue())
    data[at % len(data)] ^= change
    with suppress(UnreadablePayload):
        _, records = read_package(io.BytesIO(bytes(data)))
        assert [plain(back) for back in records] == [plain(record)]
