from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import date

import pytest
import pyzipper

from mapping.errors import UnreadablePayload
from mapping.package_file import (
    package_stem,
    parse_stem,
    read_package,
    verify_package,
    write_package,
)
from mapping.record import Field, UploadRecord, replace_header
from mapping.upload_errors import (
    DamagedPackage,
    EmptyPackage,
    PackageDiffers,
    SuspiciousPackage,
    UnexpectedEntries,
)
from tests.unit.upload_samples import valid_record

STEM = "35012345671140204007"
XML = b"<patient><hdata><h1>1</h1></hdata></patient>"


def packed(*records: UploadRecord) -> io.BytesIO:
    out = io.BytesIO()
    write_package(records, STEM, out)
    return out


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as package:
        for name, data in entries.items():
            package.writestr(name, data)
    return out


def test_a_stem_is_institution_day_and_serial() -> None:
    assert package_stem("3501234567", date(2025, 2, 4), 7) == STEM
    assert parse_stem(STEM) == ("3501234567", date(2025, 2, 4), 7)
    assert parse_stem("JY012345671140204999").serial == 999


@pytest.mark.parametrize("serial", [0, 1000, -1])
def test_serials_outside_the_three_digits_are_refused(serial: int) -> None:
    with pytest.raises(ValueError):
        package_stem("3501234567", date(2025, 2, 4), serial)


@pytest.mark.parametrize("code", ["", "350123456", "350123456/", "../../../x", "350123456a"])
def test_an_institution_code_that_is_none_is_refused(code: str) -> None:
    with pytest.raises(ValueError):
        package_stem(code, date(2025, 2, 4), 1)


@pytest.mark.parametrize(
    "stem", ["", "TOTFA", STEM + "1", STEM[:-3] + "000", STEM[:10] + "1140230001", STEM[:-1] + "七"]
)
def test_what_is_no_stem_is_refused(stem: str) -> None:
    with pytest.raises(ValueError):
        parse_stem(stem)


def test_a_package_is_one_deflated_xml_of_the_same_stem() -> None:
    with zipfile.ZipFile(packed(valid_record())) as package:
        (entry,) = package.infolist()
        assert entry.filename == f"{STEM}.xml"
        assert entry.compress_type == zipfile.ZIP_DEFLATED
        assert package.read(entry).startswith(b'<?xml version="1.0" encoding="Big5"?>\r\n')


def test_a_package_reads_back() -> None:
    stem, records = read_package(packed(valid_record(), valid_record({"h15": "09005C"})))
    assert stem == STEM
    assert [record.value("h15") for record in records] == ["08011C", "09005C"]


def test_an_empty_package_is_not_made() -> None:
    with pytest.raises(EmptyPackage):
        packed()


def test_the_names_of_the_web_page_are_read_too() -> None:
    stem, records = read_package(zipped({"TOTFA.XML": XML}))
    assert stem == "TOTFA"
    assert len(list(records)) == 1


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (io.BytesIO(b""), DamagedPackage),
        (io.BytesIO(XML), DamagedPackage),
        (io.BytesIO(packed(valid_record()).getvalue()[:-30]), DamagedPackage),
        (zipped({}), UnexpectedEntries),
        (zipped({"a.xml": XML, "b.xml": XML}), UnexpectedEntries),
        (zipped({"../a.xml": XML}), UnexpectedEntries),
        (zipped({"folder/a.xml": XML}), UnexpectedEntries),
        (zipped({"a.exe": XML}), UnexpectedEntries),
        (zipped({"a b.xml": XML}), UnexpectedEntries),
        (zipped({"a.xml": XML}, zipfile.ZIP_BZIP2), SuspiciousPackage),
        (zipped({"a.xml": b" " * (8 << 20)}), SuspiciousPackage),
    ],
)
def test_a_zip_that_is_no_package_is_refused_before_unpacking(
    stream: io.BytesIO, error: type[UnreadablePayload]
) -> None:
    with pytest.raises(error) as refused:
        read_package(stream)
    assert refused.type is error
    assert refused.value.sentence("zh")


def test_an_encrypted_zip_is_refused() -> None:
    out = io.BytesIO()
    with pyzipper.AESZipFile(out, "w", encryption=pyzipper.WZ_AES) as package:
        package.setpassword(b"secret")
        package.writestr("a.xml", XML)
    with pytest.raises(UnreadablePayload):
        read_package(out)


def test_a_file_over_the_limit_is_refused_before_unpacking() -> None:
    with pytest.raises(SuspiciousPackage):
        read_package(packed(valid_record()), largest_file=100)


def test_a_changed_byte_inside_is_found_by_the_checksum() -> None:
    data = bytearray(zipped({"a.xml": XML}, zipfile.ZIP_STORED).getvalue())
    data[data.index(b"<h1>1") + 4] = ord("2")
    _, records = read_package(io.BytesIO(bytes(data)))
    with pytest.raises(DamagedPackage):
        list(records)


def test_a_right_package_is_verified() -> None:
    records = [valid_record(), valid_record({"h15": "09005C"})]
    assert verify_package(packed(*records), iter(records), STEM) == 2


@pytest.mark.parametrize(
    "meant",
    [
        [],
        [valid_record(), valid_record()],
        [valid_record({"h7": "0002"})],
        [valid_record({"h22": ""})],
        [valid_record({"h19": "1140203101112"})],
        [valid_record({}, {"r4": "13.6"})],
        [UploadRecord(valid_record().header, ())],
    ],
)
def test_any_difference_is_found_and_no_value_is_told(meant: list[UploadRecord]) -> None:
    with pytest.raises(PackageDiffers) as found:
        verify_package(packed(valid_record()), iter(meant), STEM)
    assert "13.5" not in str(found.value)


def test_another_name_is_found() -> None:
    with pytest.raises(PackageDiffers):
        verify_package(packed(valid_record()), [valid_record()], STEM[:-1] + "8")


def test_memory_does_not_grow_with_the_number_of_records() -> None:
    def many(count: int) -> Iterator[UploadRecord]:
        record = valid_record()
        for number in range(count):
            yield replace_header(record, {"h7": Field(f"{number % 10000:04d}", "test")})

    def peak(count: int) -> int:
        out = io.BytesIO()
        tracemalloc.start()
        write_package(many(count), STEM, out)
        verify_package(out, many(count), STEM)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(10)
    assert peak(2_000) < peak(200) + (1 << 20)


def test_an_entry_that_claims_to_begin_before_the_file_is_refused() -> None:
    data = bytearray(packed(valid_record()).getvalue())
    # The size of the directory, in the end record, moves where everything is thought to begin.
    data[-10] += 1
    with pytest.raises(UnreadablePayload):
        list(read_package(io.BytesIO(bytes(data)))[1])
