"""A laboratory's workbook from the watched folder to a record that is ready, by its profile."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.folder.formats.table_files import read_csv, read_xls, read_xlsx
from adapters.ports.intake import Media
from broker.demo.people import PEOPLE, visits
from mapping.file_profile_toml import parse_file_profile
from mapping.moment import TAIPEI
from mapping.profile import SourceProfile
from tests.conftest import Require
from tests.folder.tables import HEADER, ROWS, csv_file, xlsx_file
from tests.integration.broker_stage import NOW, PROFILE, open_stage

LAYOUT = parse_file_profile(
    {
        "columns": {
            "national_id": "ID",
            "birth_on": "生日",
            "item_code": "代碼",
            "value": "值",
            "unit": "單位",
            "reference": "參考",
            "collected_at": ["日期", "時間"],
            "reported_at": "報告",
        },
        "constants": {"specimen": "Serum"},
    }
)
PERSON = PEOPLE[1]


def workbook(value: object, reported: str = "1151120 1030") -> bytes:
    taken = visits(NOW)[1].card_at.astimezone(TAIPEI)
    return xlsx_file(
        [
            ["ID", "生日", "代碼", "值", "單位", "參考", "日期", "時間", "報告"],
            [
                PERSON.national_id,
                PERSON.birth_on,
                "CREA",
                value,
                "mg/dL",
                "0.6-1.3",
                f"{taken:%Y/%m/%d}",
                f"{taken.hour:02d}:55",
                reported,
            ],
        ]
    )


async def test_a_result_of_a_workbook_becomes_a_record_and_its_correction_follows(
    tmp_path: Path,
) -> None:
    profile = replace(PROFILE, file=LAYOUT)
    async with open_stage(tmp_path, profile) as stage:
        await stage.load_visits()
        raw = workbook(0.9)
        await stage.receive(raw, Media.XLSX)
        (first,) = stage.records()
        assert (first.state, first.order_code) == ("ready", "09015C")
        assert '"0.9"' in first.body
        # The very same workbook once more changes nothing; another value is a new version.
        assert (await stage.receive(raw, Media.XLSX)).duplicate
        assert len(stage.records()) == 1


async def test_a_workbook_that_the_profile_does_not_fit_is_quarantined_with_the_reason(
    tmp_path: Path,
) -> None:
    profile = replace(PROFILE, file=LAYOUT)
    async with open_stage(tmp_path, profile) as stage:
        await stage.receive(xlsx_file([["ID", "值"], [PERSON.national_id, "0.9"]]), Media.XLSX)
        assert stage.records() == []
        with stage.reader.connect() as connection:
            (row,) = connection.exec_driver_sql("SELECT state, error_text FROM receipt").all()
        assert row[0] == "quarantined"
        assert PERSON.national_id not in row[1]


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "reader"), [("xlsx", read_xlsx), ("xls", read_xls)])
def test_what_libreoffice_writes_reads_like_the_table_it_was_given(
    ending: str, reader: object, tmp_path: Path, require: Require
) -> None:
    office = shutil.which("soffice") or shutil.which("libreoffice")
    require(office, "LibreOffice, which writes workbooks as laboratories do")
    raw = csv_file([HEADER, *ROWS], "utf-8")
    (tmp_path / "a.csv").write_bytes(raw)
    command = [str(office), "--headless", "--convert-to", ending, "--outdir", str(tmp_path)]
    # UTF-8, and every column as text.
    filters = "--infilter=CSV:44,34,76,1," + "/".join(f"{n}/2" for n in range(1, len(HEADER) + 1))
    subprocess.run([*command, filters, str(tmp_path / "a.csv")], check=True, timeout=120)
    written = (tmp_path / f"a.{ending}").read_bytes()
    read = read_xlsx if reader is read_xlsx else read_xls
    profile = SourceProfile("lab")
    expected, found = read_csv(raw, profile), read(written, profile)
    assert [report.observations for report in found.reports] == [
        report.observations for report in expected.reports
    ]
    assert [report.patient for report in found.reports] == [
        report.patient for report in expected.reports
    ]
