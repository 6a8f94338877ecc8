"""A clinic's visits as a plain table."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from adapters.folder.formats.errors import CsvUnreadable
from adapters.folder.formats.identify import identify
from adapters.folder.formats.visits_csv import read_visits_csv
from adapters.ports.intake import Media
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile

HEADER = "醫事機構代碼,身分證號,出生日期,健保卡過卡日期時間,就醫類別,就醫序號,醫令代碼"
ROW = "3501234567,A123456789,0650401,1150814090509,01,0001,09005C"


def read(*rows: str, header: str = HEADER, codec: str = "cp950") -> ParsedPayload:
    raw = "".join(f"{row}\r\n" for row in (header, *rows)).encode(codec)
    assert identify(raw, "x") is Media.VISITS_CSV
    return read_visits_csv(raw, SourceProfile("clinic"))


@pytest.mark.parametrize("codec", ["cp950", "utf-8", "utf-8-sig", "utf-16"])
def test_rows_of_one_card_event_are_one_visit_with_its_orders(codec: str) -> None:
    parsed = read(ROW, ROW.replace("09005C", "09015c"), ROW.replace("0001", "0002"), codec=codec)
    assert (parsed.content, parsed.findings) == (Content.VISITS, ())
    first, second = parsed.visits
    assert [order.order_code for order in first.orders] == ["09005C", "09015C"]
    assert first.card_at == datetime(2026, 8, 14, 1, 5, 9, tzinfo=UTC)
    assert (first.visit_on, first.birth_on) == (date(2026, 8, 14), date(1976, 4, 1))
    assert (second.visit_serial, second.place) == ("0002", "row 4")


def test_every_column_reaches_its_field() -> None:
    header = (
        f"{HEADER},醫事類別,就醫日期,補卡註記,醫師身分證號,就醫識別碼,原就醫識別碼,總量,"
        "醫令調劑方式,開立日期時間,申請單號,不上傳註記,診療部位"
    )
    row = f"{ROW},12,1150813,2,b223456786,ID1,ID0,2.5,4,115/08/14 09:01,N1,Y,ab"
    (visit,) = read(row, header=header).visits
    (order,) = visit.orders
    assert (visit.institution_kind, visit.visit_on, visit.makeup_code) == (
        "12",
        date(2026, 8, 13),
        "2",
    )
    assert (visit.provider_id, visit.visit_identifier) == ("B223456786", "ID1")
    assert visit.original_visit_identifier == "ID0"
    assert (order.quantity, order.dispensing_code) == (Decimal("2.5"), "4")
    assert order.ordered_at == datetime(2026, 8, 14, 1, 1, tzinfo=UTC)
    assert (order.placer_order_number, order.upload_opted_out) == ("N1", True)
    assert order.body_parts == "AB"


def test_deletions_take_back_an_order_or_the_whole_visit() -> None:
    header = f"{HEADER},刪除註記"
    parsed = read(
        f"{ROW},Y", f"{ROW.replace('0001', '0002').replace('09005C', '')},1", header=header
    )
    first, second = parsed.visits
    assert ([order.cancelled for order in first.orders], first.cancelled) == ([True], False)
    assert (second.orders, second.cancelled) == ((), True)


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("1150814090509", "115/08/14 09:05", "card_at"),
        ("1150814090509", "", "card_at"),
        ("0650401", "65/4/1", "birth_on"),
        ("A123456789", "A12345678", "national_id"),
        ("3501234567", "35012345", "institution_code"),
        (",01,", ",1,", "visit_type"),
    ],
)
def test_a_row_that_cannot_be_used_is_told_and_the_others_stay(
    old: str, new: str, column: str
) -> None:
    parsed = read(ROW.replace(old, new), ROW.replace("0001", "0002"))
    assert [dict(finding.parameters) for finding in parsed.findings] == [{"column": column}]
    assert parsed.findings[0].message("zh")
    assert [visit.visit_serial for visit in parsed.visits] == ["0002"]


def test_a_mark_that_is_neither_yes_nor_no_is_not_taken_for_no() -> None:
    parsed = read(f"{ROW},maybe", header=f"{HEADER},不上傳註記")
    assert (parsed.content, parsed.findings[0].code) == (Content.NOTHING, "visits-bad-cell")


def test_a_missing_column_is_named() -> None:
    raw = "就醫類別,就醫序號,健保卡過卡日期時間\r\n".encode()
    with pytest.raises(CsvUnreadable, match="national_id"):
        read_visits_csv(raw, SourceProfile("clinic"))
