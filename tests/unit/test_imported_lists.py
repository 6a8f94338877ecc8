"""Lists that an operator imports: NHI's institutions and fee schedule, an institution's claim."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.folder.formats.claim_list import read_claim_list
from adapters.folder.formats.code_list import read_institution_list, read_order_code_list
from broker.bootstrap.lists import ListFileUnreadable, load_lists, required_lists
from broker.cli.outcome import Status
from broker.cli.setup_checks import check_lists
from broker.config.settings import ListSettings
from mapping.errors import UnreadablePayload
from mapping.monthly import ClaimKeys

OUTPATIENT = (
    '<?xml version="1.0" encoding="Big5"?>\r\n<outpatient><tdata><t1>10</t1><t2>3501234567</t2>'
    "<t3>11402</t3><t4>2</t4><t5>1</t5><t6>1140310</t6></tdata>"
    "<ddata><dhead><d1>08</d1><d2>12</d2></dhead><dbody><d3>a123456789</d3><d9>1140130</d9>"
    "<d10>1140203</d10><d11>0760502</d11><d29>IC02</d29><d49>王小明</d49>"
    "<pdata><p3>1</p3><p4>AC12345100</p4><p13>1</p13></pdata>"
    "<pdata><p3>2</p3><p4>08011C</p4><p13>2</p13><p14>11402031015</p14></pdata>"
    "<pdata><p3>0</p3><p13>3</p13></pdata></dbody></ddata></outpatient>"
)
INPATIENT = (
    "<inpatient><tdata><t2>1101234567</t2><t3>11402</t3><t5>2</t5><t6>1140310</t6></tdata>"
    "<ddata><dhead><d1>1</d1><d2>7</d2></dhead><dbody><d3>A123456789</d3><d6>0760502</d6>"
    "<d10>1140201</d10><d11>1140205</d11><d12>1140201</d12><d13>1140205</d13><d17>0009</d17>"
    "<pdata><p1>5</p1><p2>2</p2><p3>64162B</p3><p14>11402020800</p14></pdata>"
    "</dbody></ddata></inpatient>"
)
TABLE = (
    "醫事機構代碼,費用年月,申報類別,申報日期,案件分類,流水編號,身分證統一編號,出生年月日,就醫日期,"
    "治療結束日期,就醫序號,醫令序,醫令代碼,執行時間-起,醫令名稱\r\n"
    "3501234567,11402,1,1140310,08,12,A123456789,0760502,1140130,1140203,IC02,2,08011C,"
    '11402031015,"全套血液檢查, I"\r\n'
    ",,,,,,,,,,,,,,\r\n"
)


def test_a_claims_xml_gives_each_order_with_what_the_monthly_upload_repeats() -> None:
    lines = read_claim_list(OUTPATIENT.encode("cp950"))
    assert [line.order_code for line in lines] == ["AC12345100", "08011C"]
    line = lines[1]
    assert (line.institution_code, line.national_id) == ("3501234567", "A123456789")
    assert (line.birth_on, line.day, line.last_day) == (
        *(date(1987, 5, 2), date(2025, 1, 30), date(2025, 2, 3)),
    )
    assert line.started == "11402031015"
    assert line.keys == ClaimKeys(
        fee_month=date(2025, 2, 1),
        kind="1",
        claimed_on=date(2025, 3, 10),
        case_type="08",
        case_serial=12,
        order_serial=2,
        visit_serial="IC02",
        treated_until=date(2025, 2, 3),
    )


def test_a_table_says_the_same_as_the_claims_xml() -> None:
    expected = read_claim_list(OUTPATIENT.encode("cp950"))[1:]
    assert read_claim_list(TABLE.encode("cp950")) == expected
    assert read_claim_list(TABLE.encode("utf-8-sig")) == expected


def test_an_inpatient_claim_has_tags_of_its_own_and_its_period() -> None:
    (line,) = read_claim_list(INPATIENT.encode())
    assert (line.order_code, line.day, line.kind) == ("64162B", date(2025, 2, 1), "2")
    assert line.keys is not None
    assert (line.keys.order_serial, line.keys.visit_serial) == (5, "0009")
    assert line.keys.period == (date(2025, 2, 1), date(2025, 2, 5))
    assert line.keys.treated_until is None


def test_a_list_without_claim_keys_is_enough_for_the_checks() -> None:
    text = "醫事機構代碼,費用年月,身分證統一編號,就醫日期,醫令代碼\r\n"
    text += "3501234567,11402,A123456789,1140203,08011C\r\n"
    (line,) = read_claim_list(text.encode("cp950"))
    assert (line.keys, line.kind) == (None, "1")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<outpatient>",
        b"<!DOCTYPE x><outpatient/>",
        b"<outpatient></outpatient>",
        "醫事機構代碼,費用年月\r\n1,2\r\n".encode("cp950"),
        TABLE.replace("1140130", "114013").encode("cp950"),
        TABLE.replace(",11402,1", ",,1").encode("cp950"),
        TABLE.replace(",08,12,", ",08,一二,").encode("cp950"),
        TABLE.replace(",IC02,2,", ",IC02,").encode("cp950"),
        OUTPATIENT.replace("<d9>1140130</d9>", "").encode("cp950"),
    ],
)
def test_a_claim_that_is_not_whole_is_refused_without_a_value(raw: bytes) -> None:
    with pytest.raises(UnreadablePayload) as caught:
        read_claim_list(raw)
    told = caught.value.sentence("en") + caught.value.sentence("zh") + caught.value.remedy("en")
    assert "{" not in told
    assert "A123456789" not in told


@given(st.binary(max_size=200), st.sampled_from([b"", TABLE.encode(), OUTPATIENT.encode()[:300]]))
def test_whatever_the_bytes_a_list_is_read_or_refused(raw: bytes, before: bytes) -> None:
    for read in (read_claim_list, read_institution_list, read_order_code_list):
        with suppress(UnreadablePayload):
            read(before + raw)


def test_institutions_are_their_codes_letters_and_lost_zeros_too() -> None:
    text = "分區業務組,醫事機構代碼,醫事機構名稱,終止合約或歇業日期\r\n1,0101090517,甲醫院,\r\n"
    text += "1,JY01010089,乙檢驗所,\r\n1,131020016,丙醫院,1120101\r\n"
    found = read_institution_list(text.encode("cp950"))
    assert found == {"0101090517", "JY01010089", "0131020016"}


def test_order_codes_are_in_force_from_their_first_row_to_their_last() -> None:
    text = (
        "診療項目代碼,健保支付點數,生效起日,生效迄日,英文項目名稱,中文項目名稱,備註\r\n"
        '08011C,150,1090101,1120131,CBC,"全套血液\r\n檢查",\r\n'
        "08011C,200,1120201,9991231,CBC,全套血液檢查,\r\n"
        "12111C,300,2020-01-01,2024-12-31,Microalbumin,微白蛋白,\r\n"
    )
    found = read_order_code_list(text.encode("utf-8-sig"))
    assert found == {
        "08011C": (date(2020, 1, 1), None),
        "12111C": (date(2020, 1, 1), date(2024, 12, 31)),
    }


@pytest.mark.parametrize(
    "raw", [b"", "代碼\r\n".encode("cp950"), "醫事機構代碼\r\n".encode("cp950")]
)
def test_a_list_without_codes_is_refused(raw: bytes) -> None:
    with pytest.raises(UnreadablePayload):
        read_institution_list(raw)
    with pytest.raises(UnreadablePayload):
        read_order_code_list(raw)


def test_a_folder_of_claims_is_one_list(tmp_path: Path) -> None:
    (tmp_path / "02.xml").write_bytes(OUTPATIENT.encode("cp950"))
    (tmp_path / "03.csv").write_bytes(TABLE.replace(",11402,1", ",11403,1").encode("cp950"))
    (tmp_path / "notes.md").write_text("not a claim")
    loaded = required_lists(ListSettings(claims=tmp_path))
    assert loaded.lists.claims is not None
    known = loaded.lists.claims.of("3501234567")
    assert known is not None
    assert known.months == {"11402", "11403"}


def test_a_claim_with_one_unreadable_part_is_no_claim(tmp_path: Path) -> None:
    (tmp_path / "02.xml").write_bytes(OUTPATIENT.encode("cp950"))
    (tmp_path / "03.xml").write_bytes(b"<outpatient>")
    loaded = load_lists(ListSettings(claims=tmp_path))
    assert loaded.lists.claims is None
    assert [problem.parameters["file"] for problem in loaded.problems] == [tmp_path / "03.xml"]


def test_a_list_that_is_not_there_is_told_with_the_next_step(tmp_path: Path) -> None:
    settings = ListSettings(institutions=tmp_path / "none.csv")
    with pytest.raises(ListFileUnreadable) as caught:
        required_lists(settings)
    assert "none.csv" in caught.value.sentence("zh")
    assert "[lists]" in caught.value.remedy("en")


def test_the_doctor_says_what_is_known_and_what_is_not_checked(tmp_path: Path) -> None:
    (tmp_path / "claim.xml").write_bytes(OUTPATIENT.encode("cp950"))
    settings = ListSettings(institutions=tmp_path / "none.csv", claims=tmp_path / "claim.xml")
    outcomes = list(check_lists(load_lists(settings), date(2025, 3, 1)))
    assert [(each.check, each.status) for each in outcomes] == [
        ("lists", Status.FAIL),
        ("lists", Status.WARN),
        ("claim 3501234567 11402", Status.OK),
    ]
    assert outcomes[1].message("en") == (
        "Not checked here: 28 (no institution list), 37 (no fee schedule). "
        "[lists] in the settings names such lists."
    )
    nothing = list(check_lists(load_lists(ListSettings()), date(2025, 3, 1)))
    assert [each.status for each in nothing] == [Status.WARN]
    assert "26、31（無申報清單）" in nothing[0].message("zh")
