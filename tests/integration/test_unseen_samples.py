"""A laboratory's sample of each kind, laid out as no other test has it, becomes a package by the
steps of docs/how-to/connect-a-lab-by-files.md: suggest, try, settings, convert. No code."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest

from adapters.folder.formats.ic_card_writer import write_ic_card
from broker.cli.main import main
from broker.demo.people import CLINIC, national_id, visits
from mapping.moment import TAIPEI
from mapping.package_file import read_package
from mapping.visit import Order
from tests.folder.tables import csv_file, dbf_file, fixed_file

ONE, TWO = national_id("D", 12345678), national_id("E", 22233344)
GLUCOSE, CREATININE = (ONE, "09005C", "92"), (ONE, "09015C", "0.90")
CHOLESTEROL, HEPATITIS = (TWO, "09001C", "231"), (TWO, "14032C", "Non-reactive (0.35)")
NHI = "https://twcore.mohw.gov.tw/ig/twcore/CodeSystem"
SETTINGS = f"""
[[source]]
id = "jen-ai"
lab_code = "9499999901"
clinic_code = "{CLINIC}"
default_method = "Analyzer"
charset = "big5"
PROFILE
[source.codes]
B0101 = "09005C"
B0102 = "09015C"
B0103 = "09001C"
C0201 = "14032C"
[source.clinics]
C77 = "{CLINIC}"
[[agreement]]
lab_code = "9499999901"
clinic_code = "{CLINIC}"
route = "clinic"
"""


def workbook() -> bytes:
    """Titles above the header, ROC dates, date and time apart, names in two languages."""
    book = openpyxl.Workbook()
    sheet = book.active
    titles = (
        "序號,檢驗單號,病歷號碼,姓名,身份證號,性別,生日,送檢日期,送檢時間,檢驗代號,檢驗名稱,檢驗結果,"
        "H/L,單位,參考區間,檢體類別,發報告日"
    )
    one = f"R001|00123|測試甲|{ONE}|男|64/07/01|115/08/14|09:10"
    two = f"R002|00456|測試乙|{TWO}|女|80/12/31|115/08/14|09:25"
    end = "Serum|115/08/14 15:30"
    rows = [
        ["仁愛醫事檢驗所 檢驗結果明細表"],
        ["列印日期：115/08/15"],
        [],
        titles.split(","),
        f"1|{one}|B0101|飯前血糖(Glucose AC)|92||mg/dL|70-99|{end}".split("|"),
        f"2|{one}|B0102|肌酸酐(Creatinine)|0.90||mg/dL|0.70-1.30|{end}".split("|"),
        f"3|{two}|B0103|總膽固醇(T-CHO)|231|H|mg/dL|<200|{end}".split("|"),
        f"4|{two}|C0201|HBsAg|Non-reactive (0.35)||S/CO|Non-reactive (<1.0)|{end}".split("|"),
    ]
    for row in rows:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def table() -> bytes:
    """Big5, every cell in quotes, own words for every header."""
    titles = (
        "醫事機構,病人ID,病人姓名,出生年月日,採檢日,採檢時,細項代號,細項名稱,報告值,報告單位,參考下限,"
        "參考上限,報告日,報告時"
    )
    rows = (
        f"{CLINIC},{ONE},測試功,0640701,1150814,0910,B0101,血糖(飯前),92,mg/dL,70,99,1150814,1530",
        f"{CLINIC},{ONE},測試功,0640701,1150814,0910,B0102,肌酸酐,0.90,mg/dL,0.7,1.3,1150814,1530",
        f"{CLINIC},{TWO},測試育,0801231,1150814,0925,B0103,總膽固醇,231,mg/dL,,200,1150814,1530",
    )
    return csv_file([[f'"{cell}"' for cell in row.split(",")] for row in (titles, *rows)], "cp950")


def dbase() -> bytes:
    fields = "PATID10 BIRTHDAY7 SEX1 HOSPID10 TESTNO8 TESTNAME20 RESULT12 UNIT10 NORMAL16 "
    fields += "GETDATE7 GETTIME4 REPDATE7 REPTIME4"
    named = [(each.rstrip("0123456789"), each) for each in fields.split()]
    rows = (
        f"{ONE}|0640701|M|{CLINIC}|B0101|飯前血糖|92|mg/dL|70-99|1150814|0910|1150814|1530",
        f"{TWO}|0801231|F|{CLINIC}|B0103|總膽固醇|231|mg/dL|<200|1150814|0925|1150814|1530",
    )
    return dbf_file(
        [(name, "C", int(each.removeprefix(name))) for name, each in named],
        [[cell.encode("cp950") for cell in row.split("|")] for row in rows],
    )


def fixed() -> bytes:
    """No blank between id, birth date and clinic, nor between the two times."""
    rows = (
        f"{ONE}|0640701|{CLINIC}|B0101|飯前血糖|92|mg/dL|70-99|11508140910|11508141530",
        f"{TWO}|0801231|{CLINIC}|B0103|總膽固醇|231|mg/dL|<200|11508140925|11508141530",
    )
    return fixed_file([row.split("|") for row in rows], (10, 7, 10, 8, 20, 8, 8, 12, 11, 11))


def messages() -> bytes:
    """MSH-2 of five characters, line feeds, Big5 undeclared, the id in PID-2, units in component
    two, numbers as texts."""

    def message(number: int, person: str, born: str, *lines: str) -> str:
        segments = [
            f"MSH|^~\\&#|JENLIS|JEN-AI|HIS|C77|20260814153000||ORU^R01|{number}|P|2.3",
            f"PID|1|{person}|00{number}||測試功||{born}|",
            f"OBR|1|P{number}|F{number}|BIO^生化|||20260814091000|||||||20260814100000|Serum"
            "||||||||20260814153000|||F",
        ]
        for index, line in enumerate(lines, start=1):
            code, name, value, unit, reference = line.split("|")
            segments.append(f"OBX|{index}|ST|{code}^{name}||{value}|^{unit}|{reference}|||||F")
        return "\n".join(segments) + "\n"

    one = message(
        1, ONE, "19750701", "B0101|飯前血糖|92|mg/dL|70-99", "B0102|肌酸酐|0.90|mg/dL|0.70-1.30"
    )
    return (one + message(2, TWO, "19911231", "B0103|總膽固醇|231|mg/dL|<200")).encode("cp950")


def resources() -> bytes:
    subject = {"reference": "Patient/p1"}
    lines = (
        {
            "resourceType": "Patient",
            "id": "p1",
            "identifier": [{"system": "http://www.moi.gov.tw", "value": ONE}],
            "birthDate": "1975-07-01",
        },
        {
            "resourceType": "Observation",
            "id": "o1",
            "status": "final",
            "code": {"coding": [{"system": "http://jen-ai.example/tests", "code": "B0101"}]},
            "subject": subject,
            "effectiveDateTime": "2026-08-14T09:10:00+08:00",
            "issued": "2026-08-14T15:30:00+08:00",
            "valueQuantity": {"value": 92, "unit": "mg/dL"},
            "referenceRange": [{"low": {"value": 70}, "high": {"value": 99}}],
        },
    )
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


SAMPLES: dict[str, tuple[Callable[[], bytes], bool, set[tuple[str, str, str]]]] = {
    "day.xlsx": (workbook, True, {GLUCOSE, CREATININE, CHOLESTEROL, HEPATITIS}),
    "day.csv": (table, True, {GLUCOSE, CREATININE, CHOLESTEROL}),
    "day.dbf": (dbase, True, {GLUCOSE, CHOLESTEROL}),
    "day.txt": (fixed, True, {GLUCOSE, CHOLESTEROL}),
    "day.hl7": (messages, False, {GLUCOSE, CREATININE, CHOLESTEROL}),
    "day.ndjson": (resources, False, {GLUCOSE}),
}
"""File, what it holds, whether it needs a profile, and what must reach the package."""


def card_data() -> bytes:
    base = visits(datetime(2026, 8, 15, 4, tzinfo=TAIPEI))[0]
    events = (
        (ONE, date(1975, 7, 1), "0031", ("09005C", "09015C")),
        (TWO, date(1991, 12, 31), "0032", ("09001C", "14032C")),
    )
    return write_ic_card(
        tuple(
            replace(
                base,
                national_id=person,
                birth_on=born,
                visit_serial=serial,
                orders=tuple(Order(code, card_mark="04") for code in codes),
                card_at=datetime(2026, 8, 14, 8, int(serial), tzinfo=TAIPEI),
            )
            for person, born, serial, codes in events
        )
    )


@pytest.mark.parametrize("name", list(SAMPLES))
def test_a_sample_of_each_kind_becomes_a_package_without_code(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, needs_profile, expected = SAMPLES[name]
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(make())
    Path("visits.xml").write_bytes(card_data())
    profile = ""
    if needs_profile:
        assert main(["profile", "suggest", name, "--out", "lab.toml"]) == 1, "a person should look"
        assert main(["profile", "try", "lab.toml", name]) == 0
        profile = 'file_profile = "lab.toml"'
    Path("labbroker.toml").write_text(SETTINGS.replace("PROFILE", profile), encoding="utf-8")
    settings = ["--config", "labbroker.toml", "--source", "jen-ai"]
    assert main(["check", name, *settings]) in (0, 1)
    assert main(["convert", name, "--visits", "visits.xml", *settings, "--out", "out"]) == 0
    (package,) = Path("out").glob("*.zip")
    with package.open("rb") as file:
        _, records = read_package(file)
        found = {
            (record.value("h9"), record.value("h15"), row["r4"].value)
            for record in records
            for row in record.rows
        }
    assert found == expected
