"""``labbroker codes``: what a person types, against a store and against a running service."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from broker.cli.main import main
from broker.demo.messages import Line
from broker.demo.people import CLINIC, LAB
from tests.integration.broker_stage import NOW, open_stage
from tests.integration.code_map_stage import CREATININE, SETTINGS, UNLINKED, mapped, result
from tests.integration.test_hand_work_cli import service


def labbroker(folder: Path, *arguments: str, language: str = "en") -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, {"LABBROKER_LANG": language}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        config = ("--config", str(folder / "labbroker.toml"))
        code = main([*arguments[:2], *config, *arguments[2:]])
    return code, out.getvalue(), err.getvalue()


def told(folder: Path, *arguments: str) -> Any:
    command, *rest = arguments
    code, out, err = labbroker(folder, "codes", command, "--json", *rest)
    assert err == "", (code, err)
    return json.loads(out)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with two results of one unknown code, and its settings."""
    (tmp_path / "labbroker.toml").write_text(SETTINGS, "utf-8")

    async def fill() -> None:
        async with open_stage(tmp_path / "store", UNLINKED) as stage:
            await stage.load_visits()
            for number in (1, 2):
                await stage.receive(result(str(number), CREATININE, person=number))

    asyncio.run(fill())
    return tmp_path


def test_a_person_finds_tries_decides_and_looks_back_at_a_code(folder: Path) -> None:
    code, out, _ = labbroker(folder, "codes", "unmapped")
    assert (code, out.count("K7")) == (1, 1)
    assert "2 results" in out
    (waiting,) = told(folder, "suggest", "K7")["codes"]
    best = waiting["suggestions"][0]
    assert (best["order_code"], best["item"]) == ("09015C", 1)
    shown = labbroker(folder, "codes", "suggest")[1]
    assert 'labbroker codes set lab "K7" 09015C --item 1 --by NAME' in shown
    wanted = ("set", "lab", "K7", "09015C", "--item", "1", "--by", "Wang", "--why", "manual p. 3")
    trial = told(folder, *wanted, "--dry-run")
    assert trial["have_left"] == 0
    assert told(folder, "list")["decisions"] == []
    assert told(folder, *wanted) == {"version": 1, "decisions": 1, "requeued": 2}
    (history,) = told(folder, "history", "lab", "K7")["decisions"]
    assert (history["by"], history["reason"], history["name"]) == (
        "Wang", "manual p. 3", "Creatinine",
    )  # fmt: skip
    assert told(folder, "unset", "lab", "K7", "--by", "Chen")["version"] == 2
    assert told(folder, "list")["decisions"] == []
    assert [each["withdrawn"] for each in told(folder, "history")["decisions"]] == [False, True]
    assert labbroker(folder, "codes", "unset", "lab", "K7")[0] == 2


def test_an_order_code_that_has_ended_comes_last_and_shows_its_dates(folder: Path) -> None:
    schedule = "診療項目代碼,生效起日,生效迄日\n09015C,0840301,1131231\n09016C,0840301,9991231\n"
    (folder / "schedule.csv").write_text(schedule, encoding="utf-8")
    settings = folder / "labbroker.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(f'{text}[lists]\norder_codes = "schedule.csv"\n', encoding="utf-8")
    (waiting,) = told(folder, "suggest", "K7")["codes"]
    suggested = {each["order_code"]: each for each in waiting["suggestions"]}
    assert suggested["09015C"]["valid_from"] == "1995-03-01"
    assert suggested["09015C"]["valid_until"] == "2024-12-31"
    assert waiting["suggestions"][-1]["order_code"] == "09015C"
    assert len(suggested) > 1
    assert suggested["09016C"]["valid_until"] is None
    assert "in force 1995-03-01 – 2024-12-31" in labbroker(folder, "codes", "suggest")[1]


def test_the_lists_read_in_chinese_too(folder: Path) -> None:
    for command in ("unmapped", "suggest", "list", "history"):
        assert labbroker(folder, "codes", command, language="zh-TW")[1]


def test_a_map_that_was_exported_is_taken_again_and_says_nothing_new(folder: Path) -> None:
    awkward = ["=1+1", "-GLU", "@x", "'=q", "+Na", 'a"b,c', "飯前血糖"]
    for name in awkward:
        told(folder, "set", "--by", "W", "--unit", "mg/dL", "--", "lab", name, "09005C")
    told(folder, "set", "lab", "QC", "--never", "--by", "W")
    file = folder / "map.csv"
    assert told(folder, "export", str(file))["decisions"] == 8
    raw = file.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    cells = [line.split(",")[1].strip('"') for line in raw.decode("utf-8-sig").splitlines()[1:]]
    assert not [cell for cell in cells if cell[:1] in "=+-@"]
    version = told(folder, "history")["decisions"][-1]["version"]
    assert told(folder, "import", str(file), "--by", "Chen")["decisions"] == 0
    assert told(folder, "history")["decisions"][-1]["version"] == version
    before = told(folder, "list")["decisions"]
    for name in awkward:
        told(folder, "unset", "--unit", "mg/dL", "--by", "W", "--", "lab", name)
    assert told(folder, "import", str(file), "--by", "Chen")["decisions"] == 7
    after = told(folder, "list")["decisions"]
    assert {each["code"] for each in after} == {each["code"] for each in before}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "row 1"),
        ("source,code\nlab,K7\n", "row 1"),
        ("source,code,order_code\nlab,K7\n", "row 2"),
        ("source,code,order_code,item\nlab,K7,09015C,x\n", "row 2"),
        ("source,code,order_code\nlab,K7,\n", "row 2"),
        ('source,code,order_code\nlab,"K7,09015C\n', "row 2"),
    ],
)
def test_a_file_that_is_no_code_map_is_refused_as_a_whole(
    folder: Path, text: str, place: str
) -> None:
    file = folder / "map.csv"
    file.write_text(text, "utf-8")
    code, _, err = labbroker(folder, "codes", "import", str(file), "--by", "W")
    assert code == 2
    assert place in err
    assert told(folder, "list")["decisions"] == []


def test_a_map_in_big5_is_read_and_other_bytes_are_refused(folder: Path) -> None:
    file = folder / "map.csv"
    file.write_bytes("source,code,order_code\nlab,飯前血糖,09005C\n".encode("cp950"))
    assert told(folder, "import", str(file), "--by", "W")["decisions"] == 1
    assert told(folder, "list")["decisions"][0]["code"] == "飯前血糖"
    file.write_bytes(b"source,code,order_code\nlab,\xff\xff\xff,09005C\n")
    assert labbroker(folder, "codes", "import", str(file))[0] == 2


def test_a_dry_run_counts_what_would_be_another_and_writes_nothing(folder: Path) -> None:
    before = (folder / "store" / "labbroker.sqlite").read_bytes()
    with mock.patch("broker.cli.codes_decide.datetime") as clock:
        clock.now.return_value = NOW
        trial = told(folder, "set", "lab", "K7", "09015C", "--item", "1", "--by", "W", "--dry-run")
    assert (trial["receipts"], trial["changed"], trial["have_left"]) == (2, 4, 0)
    counts = {(c["order_code"], c["before"], c["after"]): c["count"] for c in trial["counts"]}
    assert counts[("", "held:unmapped", "")] == 2
    assert sum(n for (code, old, _), n in counts.items() if (code, old) == ("09015C", "")) == 2
    assert (folder / "store" / "labbroker.sqlite").read_bytes() == before


def test_a_dry_run_says_what_has_left_and_would_not_be_called_back(folder: Path) -> None:
    assert told(folder, "set", "lab", "K7", "09015C", "--item", "1", "--by", "W")["requeued"] == 2

    async def send() -> None:
        async with open_stage(folder / "store", UNLINKED) as stage:
            profiles = mapped(stage)
            with stage.reader.connect() as connection:
                profiles.load(connection)
            await stage.work()
            ready = next(row for row in stage.records() if row.state == "ready")
            await stage.pretend(ready.id, "accepted")

    asyncio.run(send())
    with mock.patch("broker.cli.codes_decide.datetime") as clock:
        clock.now.return_value = NOW
        trial = told(folder, "set", "lab", "K7", "09013C", "--by", "W", "--dry-run")
    assert trial["have_left"] == 1
    assert [each["has_left"] for each in trial["records"]].count(True) == 1


def test_only_codes_that_are_identical_to_confirmed_ones_are_adopted(tmp_path: Path) -> None:
    second = (
        SETTINGS
        + f"""
[[source]]
id = "branch"
lab_code = "{LAB}"
clinic_code = "{CLINIC}"
"""
    )
    (tmp_path / "labbroker.toml").write_text(second, "utf-8")
    other = Line("Z8", "Uric acid", "NM", "5.1", "mg/dL", "2-7")

    async def fill() -> None:
        async with open_stage(tmp_path / "store", UNLINKED) as stage:
            await stage.load_visits()
            await stage.receive(result("1", CREATININE))
            lines = (CREATININE, other)
            await stage.receive(result("2", *lines, person=2), source="branch")

    asyncio.run(fill())
    assert told(tmp_path, "adopt", "--by", "W")["decisions"] == 0
    exact = ("--unit", "mg/dL", "--specimen", "Serum")
    told(tmp_path, "set", "lab", "K7", "09015C", "--item", "1", *exact, "--by", "Wang")
    trial = told(tmp_path, "adopt", "--by", "W", "--dry-run")
    assert (trial["decisions"], told(tmp_path, "list")["decisions"][1:]) == (1, [])
    assert told(tmp_path, "adopt", "--by", "W")["decisions"] == 1
    adopted = told(tmp_path, "list")["decisions"][-1]
    assert (adopted["source"], adopted["code"], adopted["reason"]) == (
        "branch", "K7", "identical to lab",
    )  # fmt: skip
    assert (adopted["unit"], adopted["specimen"]) == ("mg/dL", "Serum")


def test_a_running_service_decides_and_goes_on_at_once(folder: Path) -> None:
    with service(folder):
        wanted = ("set", "lab", "K7", "09015C", "--item", "1", "--by", "Wang")
        assert told(folder, *wanted) == {"version": 1, "decisions": 1, "requeued": 2}
        refused = labbroker(folder, "codes", "confirm", "lab", "K7", "--unit", "g/L")
        assert refused[0] == 2
        assert "waits to be confirmed" in refused[2]
        until = time.monotonic() + 60
        while time.monotonic() < until and told(folder, "unmapped")["codes"]:
            time.sleep(0.05)
        assert told(folder, "unmapped")["codes"] == []
    log = [json.loads(line) for line in (folder / "labbroker.log").read_text("utf-8").splitlines()]
    (decided,) = [line for line in log if line["event"] == "codes.decided"]
    assert (decided["records"], decided["receipts"]) == (1, 2)


def test_a_service_that_starts_reads_again_what_its_settings_know_by_now(folder: Path) -> None:
    linked = SETTINGS.replace(
        'default_unit = "無"\n',
        'default_unit = "無"\n[source.codes]\nK7 = { order_code = "09015C", item_number = 1 }\n',
    )
    (folder / "labbroker.toml").write_text(linked, "utf-8")
    with service(folder):
        until = time.monotonic() + 60
        while time.monotonic() < until and told(folder, "unmapped")["codes"]:
            time.sleep(0.05)
        assert told(folder, "unmapped")["codes"] == []
