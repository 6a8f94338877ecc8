"""Whatever the gateway prints, the reader reads back: any widths, pages, Chinese text."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.nhi.check_report import UnreadableCheckReport, open_verdict, read_check_report
from adapters.nhi.report_records import UNREAD_CODE
from adapters.nhi.verdict_archive import VerdictArchiveUnsafe
from broker.sandbox.printing import PrintedLayout, PrintedRecord, print_report

DIGITS = "0123456789"
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# 功 and 許 have a trail byte that is a backslash in Big5, 育 a vertical bar.
WORDS = "功許育回才蛋白質尿液陰性陽＜＞（）μ℃abcXYZ0123456789.-+/%"

text = st.text(WORDS, max_size=70)
spaced = st.lists(st.text(WORDS, min_size=1, max_size=4), max_size=2).map(" ".join)
day = st.from_regex(r"1[01][0-9]0[1-9]1[0-9]", fullmatch=True)
moment = st.from_regex(r"1[01][0-9]0[1-9]1[0-9][01][0-9][0-5][0-9]([0-5][0-9])?", fullmatch=True)
person = st.from_regex(r"[A-Z][12][0-9]{8}", fullmatch=True)


def optional(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(st.just(""), values)


KEY = {
    "h1": st.sampled_from("123"),
    "h2": st.text(DIGITS, min_size=10, max_size=10),
    "h3": st.sampled_from(("11", "21", "50")),
    "h4": st.from_regex(r"1[01][0-9]0[1-9]", fullmatch=True),
    "h5": st.from_regex(r"1[01][0-9]0[1-9]1[0-9]{7}", fullmatch=True),
    "h6": st.sampled_from(("01", "AG")),
    "h7": st.from_regex(r"[0-9ZI][0-9C][0-9]{2}", fullmatch=True),
    "h8": st.sampled_from("12"),
    "h9": person,
    "h10": day,
    "h11": optional(day),
    "h15": st.from_regex(r"[0-9]{5}[BC]", fullmatch=True),
    "h16": st.from_regex(r"1[01][0-9]0[1-9]1[0-9]{7}", fullmatch=True),
    "h17": optional(person),
    "h20": moment,
    "h25": optional(st.sampled_from(("NJ", "H"))),
    "h26": optional(st.sampled_from("024")),
    "h27": optional(st.text(DIGITS, min_size=10, max_size=10)),
    "r1": st.integers(1, 999).map(str),
    "r10": moment,
}
LABORATORY = {
    **KEY,
    "h22": text,
    "r2": text,
    "r3": text,
    "r4": text,
    "r4-1": optional(st.sampled_from("01UX")),
    "r5": spaced,
    "r6-1": text,
    "r6-2": text,
    "r9": optional(person),
    "r11": text,
    "r12": optional(st.sampled_from("01")),
    "r14": optional(moment),
}
IMAGE = {**KEY, "r7": text}
long_text = st.text("功許育肺野清晰無異常，。abc", min_size=1, max_size=300)
PATHOLOGY = {**KEY, "h22": text, "r2": text, "r8-1": long_text}


def present(fields: dict[str, str]) -> dict[str, str]:
    return {tag: value for tag, value in fields.items() if value}


records = st.builds(
    PrintedRecord,
    st.one_of(
        st.fixed_dictionaries(LABORATORY),
        st.fixed_dictionaries(IMAGE),
        st.fixed_dictionaries(PATHOLOGY),
    ).map(present),
    st.frozensets(st.sampled_from(sorted(KEY)), max_size=3),
    st.sampled_from(("", "01", "14", "A3")),
)
layouts = st.builds(
    PrintedLayout,
    widths=st.tuples(*[st.integers(18, 30)] * 6),
    page_length=st.integers(14, 80),
    wide=st.booleans(),
    wrap=st.just(True),
    split_records=st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(records, min_size=1, max_size=4), layouts, st.booleans())
def test_a_printed_report_is_read_back_identically(
    printed: list[PrintedRecord], layout: PrintedLayout, correct: bool
) -> None:
    text = print_report("3501234567", "1151122", "1151122000017", printed, correct, layout)
    report = read_check_report(text.encode("cp950").decode("cp950"))
    # A field that is marked as wrong is never accepted, whatever else is printed.
    codes = [record.error_code or (UNREAD_CODE if record.flagged else "") for record in printed]
    assert report.accepted is (correct and not any(codes))
    assert [dict(record.values) for record in report.records] == [
        dict(record.values) for record in printed
    ]
    assert [record.error_code for record in report.records] == codes
    assert [frozenset(record.flagged) for record in report.records] == [
        record.flagged for record in printed
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(records, min_size=1, max_size=3), layouts)
def test_cut_values_come_back_as_they_were_cut(
    printed: list[PrintedRecord], layout: PrintedLayout
) -> None:
    cut = PrintedLayout(layout.widths, layout.page_length, layout.wide, wrap=False)
    text = print_report("3501234567", "1151122", "1151122000017", printed, False, cut)
    for found, record in zip(read_check_report(text).records, printed, strict=True):
        assert set(found.values) == set(record.values)
        for tag, value in found.values.items():
            assert record.values[tag].startswith(value)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text("= -\f\r\n*01功", max_size=400).map(
            lambda noise: (
                "  程式代號:X\r\n  ==== ====== === ==== ==== ====\r\n\r\n" + noise
            ).encode("cp950")
        ),
    )
)
def test_noise_is_read_or_refused_with_a_sentence(raw: bytes) -> None:
    refusals = []
    try:
        assert len(open_verdict(raw, "A123456789")) == 1
    except (UnreadableCheckReport, VerdictArchiveUnsafe) as refusal:
        refusals.append(refusal.remedy("zh"))
    assert all(refusals)


@settings(max_examples=60, deadline=None)
@given(records, layouts, st.from_regex(r"[0-9A-Z]{1,3}", fullmatch=True))
def test_a_code_of_any_later_format_is_a_code(
    printed: PrintedRecord, layout: PrintedLayout, code: str
) -> None:
    marked = replace(printed, flagged=printed.flagged | {"h7"}, error_code=code)
    text = print_report("3501234567", "1151122", "1151122000017", [marked], False, layout)
    unsaid = text.replace("檢核錯誤", "檢核報告")
    for said in (text, unsaid):
        report = read_check_report(said)
        assert not report.accepted
        assert all(record.error_code for record in report.records)
