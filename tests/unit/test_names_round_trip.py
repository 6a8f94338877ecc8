"""Official names and rare characters of Taiwanese names come back from the upload file as they
went in, or are refused with the character's own name; nothing is ever replaced in silence."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path

import pytest

from mapping.big5 import fit_text
from mapping.catalogue.programmes import programme_items
from mapping.catalogue.tables import code_table, order_codes, read_table, report_items
from mapping.editions.edition import edition_on
from mapping.finding import Severity
from mapping.record import UploadRecord
from mapping.rules import check_record
from mapping.upload_errors import UnwritableRecord
from mapping.upload_xml import read_upload, write_upload
from tests.unit.upload_samples import CONTEXT, UPLOAD_DAY, valid_record

# Characters of personal and place names that household registers hold and keyboards often lack.
RARE = (
    "堃喆煊犇峯瑨珮玹璿嫺竫翀弘昇燊燚彣珒玥玟珺琁瑄甯寗羣堉垚淼焱鑫淯渼湋溎瀞灝炘炤烱煥"
    "熀犀玗玠玧珅珖珣琍琤琡瑈瑋瑎瑒璟璘璞璦璨瓈畇畯皓皞睿瞾砡碁祐祺禎禕秝穎竑竣筠粦綉綵"
    "緁縈翃翊聿芃芝苡茀菀萓葳蒓蓁蕎薰藍蘊蘐衍裬誌譓豊賾軒軾辰邠郁酈釗釩鈊鈞鈺鉉鉦銓鋐鋕錡"
    "錤鍹鎧鏘鐿鑨閎雋霈霏霖靉韡頡頤顥颺飖駿騏驊鬯魁鵬麒麟黌龢龑䂀㛄㚬𡍼𤧥𦭹𩄍𪚥彥冼曺栢"
    "恒厛糓裡裏著着峰峯線綫污汚荳蘭嘅啫氹仝卍炑泩洺浤浵湘滎漥潓澐澔濂瀠"
)
PRIVATE = "\ue000\ue5e5\uf8f8"


def through_the_file(text: str, tag: str) -> str:
    record = valid_record({"h22": text}) if tag == "h22" else valid_record({}, {tag: text})
    out = io.BytesIO()
    write_upload((record,), out, edition_on(UPLOAD_DAY))
    out.seek(0)
    (read,) = read_upload(out)
    fields = read.header if tag == "h22" else read.rows[0]
    return fields[tag].value


def spellings() -> dict[str, str]:
    """Output by character of the substitution table."""
    return {row["written"]: row["output"] for row in read_table("substitutions")}


def test_every_official_order_name_comes_back_with_no_other_change_than_the_tables() -> None:
    names = {order.name_zh for order in order_codes().values()}
    assert len(names) > 690
    check_names(names, "r2")


def test_every_official_item_name_comes_back_with_no_other_change_than_the_tables() -> None:
    names = {item.name for code in order_codes() for item in report_items(code)}
    assert len(names) > 100
    check_names(names, "r2")


def test_every_name_of_a_programme_comes_back() -> None:
    codes = {row["order_code"] for row in read_table("programme-items")}
    check_names({item.name for code in codes for item in programme_items(code)} - {""}, "r2")


def test_every_official_unit_and_word_comes_back() -> None:
    items = [item for code in order_codes() for item in report_items(code)]
    check_names({unit for item in items for unit in item.units}, "r5")
    check_names({word for item in items for word in item.words}, "r4")


@pytest.mark.parametrize("table", ["visit-types", "body-parts", "institution-kinds", "nhi-codes"])
def test_every_name_of_a_code_table_comes_back(table: str) -> None:
    check_names({code.name_zh for code in code_table(table).values()}, "r11")


def check_names(names: set[str], tag: str) -> None:
    outputs = spellings()
    full_width = {"<": "＜", ">": "＞", "&": "＆", '"': "”", "'": "’"}
    for name in names:
        fitted, findings = fit_text(name, tag)
        assert findings == (), name
        expected = "".join(full_width.get(char) or outputs.get(char) or char for char in name)
        assert fitted == expected, name
        assert through_the_file(fitted, tag) == fitted


@pytest.mark.parametrize("character", sorted({*RARE, *PRIVATE}))
def test_a_rare_character_comes_back_or_is_refused_by_its_name(character: str) -> None:
    text = f"王{character}"
    fitted, findings = fit_text(text, "r11")
    record = valid_record({}, {"r11": fitted})
    errors = [f for f in check_record(record, CONTEXT) if f.severity is Severity.ERROR]
    if not findings:
        assert fitted == text, "a name is not respelled"
        assert errors == []
        assert through_the_file(fitted, "r11") == text
        return
    assert fitted == text
    (finding,) = findings
    (error,) = errors
    code_point = f"U+{ord(character):04X}"
    for each in (finding, error):
        assert each.code == "unencodable-character"
        assert each.field == "r11"
        assert dict(each.parameters) == {
            "character": code_point,
            "name": unicodedata.name(character, "unnamed"),
        }
        assert code_point in each.message("zh")
    with pytest.raises(UnwritableRecord, match=r"U\+"):
        write(record)


def write(record: UploadRecord) -> None:
    write_upload((record,), io.BytesIO(), edition_on(UPLOAD_DAY))


def test_the_list_holds_both_kinds() -> None:
    refused = {character for character in RARE if fit_text(character, "r11")[1]}
    assert {"堃", "喆", "煊", "犇", "峯"} <= refused
    assert len(set(RARE) - refused) > 100


def test_the_page_says_what_happens_with_each_rare_character() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "rare-characters.md"
    text = page.read_text("utf-8")
    held, carried = text.partition("## Held")[2].split("## Carried as they are")
    refused = {character for character in RARE if fit_text(character, "r11")[1]}
    for character in refused:
        assert f"| {character} | U+{ord(character):04X} |" in held
    assert set("".join(carried.split())) == set(RARE) - refused
