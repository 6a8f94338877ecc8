"""Codes that a laboratory made up: asked for once, decided once, and what waited goes on."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from broker.bootstrap.hand_work import HandWork
from broker.bootstrap.readers import READERS
from broker.cli.main import main
from broker.code_maps import (
    MappedProfiles,
    NoSuchItem,
    UnknownOrderCode,
    UnknownSource,
    decision_to_json,
    requeue_known,
)
from broker.demo.messages import Line, Times, oru
from broker.demo.people import CLINIC, LAB, PEOPLE
from broker.pipeline import Pipeline
from broker.store.code_maps import CodeDecision, add_decisions
from broker.store.receipts import replay_receipt
from broker.unmapped_codes import gather_evidence, unmapped_codes
from mapping.code_map import LocalCode
from mapping.code_suggestions import suggest_codes
from mapping.errors import LabbrokerError
from mapping.profile import CodeLink
from mapping.record import record_from_json
from tests.integration.broker_stage import NOW, PROFILE, Stage, open_stage
from tests.integration.test_hand_work_cli import service

UNLINKED = replace(PROFILE, codes={})
CREATININE = Line("K7", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")
SETTINGS = f"""
data_dir = "store"
[mllp]
port = 0
[http]
port = 0
[logging]
file = "labbroker.log"
[[source]]
id = "lab"
lab_code = "{LAB}"
clinic_code = "{CLINIC}"
default_method = "無"
default_unit = "無"
[[agreement]]
lab_code = "{LAB}"
clinic_code = "{CLINIC}"
route = "clinic"
"""


def result(control_id: str, *lines: Line, person: int = 1, service: str = "CHEM") -> bytes:
    number = f"N{control_id:0>6}"
    return oru(control_id, PEOPLE[person], service, number, lines, Times.before(NOW))


def decision(code: str, order: str, item: int | None = None, **change: Any) -> CodeDecision:
    return CodeDecision("lab", LocalCode(code), order, item, decided_by="Wang", **change)


def hands(stage: Stage, profiles: MappedProfiles) -> HandWork:
    async def replay(_: int) -> bool:
        return False

    return HandWork(
        stage.writer,
        stage.reader,
        stage.intake,
        profiles,
        lambda: stage.now,
        replay=replay,
        on_ready=lambda: None,
    )


def mapped(stage: Stage) -> MappedProfiles:
    """The stage's pipeline with code maps of the store, as the service builds it."""
    profiles = MappedProfiles({"lab": UNLINKED})
    stage.pipeline._profiles = profiles
    return profiles


async def decide(
    stage: Stage, profiles: MappedProfiles, decisions: Sequence[CodeDecision]
) -> dict[str, Any]:
    body = json.dumps([decision_to_json(each) for each in decisions]).encode()
    told = await hands(stage, profiles).orders()["codes"](body, {})
    await stage.work()
    return told


async def test_a_decision_sets_all_waiting_results_of_the_code_going_and_no_other(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        profiles = mapped(stage)
        await stage.load_visits()
        for number in (1, 2):
            await stage.receive(result(str(number), CREATININE, person=number))
        await stage.receive(result("9", replace(CREATININE, code="Q1")))
        assert stage.states() == ["held:unmapped"] * 3
        told = await decide(stage, profiles, [decision("K7", "09015C", 1)])
        assert told == {"version": 1, "decisions": 1, "requeued": 2}
        held = [row for row in stage.records() if row.state == "held"]
        assert [row.held_reason for row in held if row.order_code == ""] == ["unmapped"]
        assert {row.order_code for row in stage.records() if row.state != "superseded"} == {
            "",
            "09015C",
        }
        await stage.receive(result("3", replace(CREATININE, value="1.1"), person=3))
        assert stage.records()[-1].order_code == "09015C"


async def test_lines_that_name_no_row_of_their_order_are_held_beside_an_order_that_goes_on(
    tmp_path: Path,
) -> None:
    """Nothing else tells of them: their order has no line that could be a record."""
    profile = replace(PROFILE, codes={"GLUC": CodeLink("09005C"), "K7": CodeLink("09015C")})
    glucose = Line("GLUC", "Glucose AC", "NM", "92", "mg/dL", "70-99")
    strange = replace(CREATININE, name="Jaffe")
    async with open_stage(tmp_path, profile) as stage:
        await stage.load_visits()
        await stage.receive(result("1", glucose, strange, person=0))
        assert sorted(stage.states()) == ["held:unmapped", "ready"]
        with stage.reader.connect() as connection:
            (code,) = unmapped_codes(connection)
        assert (code.code, code.name, code.order_code) == ("K7", "Jaffe", "09015C")


async def test_each_code_is_asked_for_once_with_its_count_and_earliest_time(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        await stage.load_visits()
        for number in (1, 2, 3):
            await stage.receive(result(str(number), CREATININE, person=number))
            stage.later(hours=1)
        await stage.receive(result("4", replace(CREATININE, code="Q1", name="Urea")))
        with stage.reader.connect() as connection:
            codes = unmapped_codes(connection)
        assert [(each.code, each.name, each.count) for each in codes] == [
            ("K7", "Creatinine", 3),
            ("Q1", "Urea", 1),
        ]
        assert codes[0].due_at == min(row.due_at for row in stage.records())


async def test_the_evidence_is_what_the_results_and_the_visit_say(tmp_path: Path) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        await stage.load_visits()
        await stage.receive(result("1", CREATININE))
        with stage.reader.connect() as connection:
            (code,) = unmapped_codes(connection)
            evidence = gather_evidence(connection, code, {"lab": UNLINKED}, READERS)
        assert (evidence.names, evidence.units) == (("Creatinine",), ("mg/dL",))
        assert (evidence.values, evidence.ranges) == (("0.9",), ("0.6-1.3",))
        assert evidence.specimens == ("Serum",)
        assert evidence.ordered.get("09015C") == 1
        best = suggest_codes(evidence)[0]
        assert (best.order_code, best.item_number) == ("09015C", 1)
        assert {"name", "unit", "ordered"} <= {reason.kind for reason in best.reasons}


async def test_a_line_that_was_unmapped_when_its_order_left_becomes_a_version_of_it(
    tmp_path: Path,
) -> None:
    sent = replace(UNLINKED, codes={"CRE": CodeLink("09015C", 1)})
    known, unknown = replace(CREATININE, code="CRE"), Line("X2", "eGFR", "NM", "88", "", ">60")
    async with open_stage(tmp_path, sent) as stage:
        profiles = MappedProfiles({"lab": sent})
        stage.pipeline._profiles = profiles
        await stage.load_visits()
        accepted = await stage.receive(result("1", known, replace(unknown, name="??")))
        assert stage.states() == ["ready", "held:unmapped"]
        await stage.pretend(1, "accepted", was_accepted=True)
        await decide(stage, profiles, [decision("X2", "09015C", 2)])
        assert stage.states() == ["accepted", "superseded", "ready"]
        body = record_from_json(json.loads(stage.records()[-1].body))
        assert [row["r1"].value for row in body.rows] == ["1", "2"]
        # And once more changes nothing.
        await stage.writer.write(lambda c: replay_receipt(c, accepted.receipt_id))
        await stage.work()
        assert stage.states() == ["accepted", "superseded", "ready"]


async def test_an_order_that_was_taken_back_does_not_come_back_with_a_code(
    tmp_path: Path,
) -> None:
    sent = replace(UNLINKED, codes={"CRE": CodeLink("09015C", 1)})
    async with open_stage(tmp_path, sent) as stage:
        profiles = MappedProfiles({"lab": sent})
        stage.pipeline._profiles = profiles
        await stage.load_visits()
        lines = (replace(CREATININE, code="CRE"), Line("X2", "??", "NM", "88"))
        await stage.receive(result("1", *lines))
        await stage.pretend(1, "superseded")
        await decide(stage, profiles, [decision("X2", "09015C", 2)])
        assert stage.states() == ["superseded", "superseded"]


async def test_a_draft_made_under_an_older_code_map_is_not_stored(tmp_path: Path) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        profiles = mapped(stage)
        await stage.load_visits()
        original = Pipeline._store

        def meanwhile(pipeline: Pipeline, work: Any, *turn: Any) -> Any:
            if work.drafts and work.profile is UNLINKED:
                made = replace(UNLINKED, codes={"K7": CodeLink("09015C", 1)})
                profiles._mapped = {"lab": made}
            return original(pipeline, work, *turn)

        with mock.patch.object(Pipeline, "_store", meanwhile):
            await stage.receive(result("1", CREATININE))
        assert stage.states() == ["ready"]


async def test_a_code_that_the_settings_know_by_now_is_read_again_at_start(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        await stage.load_visits()
        await stage.receive(result("1", CREATININE))
        later = replace(UNLINKED, codes={"CHEM/K7": CodeLink("09015C", 1)})
        assert await stage.writer.write(lambda c: requeue_known(c, {"lab": UNLINKED})) == 0
        assert await stage.writer.write(lambda c: requeue_known(c, {"lab": later})) == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (decision("K7", "99999Z"), UnknownOrderCode),
        (decision("K7", "09015C", 9), NoSuchItem),
        (decision("K7", "09015C", 0), NoSuchItem),
        (replace(decision("K7", "09015C"), source_id="lap"), UnknownSource),
        (replace(decision("K7", "09015C"), decided_by=""), LabbrokerError),
        (decision("", "09015C"), LabbrokerError),
    ],
)
async def test_a_decision_that_cannot_hold_is_refused_and_nothing_is_stored(
    tmp_path: Path, wrong: CodeDecision, error: type[LabbrokerError]
) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        profiles = mapped(stage)
        with pytest.raises(error):
            await decide(stage, profiles, [decision("A", "09013C"), wrong])
        with stage.reader.connect() as connection:
            profiles.load(connection)
        assert not profiles["lab"].code_map


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


async def test_the_history_keeps_every_version(tmp_path: Path) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        for order in ("09015C", "09013C", "09015C"):
            await stage.writer.write(
                lambda c, order=order: add_decisions(c, [decision("K7", order)], NOW)  # type: ignore[misc]
            )
        profiles = mapped(stage)
        with stage.reader.connect() as connection:
            profiles.load(connection)
        link = profiles["lab"].code_map.find("K7", "", "", "")
        assert link == CodeLink("09015C", None)
