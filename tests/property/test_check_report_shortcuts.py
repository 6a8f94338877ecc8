"""What is plainly printed is read on a shorter way, to the same cells and records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.nhi.report_columns import Columns, Measure
from adapters.nhi.report_records import UNREAD_CODE, RecordReader

# Blanks, flags, wide characters, a byte without meaning, and what marks a wide character inside.
CELL = st.text(" *A1血\udca1\x00", max_size=7)
WIDTHS = st.lists(st.integers(1, 6), min_size=2, max_size=4)
ROWS = (("h1", "h2", "h22"), ("r1", "r2", "r4"), ("r5", "h25"))
VALUE = st.sampled_from(("", "1", "3599900001", "飯前血糖 Glucose", "mg/dL", "01 02", "05", "*"))


@st.composite
def lines(draw: st.DrawFn, widths: list[int]) -> str:
    gap = st.sampled_from(("", " ", " ", " ", "*"))
    cells = [draw(CELL)[:width].ljust(width) for width in widths]
    return "".join(draw(gap) + cell for cell in cells).rstrip(draw(st.sampled_from(("", " "))))


@given(widths=WIDTHS, data=st.data(), measure=st.sampled_from(list(Measure)))
def test_a_line_is_cut_to_the_same_cells(
    widths: list[int], data: st.DataObject, measure: Measure
) -> None:
    columns = Columns.of_ruler("".join(" " + "=" * width for width in widths))
    line = data.draw(lines(widths))
    widened = "".join(
        char if char < "\x80" or "\udc80" <= char <= "\udcff" else char + "\x00" for char in line
    )
    slowly = columns._cut(widened if measure is Measure.BYTES else line)
    cut = columns.cut(line, measure)
    if slowly is None or cut is None:
        assert cut == slowly
    else:
        # Blanks at the end of a cell say nothing.
        assert [cell.rstrip(" ") for cell in cut] == [cell.rstrip(" ") for cell in slowly]


@given(data=st.data())
def test_a_line_for_each_row_is_read_to_the_same_records(data: st.DataObject) -> None:
    flag = st.sampled_from((" ", " ", " ", "*", ""))
    block = [
        tuple(data.draw(flag) + data.draw(VALUE).ljust(9) for _ in range(3))
        for _ in range(data.draw(st.sampled_from((2, 3, 4, 4, 4, 5))))
    ]
    plain = RecordReader((ROWS,), (10, 10, 10), Measure.BYTES)
    # Of two layouts each is laid in the way that fits best.
    careful = RecordReader((ROWS, ROWS), (10, 10, 10), Measure.BYTES)
    assert plain.read(block) == careful.read(block)


def test_a_mark_on_a_line_of_its_own_makes_a_record_wrong() -> None:
    lines = [
        (" 1", " 3599900001", " 血液"),
        (" 1", " GOT", " 5"),
        (" U/L", " ", " "),
        (" ", "*", " "),
    ]
    for candidates in ((ROWS,), (ROWS, ROWS)):
        (told,), whole = RecordReader(candidates, (10, 10, 10), Measure.BYTES).read(lines)
        assert (told.error_code, whole) == (UNREAD_CODE, True)
