"""XLSX, XLS, DBF and fixed width: the same table reads the same from each."""

from __future__ import annotations

import io
import tomllib
import zipfile
from datetime import date, datetime, time

import openpyxl
import pytest

from adapters.folder.formats.errors import TableUnreadable, TextUndecodable, ZipUnreadable
from adapters.folder.formats.identify import identify, text_media
from adapters.folder.formats.number_formats import number_format, number_text
from adapters.folder.formats.table_files import (
    read_csv,
    read_dbf,
    read_fixed,
    read_xls,
    read_xlsx,
)
from adapters.folder.formats.xlsx_table import xlsx_table
from adapters.ports.intake import Media
from mapping.file_profile_toml import parse_file_profile
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile
from tests.folder.tables import (
    HEADER,
    NATIONAL_ID,
    ROWS,
    csv_file,
    dbf_file,
    fixed_file,
    xls_file,
    xlsx_file,
)

TABLE = (HEADER, *ROWS)
FIELDS = (
    ("ID", "C", 10),
    ("BIRTH", "C", 7),
    ("HOSP", "C", 10),
    ("CODE", "C", 8),
    ("NAME", "C", 20),
    ("RESULT", "C", 10),
    ("UNIT", "C", 10),
    ("RANGE", "C", 12),
    ("RPT", "C", 14),
)
WIDTHS = [width for _, _, width in FIELDS]
PLAIN = SourceProfile("lab")


def profile(text: str) -> SourceProfile:
    return SourceProfile("lab", file=parse_file_profile(tomllib.loads(text)))


def said(parsed: ParsedPayload) -> list[tuple[object, ...]]:
    return [
        (
            report.patient.national_id,
            report.patient.birth_on,
            report.clinic_code,
            report.reported_at,
            line.codings,
            line.value,
            line.unit,
            line.reference,
        )
        for report in parsed.reports
        for line in report.observations
    ]


def ranges() -> str:
    names = ("national_id", "birth_on", "clinic_code", "item_code", "item_name", "value", "unit")
    lines, at = [], 0
    for name, width in zip((*names, "reference", "reported_at"), WIDTHS, strict=True):
        lines.append(f'{name} = "{at + 1}-{at + width}"')
        at += width
    return "\n".join(lines)


FIXED = f'format = "fixed"\nencoding = "big5"\n[columns]\n{ranges()}\n'
DBF = """format = "dbf"
[columns]
national_id = "ID"
birth_on = "BIRTH"
clinic_code = "HOSP"
item_code = "CODE"
item_name = "NAME"
value = "RESULT"
unit = "UNIT"
reference = "RANGE"
reported_at = "RPT"
"""


def dbf() -> bytes:
    return dbf_file(FIELDS, [[cell.encode("cp950") for cell in row] for row in ROWS])


def test_the_same_table_says_the_same_as_each_kind_of_file() -> None:
    expected = said(read_csv(csv_file(TABLE), PLAIN))
    assert len(expected) == 3
    assert expected[1][5] == "5.40"
    assert said(read_csv(csv_file(TABLE, "utf-8", "\t"), PLAIN)) == expected
    assert said(read_xlsx(xlsx_file(TABLE), PLAIN)) == expected
    assert said(read_xls(xls_file(TABLE), PLAIN)) == expected
    assert said(read_dbf(dbf(), profile(DBF))) == expected
    assert said(read_fixed(fixed_file(ROWS, WIDTHS), profile(FIXED))) == expected


@pytest.mark.parametrize(
    ("raw", "media"),
    [
        (xlsx_file(TABLE), Media.XLSX),
        (xls_file(TABLE), Media.XLS),
        (dbf(), Media.DBF),
        (csv_file(TABLE, "utf-8", "\t"), Media.CSV),
    ],
    ids=["xlsx", "xls", "dbf", "csv"],
)
def test_each_kind_is_known_by_its_content_whatever_its_name(raw: bytes, media: Media) -> None:
    assert identify(raw, "x.txt", Media.FIXED_WIDTH) is media


def test_a_file_of_fixed_width_is_known_by_its_source_alone() -> None:
    raw = fixed_file(ROWS, WIDTHS)
    assert identify(raw, "result.dat", text_media(profile(FIXED))) is Media.FIXED_WIDTH
    assert text_media(PLAIN) is None


def test_numbers_and_days_of_a_workbook_are_the_texts_that_a_person_typed() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append([5.4, 0.1 + 0.2, 12, 1e-7, 98765432109876, -0.5, 7, 0.405])
    sheet["A1"].number_format = "0.00"
    sheet["C1"].number_format = "00000"
    sheet["H1"].number_format = "0.0%"
    sheet.append([datetime(2026, 8, 14, 9, 5), date(1976, 4, 1), time(9, 30), True])  # noqa: DTZ001
    out = io.BytesIO()
    book.save(out)
    (_, numbers, _), (_, days, _) = xlsx_table(out.getvalue(), "")
    assert numbers == ["5.40", "0.3", "00012", "0.0000001", "98765432109876", "-0.5", "7", "40.5%"]
    assert days[:4] == ["2026-08-14 09:05:00", "1976-04-01", "09:30:00", "TRUE"]


@pytest.mark.parametrize(
    ("raw", "code", "text"),
    [
        ("5.4000000000000004", "General", "5.4"),
        ("5.404", "0.00", "5.404"),
        ("1E-3", "General", "0.001"),
        ("1234", "#,##0.0", "1234.0"),
        ("-0", "General", "0"),
        ("46248", "[$-404]e/m/d;@", "2026-08-14"),
        ("46248.5", "yyyy/m/d h:mm", "2026-08-14 12:00"),
        ("0.25", '0.0"分"', "0.25"),
        ("3", '"第"0"次"', "3"),
    ],
)
def test_a_number_keeps_its_digits_whatever_is_shown_of_them(
    raw: str, code: str, text: str
) -> None:
    assert number_text(raw, number_format(200, code)) == text


@pytest.mark.parametrize("raw", ["nan", "inf", "", "1e400", "５", "-1"])
def test_what_is_no_number_is_refused(raw: str) -> None:
    with pytest.raises(ValueError):
        number_text(raw, number_format(14))


def test_a_formula_without_a_value_is_never_read_as_an_empty_cell() -> None:
    parsed = read_xlsx(xlsx_file([HEADER, (*ROWS[0][:5], "=91+1", *ROWS[0][6:]), ROWS[2]]), PLAIN)
    assert [finding.code for finding in parsed.findings] == ["table-formula-uncomputed"]
    assert parsed.findings[0].place == "row 2"
    assert len(parsed.reports) == 1


def test_a_workbook_without_rows_is_an_error() -> None:
    with pytest.raises(TableUnreadable):
        read_xlsx(xlsx_file([]), PLAIN)


def test_the_sheet_is_chosen_by_name_or_number() -> None:
    book = openpyxl.Workbook()
    book.active.append(["說明"])
    sheet = book.create_sheet("七月")
    for row in TABLE:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    columns = '[columns]\nnational_id = "身分證號"\nitem_code = "項目代碼"\nvalue = "結果"\n'
    for chosen in ('sheet = "七月"\n', "sheet = 2\n"):
        parsed = read_xlsx(out.getvalue(), profile(chosen + columns))
        assert parsed.reports[0].patient.national_id == NATIONAL_ID
    with pytest.raises(TableUnreadable, match="八月"):
        read_xlsx(out.getvalue(), profile('sheet = "八月"\n' + columns))


def test_a_hidden_sheet_is_passed_over() -> None:
    book = openpyxl.Workbook()
    book.active.append(["暫存"])
    book.active.sheet_state = "hidden"
    sheet = book.create_sheet("報告")
    for row in TABLE:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    assert len(read_xlsx(out.getvalue(), PLAIN).reports) == 2


def altered(raw: bytes, name: str, old: bytes, new: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as source, zipfile.ZipFile(out, "w") as target:
        for each in source.namelist():
            data = source.read(each)
            target.writestr(each, data.replace(old, new) if each == name else data)
    return out.getvalue()


def workbook(relations: str, main: str, sheet: str, strings: str) -> bytes:
    """A workbook as programs other than openpyxl write them: with shared texts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{relations}"><workbookPr date1904="1"/><sheets>'
            '<sheet name="a" sheetId="1" r:id="rId7"/></sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships><Relationship Id="rId7" Target="/xl/worksheets/s.xml"/>'
            "</Relationships>",
        )
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{main}">{strings}</sst>')
        archive.writestr(
            "xl/styles.xml",
            f'<styleSheet xmlns="{main}"><numFmts><numFmt numFmtId="170" formatCode="0.00"/>'
            '</numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="170"/><xf numFmtId="14"/></cellXfs>'
            "</styleSheet>",
        )
        archive.writestr(
            "xl/worksheets/s.xml",
            f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
        )
    return out.getvalue()


@pytest.mark.parametrize(
    ("relations", "main"),
    [
        (
            "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
            "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
        ),
        (
            "http://purl.oclc.org/ooxml/officeDocument/relationships",
            "http://purl.oclc.org/ooxml/spreadsheetml/main",
        ),
    ],
    ids=["transitional", "strict"],
)
def test_shared_texts_styles_and_gaps_of_both_kinds_of_workbook(relations: str, main: str) -> None:
    raw = workbook(
        relations,
        main,
        '<row r="3"><c r="B3" t="s"><v>0</v></c><c r="D3" s="1"><v>5.4</v></c>'
        '<c r="E3" s="2"><v>1</v></c><c r="F3" t="e"><v>#N/A</v></c></row>'
        '<row><c t="s"><v>1</v></c><c t="str"><f>A1</f><v>x_x0041__xD800_</v></c></row>',
        "<si><r><t>飯前</t></r><r><t>血糖</t></r><rPh><t>ㄈ</t></rPh></si><si><t> a </t></si>",
    )
    assert list(xlsx_table(raw, "")) == [
        (3, ["", "飯前血糖", "", "5.40", "1904-01-02", ""], "table-cell-error"),
        (4, [" a ", "xA_xD800_"], ""),
    ]


def test_a_doctype_in_a_workbook_is_refused() -> None:
    doctype = b"<!DOCTYPE a [<!ENTITY b 'c'>]><worksheet"
    raw = altered(xlsx_file(TABLE), "xl/worksheets/sheet1.xml", b"<worksheet", doctype)
    with pytest.raises(TableUnreadable, match="DOCTYPE"):
        read_xlsx(raw, PLAIN)


def test_every_cut_of_each_kind_is_refused_or_read_without_a_fault_of_the_program() -> None:
    readers = ((xlsx_file(TABLE), read_xlsx), (xls_file(TABLE), read_xls), (dbf(), read_dbf))
    for raw, reader in readers:
        for length in range(0, len(raw), max(1, len(raw) // 97)):
            try:
                reader(raw[:length], profile(DBF) if reader is read_dbf else PLAIN)
            except (TableUnreadable, ZipUnreadable, TextUndecodable):
                continue


def test_deleted_records_of_a_dbf_are_no_results() -> None:
    raw = dbf_file(FIELDS, [[cell.encode("cp950") for cell in row] for row in ROWS], deleted=[1])
    assert [line[5] for line in said(read_dbf(raw, profile(DBF)))] == ["92", "101"]


def test_numbers_days_and_overflown_fields_of_a_dbf() -> None:
    fields = (
        ("ID", "C", 10),
        ("CODE", "C", 6),
        ("RESULT", "N", 8),
        ("RPT", "D", 8),
        ("M", "M", 10),
    )
    raw = dbf_file(
        fields,
        [
            [NATIONAL_ID.encode(), b"GLU", b"    5.40", b"20260814", b""],
            [NATIONAL_ID.encode(), b"CHO", b"********", b"20260814", b""],
        ],
    )
    columns = 'national_id = "ID"\nitem_code = "CODE"\nvalue = "RESULT"\nreported_at = "RPT"\n'
    parsed = read_dbf(raw, profile(f"[columns]\n{columns}"))
    assert [line[5] for line in said(parsed)] == ["5.40"]
    assert [(finding.code, finding.place) for finding in parsed.findings] == [
        ("table-cell-error", "row 3")
    ]
    assert parsed.reports[0].reported_at is not None
    assert parsed.reports[0].reported_at.day == date(2026, 8, 14)


def test_a_range_that_cuts_a_chinese_character_drops_that_line_alone() -> None:
    rows = [ROWS[0], (*ROWS[1][:4], "總膽固醇檢驗長名稱", *ROWS[1][5:])]
    raw = fixed_file([rows[0]], WIDTHS) + fixed_file([rows[1]], WIDTHS).replace(b"CHO ", b"CHO")
    parsed = read_fixed(raw, profile(FIXED))
    assert [line[5] for line in said(parsed)] == ["92"]
    assert [finding.code for finding in parsed.findings] == ["table-cut-character"]


def test_a_file_of_fixed_width_without_a_profile_is_said_to_need_one() -> None:
    with pytest.raises(TableUnreadable, match="profile"):
        read_fixed(fixed_file(ROWS, WIDTHS), PLAIN)


def test_an_encrypted_workbook_is_said_to_be_encrypted() -> None:
    raw = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    assert identify(raw, "x.xlsx") is Media.XLS
    with pytest.raises(TableUnreadable, match="encrypted"):
        read_xls(raw, PLAIN)


def test_an_empty_table_holds_nothing() -> None:
    assert read_dbf(dbf_file(FIELDS, []), profile(DBF)).content is Content.NOTHING
