"""A record that is not well formed is named, and hides none of the others."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable

import pytest

from adapters.ports.intake import Media
from broker.cli.file_check import FileCheck
from broker.cli.upload_check import check_upload
from mapping.errors import UnreadablePayload
from mapping.finding import Finding
from mapping.upload_errors import UndecodableText, UploadCutOff
from mapping.upload_xml import read_upload
from tests.unit.upload_samples import UPLOAD_DAY

HEAD = '<?xml version="1.0" encoding="Big5"?>\r\n<patient>\r\n'
FOOT = "</patient>\r\n"
NO_MEANING = "\ue000"
"""Stands for the bytes FA 40, a character that users define themselves."""


def record(number: int) -> str:
    return (
        f"<hdata>\r\n<h7>{number:04d}</h7>\r\n<h9>A123456789</h9>\r\n<h15>09005C</h15>\r\n"
        "<h22>血液</h22>\r\n<rdata>\r\n<r1>1</r1>\r\n<r4>95</r4>\r\n</rdata>\r\n</hdata>\r\n"
    )


def upload(*records: str, head: str = HEAD, foot: str = FOOT) -> bytes:
    text = head + "".join(records) + foot
    return b"\xfa\x40".join(part.encode("cp950") for part in text.split(NO_MEANING))


def read(data: bytes) -> tuple[list[str], list[Finding]]:
    """The serials (h7) of the records that could be read, and the faults."""
    faults: list[Finding] = []
    records = read_upload(io.BytesIO(data), on_fault=faults.append)
    return [each.value("h7") for each in records], faults


def damage(old: str, new: str) -> Callable[[str], str]:
    def damaged(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return damaged


DAMAGES = {
    "field twice": (damage("<h9>", "<h9>B123456780</h9><h9>"), "record-field-twice", "h9"),
    "row field twice": (damage("<r4>", "<r4>1</r4><r4>"), "record-field-twice", "r4"),
    "user-defined character": (damage("血", NO_MEANING), "record-undecodable", "h22"),
    "bare ampersand": (damage("血液", "A&B"), "record-bare-sign", "h22"),
    "undefined entity": (damage("95", "95&nbsp;"), "record-bare-sign", "r4"),
    "bare less-than": (damage("<r4>95", "<r4><95"), "record-bare-sign", "r4"),
    "less or equal": (damage("<r4>95", "<r4><=95"), "record-bare-sign", "r4"),
    "control character": (damage("95", "9\x015"), "record-control-character", "r4"),
    "end forgotten": (damage("</h9>", ""), "record-field-open", "h9"),
    "other end": (damage("</h9>", "</h10>"), "record-field-open", "h9"),
    "capital end": (damage("</h9>", "</H9>"), "record-field-open", "h9"),
    "element in a field": (damage("A123456789", "<b>A</b>"), "record-field-open", "h9"),
    "row not closed": (damage("</rdata>", ""), "record-field-open", "rdata"),
    "row closed twice": (damage("</rdata>", "</rdata></rdata>"), "record-element-astray", "rdata"),
    "row in a row": (damage("<r4>", "<rdata><r4>"), "record-element-astray", "rdata"),
    "order not closed": (damage("</hdata>", ""), "record-not-closed", ""),
    "text between fields": (damage("<h9>", "lost<h9>"), "record-text-astray", ""),
    "text before the order": (damage("<hdata>", "lost<hdata>"), "record-text-astray", ""),
    "root closed": (damage("<hdata>", "</patient><hdata>"), "record-element-astray", "patient"),
    "comment not closed": (damage("<h9>", "<!-- <h9>"), "record-bare-sign", ""),
    "attribute without quotes": (damage("<h9>", "<h9 a=b>"), "record-malformed", ""),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_record_and_its_field_are_named_and_all_others_are_read(name: str) -> None:
    damaged, code, field = DAMAGES[name]
    data = upload(record(1), damaged(record(2)), record(3), record(4))
    serials, (fault,) = read(data)
    assert serials == ["0001", "0003", "0004"]
    assert (fault.code, fault.field, fault.place) == (code, field, "hdata[2]")
    about = dict(fault.parameters)
    assert about["line"] == "13" or code == "record-malformed"
    assert "09005C" in fault.message("en")
    assert "09005C" in fault.message("zh")
    assert "A123456789" not in fault.message("en") + fault.message("zh")
    with pytest.raises(UnreadablePayload):
        list(read_upload(io.BytesIO(data)))


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_record_hides_none_where_it_is_the_first_or_the_last(name: str) -> None:
    damaged, code, _ = DAMAGES[name]
    serials, faults = read(upload(damaged(record(1)), record(2)))
    assert (serials, [(each.code, each.place) for each in faults]) == (
        ["0002"],
        [(code, "hdata[1]")],
    )
    serials, faults = read(upload(record(1), damaged(record(2))))
    assert (serials, [(each.code, each.place) for each in faults]) == (
        ["0001"],
        [(code, "hdata[2]")],
    )


def test_the_bytes_without_meaning_and_their_place_in_the_file_are_told() -> None:
    far = "x" * 40_000
    bad = record(2).replace("血", f"血{NO_MEANING}")
    data = upload(record(1).replace("血液", far), bad, bad.replace("95", NO_MEANING))
    _, faults = read(data)
    assert [(each.place, each.field) for each in faults] == [
        ("hdata[2]", "h22"),
        ("hdata[3]", "h22"),
        ("hdata[3]", "r4"),
    ]
    about = dict(faults[0].parameters)
    assert about["bytes"] == "FA 40"
    assert int(about["offset"]) == data.index(b"\xfa\x40")
    assert int(dict(faults[1].parameters)["offset"]) == data.index(
        b"\xfa\x40", data.index(b"\xfa\x40") + 2
    )


@pytest.mark.parametrize("raw", [b"\xa6", b"\xff", b"\x80", b"\xfa\x40", b"\xa6\xff"])
def test_a_stray_byte_eats_no_sign_behind_it(raw: bytes) -> None:
    data = upload(record(1), record(2), record(3))
    data = data[::-1].replace(b"95"[::-1], raw[::-1], 2)[::-1]
    serials, faults = read(data)
    assert serials == ["0001"]
    assert {(each.code, each.field) for each in faults} == {("record-undecodable", "r4")}


def test_utf_8_is_looked_at_in_the_same_way() -> None:
    data = upload(record(1), record(2), record(3)).decode("cp950").replace("Big5", "UTF-8").encode()
    at = data.index("血".encode(), data.index(b"<h7>0002"))
    serials, (fault,) = read(data[:at] + b"\xe8" + data[at + 3 :])
    assert serials == ["0001", "0003"]
    assert dict(fault.parameters)["encoding"] == "UTF-8"


def test_a_comment_that_holds_whole_records_is_passed_over_and_the_faults_behind_it_are_found() -> (
    None
):
    hidden = f"<!-- {record(7)}{record(8)} -->"
    twice = DAMAGES["field twice"][0](record(3))
    serials, faults = read(upload(record(1), hidden, record(2), twice, record(4)))
    assert serials == ["0001", "0002", "0004"]
    assert [each.place for each in faults] == ["hdata[3]"]


def test_the_end_of_a_file_that_was_cut_off_is_told_with_the_record() -> None:
    data = upload(record(1), record(2))
    faults: list[Finding] = []
    reader = read_upload(io.BytesIO(data[: data.rindex(b"<r4>") + 5]), on_fault=faults.append)
    assert next(reader).value("h7") == "0001"
    with pytest.raises(UploadCutOff) as cut:
        list(reader)
    assert [(each.code, each.place) for each in faults] == [("record-not-closed", "hdata[2]")]
    assert cut.value.parameters["records"] == 1
    assert "1" in cut.value.sentence("zh")


def test_a_file_in_another_encoding_than_it_says_ends_at_ten_thousand_bytes_without_meaning() -> (
    None
):
    data = upload(*[record(1).replace("血液", NO_MEANING * 50)] * 300)
    with pytest.raises(UndecodableText):
        read(data)


def checked(data: bytes) -> FileCheck:
    result = FileCheck("TOTFA.xml", limit=50)
    check_upload(io.BytesIO(data), Media.NHI_XML, UPLOAD_DAY, result)
    return result


def test_check_counts_damaged_records_and_keeps_the_numbers_of_the_others() -> None:
    twice = DAMAGES["field twice"][0](record(2))
    result = checked(upload(record(1), twice, record(3), record(3)))
    assert result.record_count == 4
    assert result.exit_code == 1
    assert [each.place for each in result.records] == ["hdata[1]", "hdata[3]", "hdata[4]"]
    (repeated,) = (each for each in result.findings if each.code == "25")
    assert repeated.place == "hdata[4]"
    assert dict(repeated.parameters)["first"] == "hdata[3]"
    assert {each.place for each in result.findings if each.code == "record-field-twice"} == {
        "hdata[2]"
    }


def test_a_file_of_damaged_records_alone_is_not_called_empty() -> None:
    twice = DAMAGES["field twice"][0](record(2))
    result = checked(upload(twice, twice))
    assert result.record_count == 2
    assert {code for _, code, _ in result.counts} == {"record-field-twice"}


def test_memory_stays_flat_however_many_records_are_damaged() -> None:
    names = ("field twice", "bare less-than", "order not closed", "user-defined character")
    some = [DAMAGES[name][0](record(2)) for name in names]
    peaks = []
    for count in (200, 1000):
        data = upload(*some * count)
        tracemalloc.start()
        result = checked(data)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert result.record_count == 4 * count
    assert peaks[1] < peaks[0] * 1.5
