"""The fast way of reading gives what lxml gives, for any text, and the same refusals."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mapping.errors import UnreadablePayload
from mapping.record import UploadRecord, plain_values
from mapping.upload_shapes import RecordShapes
from mapping.upload_text import decoded_text
from mapping.upload_tree import read_tree
from mapping.upload_xml import LARGEST_FILE, LARGEST_RECORD, read_upload

SPACES = st.sampled_from(["", "\n", "\r\n", "  ", "\t", "\r", "\u3000", "\x0b"])
VALUES = st.sampled_from(
    [
        *("1", "", "血液", "a b", "&amp;", "&#65;", "]]>", ">", "a\r\nb", "a\rb", " x ", "\x7f"),
        *("<![CDATA[x]]>", "<!-- </hdata> -->", "<b>1</b>", "&x;", "\ufffe", "\x01", "<?p?>"),
    ]
)
TAGS = st.sampled_from(["h1", "h2", "h15", "r1", "r4", "r4-1", "r6", "R1", "rdata", "hdata", "x"])
LEAVES = st.builds(
    lambda tag, value, form, space: form.format(tag=tag, value=value) + space,
    TAGS,
    VALUES,
    st.sampled_from(
        [
            "<{tag}>{value}</{tag}>",
            "<{tag}/>",
            "<{tag} a='1'>{value}</{tag}>",
            "<{tag}>{value}</{tag} >",
            "<{tag}>{value}",
            "{value}",
        ]
    ),
    SPACES,
)
PLAIN = st.builds(
    lambda tag, value, space: f"<{tag}>{value}</{tag}>{space}",
    st.sampled_from(["h1", "h2", "h15", "r1", "r4", "r4-1"]),
    st.sampled_from(["1", "", "血液", "a b", "12.5"]),
    st.sampled_from(["", "\n", "\r\n"]),
)
ANY_LEAF = PLAIN | LEAVES
ROWS = st.lists(ANY_LEAF, max_size=4).map(lambda leaves: f"<rdata>{''.join(leaves)}</rdata>")
RECORDS = st.builds(
    lambda start, leaves, rows, more, end: start + "".join((*leaves, *rows, *more)) + end,
    st.sampled_from(["<hdata>", "<hdata>", "<hdata>\n", "<hdata >", ""]),
    st.lists(ANY_LEAF, max_size=5),
    st.lists(ROWS, max_size=3),
    st.lists(ANY_LEAF, max_size=1),
    st.sampled_from(["</hdata>", "</hdata>", "</hdata>\r\n", "</hdata >", "</hdata>lost", ""]),
)
FILES = st.builds(
    lambda start, records, end: start + "".join(records) + end,
    st.sampled_from(["<patient>", "\r\n<patient>\r\n", "<!-- a --><patient>", "<patient a='1'>"]),
    st.lists(RECORDS, max_size=5),
    st.sampled_from(["</patient>", "</patient>\r\n", "</patient><!-- -->", "", "</patient>x"]),
)


def plain(record: UploadRecord) -> object:
    parts = (record.header, *record.rows)
    return [(plain_values(part), {field.origin for field in part.values()}) for part in parts]


def told(data: bytes, carefully: bool) -> tuple[list[object], object]:
    """The records, and the error's code with the place it names."""
    found: list[object] = []
    stream = io.BytesIO(data)
    try:
        records = (
            read_tree(decoded_text(stream, LARGEST_FILE), LARGEST_RECORD)
            if carefully
            else read_upload(stream)
        )
        for record in records:
            found.append(plain(record))
    except UnreadablePayload as error:
        return found, error.code
    return found, None


@given(FILES)
@settings(max_examples=600)
@example("<patient><hdata><h1>1</h1></hdata><!-- </hdata> --><hdata><h1>2</h1></hdata></patient>")
@example("<patient><hdata><h1>1</h1></hdata ><hdata><h1>2</h1></hdata></patient>")
@example("<patient><hdata/><hdata><h1>2</h1></hdata></patient>")
@example("<patient><hdata><h1>1</h1></hdata></patient><patient><hdata></hdata></patient>")
@example("<patient><hdata><h1></h1><h1>1</h1></hdata></patient>")
@example("<patient><hdata><rdata><r1>1</r1></rdata><h1>1</h1></hdata></patient>")
def test_both_readers_give_the_same_records_and_refuse_the_same_files(text: str) -> None:
    data = text.encode("utf-8")
    fast, fast_error = told(data, carefully=False)
    slow, slow_error = told(data, carefully=True)
    # Where a text is wrong in two ways, either may be told.
    assert (fast_error is None) == (slow_error is None)
    if slow_error is None:
        assert fast == slow
    else:
        # lxml reads ahead: the fast reader may give out more records before the fault.
        assert fast[: len(slow)] == slow


def test_a_line_of_a_fault_is_counted_from_the_start_of_the_file() -> None:
    good = "<hdata>\r\n<h1>1</h1>\r\n</hdata>\r\n"
    for bad in ("<hdata>\r\n<h1>1</h2>\r\n</hdata>\r\n", "<hdata>\r\n<!-- --></b></hdata>"):
        data = f'<?xml version="1.0"?>\r\n<patient>\r\n{good * 3}{bad}{good}</patient>'.encode()
        with pytest.raises(UnreadablePayload) as refused:
            list(read_upload(io.BytesIO(data)))
        assert refused.value.parameters["line"] == 3 + 9 + 1


def test_a_column_on_the_first_line_is_counted_from_its_start() -> None:
    data = b"<patient><hdata><h1>1</h1></hdata><hdata><h1>1</h2></hdata></patient>"
    careful = read_tree(decoded_text(io.BytesIO(data), LARGEST_FILE), LARGEST_RECORD)
    with pytest.raises(UnreadablePayload) as by_tree:
        list(careful)
    with pytest.raises(UnreadablePayload) as by_shapes:
        list(read_upload(io.BytesIO(data)))
    assert by_tree.value.parameters == by_shapes.value.parameters
    assert by_shapes.value.parameters["line"] == 1


def test_many_shapes_are_read_all_the_same() -> None:
    records = [
        "<hdata>" + "".join(f"<h{n}>{n}</h{n}>" for n in range(40) if number >> n & 1) + "</hdata>"
        for number in range(700)
    ]
    data = f"<patient>{''.join(records)}</patient>".encode()
    found = [dict(plain_values(record.header)) for record in read_upload(io.BytesIO(data))]
    assert found == [
        {f"h{n}": str(n) for n in range(40) if number >> n & 1} for number in range(700)
    ]


def test_a_shape_is_learned_once() -> None:
    shapes = RecordShapes()
    assert shapes.read("<hdata><h1>1</h1>", 1) is not None
    assert shapes.read("<hdata><h1>&amp;</h1>", 2) is None
    found = shapes.read("\n<hdata>\n<h1>2</h1>\n<rdata><r1>1</r1></rdata>\n", 3)
    assert found is not None
    assert found.rows[0]["r1"].origin == "hdata[3]/rdata[1]"
