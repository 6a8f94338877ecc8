"""A laboratory's layout as data: what a profile can say, and how its mistakes are named."""

from __future__ import annotations

import tomllib
from datetime import date

import pytest

from adapters.folder.formats.csv_layout import COLUMNS
from adapters.folder.formats.errors import CsvUnreadable
from adapters.folder.formats.profile_dates import plain_date
from adapters.folder.formats.table_files import read_csv, read_xlsx
from mapping.file_profile import RESULT_COLUMNS, DateOrder
from mapping.file_profile_toml import FileProfileWrong, file_profile_toml, parse_file_profile
from mapping.finding import Severity
from mapping.parsed import ParsedPayload
from mapping.profile import CsvLayout, SourceProfile
from tests.folder.tables import NATIONAL_ID, OTHER_ID, csv_file, xlsx_file

WHOLE = """
format = "csv"
encoding = "big5"
delimiter = "|"
header_row = 3
dates = "roc"

[columns]
national_id = "身分證"
item_name = "項目"
value = 4
reported_at = ["日期", "時間"]

[constants]
clinic_code = "3501234567"

[sections]
mark = "***"
column = 1

[sections.columns]
accession_number = 2

[[filters]]
column = "科別"
keep = ["健保", "家醫*"]

[[items]]
column = "血糖"
order_code = "09005C"
unit = "mg/dL"
"""


def profile(text: str) -> SourceProfile:
    return SourceProfile("lab", file=parse_file_profile(tomllib.loads(text)))


def values(parsed: ParsedPayload) -> list[tuple[str, str, str]]:
    return [
        (report.patient.national_id, line.codings[0].display or line.codings[0].code, line.value)
        for report in parsed.reports
        for line in report.observations
    ]


def test_our_columns_are_those_of_the_reader() -> None:
    assert RESULT_COLUMNS == COLUMNS


def test_a_profile_that_is_written_reads_as_the_same_profile() -> None:
    text = WHOLE.replace("value = 4\n", "")
    first = parse_file_profile(tomllib.loads(text))
    written = file_profile_toml(first, {"columns.national_id": "sure"})
    assert "# sure" in written
    assert parse_file_profile(tomllib.loads(written)) == first


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[columns]\nvalu = 1", "columns.valu"),
        ('format = "pdf"', "format"),
        ("header_row = -1", "header_row"),
        ("header_row = true", "header_row"),
        ('delimiter = ",,"', "delimiter"),
        ("columns = 3", "columns"),
        ("[columns]\nvalue = 0", "columns.value"),
        ("[columns]\nvalue = []", "columns.value"),
        ("[columns]\nvalue = 1\nitem_code = 2", "columns"),
        ("[columns]\nnational_id = 1\nvalue = 2", "columns"),
        ("[columns]\nnational_id = 1\nitem_code = 2", "columns"),
        ('[constants]\nvalue = "5"', "constants.value"),
        ('[columns]\nunit = 1\n[constants]\nunit = "g"', "constants.unit"),
        ("[sections]\nmark = ''", "sections.mark"),
        ("[[filters]]\ncolumn = 1", "filters[1]"),
        ("[[filters]]\ncolumn = 1\nkeep = ['a']\ndrop = ['b']", "filters[1]"),
        ("[[items]]\ncolumn = 'GLU'", "items[1]"),
        (
            'format = "fixed"\n[columns]\nnational_id = 1\nitem_code = "2-3"\nvalue = "4-5"',
            "columns",
        ),
        (
            'header_row = 0\n[columns]\nnational_id = "ID"\nitem_code = 2\nvalue = 3',
            "columns",
        ),
        ("surprise = 1", "surprise"),
    ],
)
def test_a_mistake_is_named_by_its_key(text: str, place: str) -> None:
    with pytest.raises(FileProfileWrong) as caught:
        parse_file_profile(tomllib.loads(text))
    assert caught.value.parameters["place"] == place
    assert caught.value.remedy("zh")


def test_rows_of_a_section_carry_what_its_row_said() -> None:
    """The layout of a real laboratory: the header describes the section rows, the rows of the
    results below them have columns of their own."""
    layout = profile(
        """
        [columns]
        item_code = 1
        item_name = 2
        value = 4
        flag = 5
        unit = 6
        reference = 7
        [sections]
        mark = "***"
        [sections.columns]
        national_id = "身份證字號"
        birth_on = "出生日期"
        accession_number = "檢驗單工號"
        reported_at = ["報告日期", "報告時間"]
        """
    )
    header = ["", "身份證字號", "病患姓名", "出生日期", "檢驗單工號", "報告日期", "報告時間"]
    rows = [
        header,
        ["GLU", "血糖", "", "88", "", "mg/dL", "70-100"],
        ["***", NATIONAL_ID, "王小明", "1976/4/1", "L0001234", "2026/8/14", "14:05"],
        ["GLU", "血糖", "", "92", "", "mg/dL", "70-100"],
        ["CHO", "膽固醇", "", "201", "H", "mg/dL", "<200"],
        ["***", OTHER_ID, "陳小華", "1984/5/12", "L0001235", "2026/8/14", "14:10"],
        ["GLU", "血糖", "", "101", "H", "mg/dL", "70-100"],
    ]
    for parsed in (
        read_xlsx(xlsx_file(rows), layout),
        read_csv(csv_file(rows, "utf-8"), layout),
    ):
        assert values(parsed) == [
            (NATIONAL_ID, "血糖", "92"),
            (NATIONAL_ID, "膽固醇", "201"),
            (OTHER_ID, "血糖", "101"),
        ]
        first = parsed.reports[0]
        assert first.accession_number == "L0001234"
        assert first.patient.birth_on == date(1976, 4, 1)
        assert first.reported_at is not None
        assert first.reported_at.taipei.hour == 14
        assert [(finding.code, finding.place) for finding in parsed.findings] == [
            ("table-no-section", "row 2")
        ]


def test_columns_by_number_in_a_file_without_a_header() -> None:
    layout = profile("header_row = 0\n[columns]\nnational_id = 1\nitem_code = 2\nvalue = 3")
    parsed = read_csv(csv_file([[NATIONAL_ID, "GLU", "92"]]), layout)
    assert values(parsed) == [(NATIONAL_ID, "GLU", "92")]


def test_rows_before_the_header_and_headers_on_each_page_are_no_results() -> None:
    layout = profile(
        'header_row = 3\n[columns]\nnational_id = "ID"\nitem_code = "項目"\nvalue = "值"'
    )
    header = ["ID", "項目", "值"]
    rows = [["日昇檢驗所"], ["1150814"], header, [NATIONAL_ID, "GLU", "92"], header]
    assert values(read_xlsx(xlsx_file(rows), layout)) == [(NATIONAL_ID, "GLU", "92")]


def test_filters_leave_rows_out_and_count_them() -> None:
    layout = profile(
        "header_row = 0\n[columns]\nnational_id = 1\nitem_code = 2\nvalue = 3\n"
        '[[filters]]\ncolumn = 4\nkeep = ["健保*"]\n[[filters]]\ncolumn = 3\ndrop = [""]'
    )
    rows = [
        [NATIONAL_ID, "GLU", "92", "健保門診"],
        [NATIONAL_ID, "CHO", "180", "自費"],
        [NATIONAL_ID, "TG", "", "健保"],
    ]
    parsed = read_csv(csv_file(rows), profile_with_encoding(layout))
    assert values(parsed) == [(NATIONAL_ID, "GLU", "92")]
    (left_out,) = parsed.findings
    assert (left_out.code, left_out.severity) == ("table-rows-left-out", Severity.INFORMATION)
    assert dict(left_out.parameters) == {"count": "2"}


def profile_with_encoding(source: SourceProfile) -> SourceProfile:
    assert source.file is not None
    text = 'encoding = "big5"\n' + file_profile_toml(source.file, {})
    return profile(text)


def test_one_row_for_each_specimen_with_a_column_for_each_examination() -> None:
    layout = profile(
        """
        [columns]
        national_id = "ID"
        reported_at = "日期"
        [constants]
        specimen = "Serum"
        [[items]]
        column = "GLU"
        order_code = "09005C"
        item_name = "飯前血糖"
        unit = "mg/dL"
        reference = "70-100"
        [[items]]
        column = "CHOL"
        item_code = "CHO"
        """
    )
    rows = [
        ["ID", "日期", "GLU", "CHOL"],
        [NATIONAL_ID, "2026/8/14", "92", "201"],
        [OTHER_ID, "2026/8/14", "", "188"],
    ]
    parsed = read_csv(csv_file(rows, "utf-8"), layout)
    assert values(parsed) == [
        (NATIONAL_ID, "飯前血糖", "92"),
        (NATIONAL_ID, "CHO", "201"),
        (OTHER_ID, "CHO", "188"),
    ]
    first, second, third = parsed.reports
    assert first.service[0].code == "09005C"
    assert (first.observations[0].unit, first.observations[0].reference.low) == ("mg/dL", "70")
    assert {first.specimen.kind, second.specimen.kind, third.specimen.kind} == {"Serum"}
    assert parsed.findings == ()


def test_a_usual_header_text_means_nothing_where_the_profile_does_not_name_it() -> None:
    layout = profile('[columns]\nnational_id = "ID"\nitem_code = "項目"\nvalue = "覆驗結果"')
    rows = [["ID", "項目", "結果", "覆驗結果"], [NATIONAL_ID, "GLU", "92", "95"]]
    assert values(read_csv(csv_file(rows, "utf-8"), layout)) == [(NATIONAL_ID, "GLU", "95")]


@pytest.mark.parametrize(
    ("header", "word"),
    [
        (["ID", "項目"], "結果"),
        (["ID", "項目", "結果", "結果"], "2 times"),
    ],
)
def test_a_header_that_does_not_fit_the_profile_is_said(header: list[str], word: str) -> None:
    layout = profile('[columns]\nnational_id = "ID"\nitem_code = "項目"\nvalue = "結果"')
    with pytest.raises(CsvUnreadable, match=word):
        read_csv(
            csv_file([header, [NATIONAL_ID, "GLU", *["92"] * (len(header) - 2)]], "utf-8"), layout
        )


def test_the_short_settings_of_a_source_make_the_same_layout() -> None:
    source = SourceProfile("lab", csv=CsvLayout({"value": "覆驗"}, "big5", "\t"))
    layout = source.file_layout
    assert (layout.columns, layout.encoding, layout.delimiter) == (
        {"value": ("覆驗",)},
        "big5",
        "\t",
    )
    assert not layout.only_named


@pytest.mark.parametrize(
    ("text", "order", "plain"),
    [
        ("99/8/14", DateOrder.ROC, "2010-08-14"),
        ("115.08.14 09:30", DateOrder.ROC, "2026-08-14 09:30"),
        ("990814", DateOrder.ROC, "2010-08-14"),
        ("1150814 0930", DateOrder.ROC, "1150814 0930"),
        ("2026/8/14", DateOrder.ROC, "2026/8/14"),
        ("8/14/2026", DateOrder.MDY, "2026-08-14"),
        ("14-8-2026 9:05", DateOrder.DMY, "2026-08-14 9:05"),
        ("26/08/14", DateOrder.YMD, "2026-08-14"),
        ("8/14/26", DateOrder.MDY, "8/14/26"),
        ("99/8/14", DateOrder.PLAIN, "99/8/14"),
        ("民國99年8月14日", DateOrder.PLAIN, "2010-08-14"),
        ("115年8月14日 下午 2:05", DateOrder.PLAIN, "2026-08-14 14:05"),
        ("2026/8/14 下午 02:05:09", DateOrder.PLAIN, "2026/8/14 14:05:09"),
        ("2026/8/14 上午 12:05", DateOrder.PLAIN, "2026/8/14 00:05"),
        ("2026/8/14 12:05 PM", DateOrder.PLAIN, "2026/8/14 12:05"),
        ("2026/8/14 下午 14:05", DateOrder.PLAIN, "2026/8/14 下午 14:05"),
        ("1150814", DateOrder.PLAIN, "1150814"),
        ("", DateOrder.ROC, ""),
    ],
)
def test_dates_are_read_in_the_order_that_is_declared(
    text: str, order: DateOrder, plain: str
) -> None:
    assert plain_date(text, order) == plain
