"""IC-card upload files of formats 1.0 and 2.0."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from adapters.folder.formats.ic_card import read_ic_card
from adapters.folder.formats.ic_card_writer import write_ic_card
from mapping.errors import UnreadablePayload
from mapping.finding import Severity
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile
from mapping.visit import Order
from tests.folder.card_visits import CARD_AT, visit

CLINIC = SourceProfile("clinic")
MB1 = (
    "<A12>A123456789</A12><A13>0650401</A13><A14>3501234567</A14><A15>B223456786</A15>"
    "<A17>1150814090509</A17><A18>0001</A18><A19>1</A19><A23>01</A23><A25>E119</A25>"
)
MB2 = "<MB2><A72>3</A72><A73>09005C</A73><A77>00001.0</A77><A78>04</A78></MB2>"
MSH = "<MSH><A00>1</A00><A01>1</A01><A02>1.0</A02></MSH>"


def record(body: str = MB1, orders: str = MB2, header: str = MSH) -> str:
    return f"<REC>{header}<MB><MB1>{body}</MB1>{orders}</MB></REC>\r\n"


def read(*records: str) -> ParsedPayload:
    text = '<?xml version="1.0" encoding="Big5"?>\r\n<RECS>' + "".join(records) + "</RECS>"
    return read_ic_card(text.encode("cp950"), CLINIC)


def codes(parsed: ParsedPayload) -> list[tuple[str, str]]:
    return [(finding.code, finding.place) for finding in parsed.findings]


def test_a_record_of_format_1_0_is_a_visit_with_its_orders() -> None:
    parsed = read(record())
    assert (parsed.content, parsed.kind, parsed.findings) == (Content.VISITS, "ic-card 1.0", ())
    (found,) = parsed.visits
    assert found == visit(orders=(Order("09005C", Decimal("1.0"), card_mark="04"),))
    assert found.orders[0].dispensing_code == ""


def test_a_record_of_format_2_0_tells_the_dispensing_mode_and_the_identifiers() -> None:
    parsed = read(
        record(
            "<M03>A123456789</M03><M04>0650401</M04><M05>3501234567</M05><M06>B223456786</M06>"
            "<M07>AG</M07><M08>1150701</M08><M09>1</M09><M11>1150814090509</M11><M12>2</M12>"
            "<M15>AB12345678901234567X</M15><M16>MISS0000000000000000</M16>"
            "<M49>1150813100000</M49><M56>12</M56>",
            "<MB2><D01>1150814090509</D01><D02>2</D02><D03>1</D03><D05>4</D05>"
            "<D06>08011c</D06><D10>2</D10><D12>JY00000001</D12></MB2>"
            "<MB2><D02>1</D02><D06>AC12345100</D06></MB2>",
            "<MSH><H00>1</H00><H01>A</H01></MSH>",
        )
    )
    assert (parsed.kind, parsed.findings) == ("ic-card 2.0", ())
    assert parsed.visits == (
        visit(
            visit_type="AG",
            visit_serial="",
            visit_on=date(2026, 8, 13),
            makeup_code="2",
            institution_kind="12",
            newborn_birth_on=date(2026, 7, 1),
            newborn_mark="1",
            visit_identifier="AB12345678901234567X",
            original_visit_identifier="MISS0000000000000000",
            orders=(Order("08011C", Decimal(2), "4", "", CARD_AT),),
        ),
    )


@pytest.mark.parametrize("mark", ["03", "04", ""])
def test_the_mark_of_who_carries_out_is_kept_as_it_is(mark: str) -> None:
    orders = MB2.replace("<A78>04</A78>", f"<A78>{mark}</A78>" if mark else "")
    assert read(record(orders=orders)).visits[0].orders[0].card_mark == mark


def test_drugs_and_materials_are_no_orders_of_examinations() -> None:
    lines = "".join(MB2.replace("<A72>3", f"<A72>{kind}") for kind in "124GH")
    assert read(record(orders=lines)).visits[0].orders == ()


BACK = MB2.replace("<A72>3", "<A72>C")


def order_codes(parsed: ParsedPayload) -> list[tuple[str, bool]]:
    return [(order.order_code, order.cancelled) for order in parsed.visits[0].orders]


def test_an_order_taken_back_in_the_same_record_is_cancelled() -> None:
    parsed = read(record(orders=MB2 + MB2.replace("09005C", "08011C") + BACK))
    assert order_codes(parsed) == [("08011C", False), ("09005C", True)]
    assert parsed.findings == ()


def test_an_order_of_an_earlier_file_taken_back_is_cancelled_and_told() -> None:
    parsed = read(record(orders=BACK.replace("09005C", "09005c")))
    assert order_codes(parsed) == [("09005C", True)]
    assert codes(parsed) == [("ic-card-order-deleted", "REC[1]/MB2[1]/A73")]
    assert parsed.findings[0].severity is Severity.INFORMATION
    assert "09005C" in parsed.findings[0].message("zh")


@pytest.mark.parametrize(
    ("orders", "left"),
    [
        (MB2 + MB2 + BACK, [("09005C", False)]),
        (MB2 + MB2 + BACK + BACK, [("09005C", True)]),
        (BACK + MB2, [("09005C", False)]),
        (MB2 + BACK + MB2, [("09005C", False)]),
        (BACK + BACK, [("09005C", True)]),
    ],
)
def test_only_what_is_left_of_an_order_counts(orders: str, left: list[tuple[str, bool]]) -> None:
    assert order_codes(read(record(orders=orders))) == left


def test_a_deletion_without_a_code_is_a_finding() -> None:
    parsed = read(record(orders=BACK.replace("<A73>09005C</A73>", "")))
    assert (order_codes(parsed), codes(parsed)) == ([], [("ic-card-missing", "REC[1]/MB2[1]/A73")])


@pytest.mark.parametrize("kind", ["ZA", "ZB"])
def test_an_event_that_takes_back_visits_is_a_cancelled_visit_without_orders(kind: str) -> None:
    body = MB1.replace("<A23>01", f"<A23>{kind}").replace("090509", "100509")
    parsed = read(record(), record(body))
    visited, event = parsed.visits
    assert not visited.cancelled
    assert event == replace(
        visited,
        visit_type=kind,
        card_at=CARD_AT + timedelta(hours=1),
        cancelled=True,
        orders=(),
        place="REC[2]",
    )
    (finding,) = parsed.findings
    assert (finding.code, finding.place) == ("ic-card-cancellation", "REC[2]/A23")
    assert finding.severity is Severity.INFORMATION


def test_the_actual_day_of_a_visit_made_up_for_later_is_the_day_of_the_visit() -> None:
    body = MB1.replace("<A19>1</A19>", "<A19>2</A19>") + "<A54>1150810</A54>"
    (found,) = read(record(body)).visits
    assert (found.makeup_code, found.visit_on) == ("2", date(2026, 8, 10))
    assert found.card_at == CARD_AT


def test_the_time_of_an_order_is_read() -> None:
    orders = MB2.replace("<A72>", "<A71>1150814091000</A71><A72>")
    (order,) = read(record(orders=orders)).visits[0].orders
    assert order.ordered_at == datetime(2026, 8, 14, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        (MB1.replace("<A12>A123456789</A12>", ""), "ic-card-missing", "REC[2]/A12"),
        (MB1.replace("A123456789", "A12345678"), "ic-card-bad-code", "REC[2]/A12"),
        (MB1.replace("3501234567", "35-1234567"), "ic-card-bad-code", "REC[2]/A14"),
        (MB1.replace("0650401", "0650431"), "ic-card-bad-date", "REC[2]/A13"),
        (MB1.replace("<A13>0650401</A13>", "<A13/>"), "ic-card-missing", "REC[2]/A13"),
        (MB1.replace("1150814090509", "11508140905"), "ic-card-bad-date", "REC[2]/A17"),
        (MB1.replace("<A17>1150814090509</A17>", ""), "ic-card-missing", "REC[2]/A17"),
        (MB1.replace("<A23>01</A23>", ""), "ic-card-missing", "REC[2]/A23"),
        (MB1 + "<A12>B223456786</A12>", "ic-card-repeated", "REC[2]/A12"),
        (
            MB1.replace("<A23>01", "<A23>ZA").replace("A123456789", ""),
            "ic-card-missing",
            "REC[2]/A12",
        ),
        (MB1 + "<A54>x</A54>", "ic-card-bad-date", "REC[2]/A54"),
    ],
)
def test_a_bad_record_is_a_finding_and_the_others_go_on(body: str, code: str, place: str) -> None:
    parsed = read(record(), record(body), record())
    assert [found.place for found in parsed.visits] == ["REC[1]", "REC[3]"]
    assert codes(parsed) == [(code, place)]
    for language in ("en", "zh"):
        assert parsed.findings[0].message(language)


@pytest.mark.parametrize(
    ("orders", "code"),
    [
        (MB2.replace("00001.0", "1,0"), "ic-card-bad-number"),
        (MB2.replace("00001.0", "-1"), "ic-card-bad-number"),
        (MB2.replace("<A73>09005C</A73>", ""), "ic-card-missing"),
        (MB2.replace("<A72>3", "<A71>x</A71><A72>3"), "ic-card-bad-date"),
    ],
)
def test_a_bad_order_leaves_the_visit_and_its_other_orders(orders: str, code: str) -> None:
    parsed = read(record(orders=orders + MB2.replace("09005C", "08011C")))
    assert [order.order_code for order in parsed.visits[0].orders] == ["08011C"]
    assert [finding.code for finding in parsed.findings] == [code]
    assert parsed.findings[0].place.startswith("REC[1]/MB2[1]/")


def test_a_record_without_header_or_body_is_a_finding() -> None:
    parsed = read(record(header=""), "<REC>" + MSH + "<MB>" + MB2 + "</MB></REC>", record())
    assert codes(parsed) == [("ic-card-missing", "REC[1]/MSH"), ("ic-card-missing", "REC[2]/MB1")]
    assert len(parsed.visits) == 1


def test_vaccinations_are_passed_over() -> None:
    parsed = read(record(header=MSH.replace("<A00>1", "<A00>2")))
    assert (parsed.content, parsed.visits, parsed.findings) == (Content.NOTHING, (), ())


def test_a_character_of_ones_own_making_loses_its_record_alone() -> None:
    parsed_text = record(MB1 + "<A81>X</A81>").encode("cp950")
    broken = parsed_text.replace(b"<A81>X", b"<A81>\xfa\x40")
    raw = (
        b'<?xml version="1.0" encoding="Big5"?><RECS>'
        + parsed_text
        + broken
        + parsed_text
        + b"</RECS>"
    )
    parsed = read_ic_card(raw, CLINIC)
    assert [found.place for found in parsed.visits] == ["REC[1]", "REC[3]"]
    assert codes(parsed) == [("ic-card-undecodable", "REC[2]")]


def test_every_character_of_the_code_page_is_read_as_python_reads_it() -> None:
    body = MB1 + "<A81>碁銹裏墻恒粧嫺ˍ功育回才</A81>"
    assert len(read(record(body)).visits) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<patient/>",
        b"<RECS><REC>",
        b"<RECS></RECS",
        b'<?xml version="1.0" encoding="Big5"?><RECS>\xff</RECS>',
        b'<?xml version="1.0" encoding="KOI8-R"?><RECS/>',
        b'<!DOCTYPE RECS [<!ENTITY a "b">]><RECS>&a;</RECS>',
        b"<RECS>&undefined;</RECS>",
        b"<RECS>" + b"<a>" * 300 + b"</a>" * 300 + b"</RECS>",
        b"<RECS>" + b"<a/>" * 2_100_000 + b"</RECS>",
        b"<RECS/><RECS/>",
    ],
)
def test_what_is_no_such_file_is_refused_with_a_sentence(raw: bytes) -> None:
    with pytest.raises(UnreadablePayload) as caught:
        read_ic_card(raw, CLINIC)
    assert "{" not in caught.value.sentence("zh") + caught.value.remedy("en")


def test_a_file_without_declaration_is_read_by_the_profiles_charset() -> None:
    raw = f"<RECS>{record(MB1 + '<A81>藥</A81>')}</RECS>".encode("cp950")
    assert len(read_ic_card(raw, replace(CLINIC, charset="big5")).visits) == 1
    with pytest.raises(UnreadablePayload):
        read_ic_card(raw, CLINIC)


def test_what_the_writer_writes_is_read_back() -> None:
    visits = (
        visit(),
        visit(
            place="REC[2]",
            visit_type="AG",
            visit_serial="",
            visit_on=date(2026, 8, 13),
            newborn_birth_on=date(2026, 8, 1),
            newborn_mark="1",
            orders=(Order("08011C", Decimal("2.5"), card_mark="03", ordered_at=CARD_AT),) * 2,
        ),
        visit(place="REC[3]", visit_serial="Z000", birth_on=date(1907, 1, 1), orders=()),
    )
    raw = write_ic_card(visits)
    assert raw.startswith(b'<?xml version="1.0" encoding="Big5"?>\r\n<RECS>\r\n<REC>\r\n<MSH>')
    parsed = read_ic_card(raw, CLINIC)
    assert (parsed.visits, parsed.findings) == (visits, ())
    assert b"<A01>2</A01>" in raw


def test_what_was_taken_back_is_written_as_such() -> None:
    visits = (
        visit(orders=(Order("08011C", cancelled=True),)),
        visit(place="REC[2]", visit_type="ZA", orders=(), cancelled=True),
    )
    assert read_ic_card(write_ic_card(visits), CLINIC).visits == visits


@pytest.mark.parametrize(
    ("orders", "header", "body"),
    [
        ("<MB2><A72>3</A72><A73>33070B</A73><A74>NJ</A74></MB2>", MSH, MB1),
        (
            "<MB2><D02>2</D02><D06>33070B</D06><D07>NJ</D07></MB2>",
            "<MSH><H00>1</H00></MSH>",
            "<M03>A123456789</M03><M04>0650401</M04><M05>3501234567</M05>"
            "<M07>01</M07><M11>1150814090509</M11><M13>0001</M13>",
        ),
    ],
)
def test_the_body_part_of_an_order_is_read_as_it_stands(
    orders: str, header: str, body: str
) -> None:
    (found,) = read(record(body, orders, header)).visits
    assert [order.body_parts for order in found.orders] == ["NJ"]


def test_the_body_part_of_an_order_is_written() -> None:
    visits = (visit(orders=(Order("33070B", card_mark="03", body_parts="NJ"),)),)
    assert read_ic_card(write_ic_card(visits), CLINIC).visits == visits
