"""An order that the patient wished not to be uploaded stays here, until the same hand says else."""

from __future__ import annotations

import asyncio
import getpass
import io
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Media
from broker.bootstrap.hand_work import HandWork
from broker.cli import optout
from broker.demo.messages import Line, Times, oru
from broker.demo.people import CLINIC, LAB, PEOPLE, visits
from broker.opt_outs import NoSuchOrder, NotOptOut, OptOut, apply_opt_out, read_opt_out
from broker.store.schema import receipt
from mapping.visit import Visit
from tests.integration.broker_stage import NOW, PROFILE, Stage, open_stage

COMMAND = (sys.executable, "-m", "broker.cli.main")
PERSON = PEOPLE[1]
VISIT = visits(NOW)[1]
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
"""


def result(control_id: str, value: str = "0.9") -> bytes:
    line = Line("CREA", "Creatinine", "NM", value, "mg/dL", "0.6-1.3")
    return oru(control_id, PERSON, "CREA", "N100001", (line,), Times.before(NOW))


def wish(**change: Any) -> dict[str, Any]:
    plain = OptOut(CLINIC, VISIT.national_id, VISIT.visit_on, "09015C", "Nurse Lin").to_json()
    return {**plain, **change}


async def say(stage: Stage, plain: Mapping[str, Any]) -> dict[str, Any]:
    """What the control door does with it."""

    async def replay(_: int) -> bool:
        return False

    hands = HandWork(
        stage.writer,
        stage.reader,
        stage.intake,
        {"lab": PROFILE},
        lambda: stage.now,
        replay=replay,
        on_ready=lambda: None,
    )
    told = await hands.orders()["opt-out"](json.dumps(plain).encode(), {})
    await stage.work()
    return told


async def bring(stage: Stage, *cards: Visit) -> None:
    await stage.receive(write_ic_card(cards), Media.IC_CARD_XML, source="clinic")


async def test_a_ready_result_of_an_opted_out_order_is_held_and_comes_back_by_hand_alone(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await stage.receive(result("1"))
        assert stage.states() == ["ready"]
        assert await say(stage, wish()) == {"orders": 1, "on_their_way": 0}
        assert stage.states() == ["held:opted_out"]
        # The clinic's file comes again, completed: card data has no word for the wish.
        await bring(stage, replace(VISIT, provider_id="B223456786"))
        assert stage.states() == ["held:opted_out"]
        await say(stage, wish(opted_out=False))
        assert stage.states()[-1] == "ready"


async def test_a_later_result_of_an_opted_out_order_is_held(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await say(stage, wish())
        await say(stage, wish())
        await stage.receive(result("1"))
        assert stage.states() == ["held:opted_out"]


async def test_what_has_left_is_counted_and_stays(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await stage.receive(result("1"))
        await stage.pretend(stage.records()[0].id, "checking")
        assert await say(stage, wish()) == {"orders": 1, "on_their_way": 1}
        assert stage.states() == ["checking"]


async def test_who_asked_for_what_is_kept_as_a_receipt(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await say(stage, wish())
        with stage.reader.connect() as connection:
            row = connection.execute(receipt.select().order_by(receipt.c.id.desc())).first()
        assert row is not None
        kept = json.loads(row.raw)
        assert (kept["opt_out"], row.content) == (wish(), "correction")


@pytest.mark.parametrize(
    "change",
    [
        {"order_code": "09005C"},
        {"visit_on": "2020-01-01"},
        {"national_id": "Z199999999"},
        {"institution_code": "3599999999"},
    ],
)
async def test_an_order_that_nobody_knows_is_refused_without_a_word_of_the_person(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        plain = wish(**change)
        with pytest.raises(NoSuchOrder) as refused:
            await say(stage, plain)
        told = refused.value.sentence("en") + refused.value.sentence("zh") + str(refused.value)
        assert plain["national_id"] not in told
        with stage.reader.connect() as connection:
            assert len(connection.execute(receipt.select()).all()) == 1, "nothing was kept"


@pytest.mark.parametrize(
    "change",
    [
        {"national_id": "A12345678"},
        {"national_id": ""},
        {"national_id": "Ａ123456789"},
        {"visit_on": "115-01-01"},
        {"visit_on": ""},
        {"order_code": " "},
        {"institution_code": ""},
        {"by": ""},
    ],
)
def test_what_is_malformed_is_refused_and_not_repeated(change: dict[str, Any]) -> None:
    with pytest.raises(NotOptOut) as refused:
        read_opt_out(wish(**change))
    told = refused.value.sentence("zh") + str(refused.value)
    assert VISIT.national_id not in told
    assert "A12345678" not in told


def test_a_wish_does_not_show_the_person() -> None:
    assert VISIT.national_id not in repr(read_opt_out(wish()))


async def test_every_line_of_the_order_is_marked(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, replace(VISIT, orders=VISIT.orders * 2))
        request = read_opt_out(wish(order_code=VISIT.orders[0].order_code.lower()))
        outcome = await stage.writer.write(lambda c: apply_opt_out(c, request))
        same = [o for o in VISIT.orders if o.order_code == VISIT.orders[0].order_code]
        assert outcome.orders == 2 * len(same)


# The command


async def _prepare(folder: Path, *results: bytes) -> None:
    (folder / "labbroker.toml").write_text(SETTINGS, "utf-8")
    async with open_stage(folder / "store") as stage:
        await bring(stage, VISIT)
        for raw in results:
            await stage.receive(raw)


async def _states(folder: Path, *results: bytes) -> list[str]:
    async with open_stage(folder / "store") as stage:
        for raw in results:
            await stage.receive(raw)
        await stage.work()
        return stage.states()


def ask(folder: Path, *more: str, national_id: str = VISIT.national_id) -> tuple[int, str, str]:
    """The command as a process: exit code, output, errors."""
    where = ["--institution", CLINIC, "--visit-on", VISIT.visit_on.isoformat()]
    what = ["--order", "09015C", "--by", "Lin", *more, "--config", str(folder / "labbroker.toml")]
    done = subprocess.run(
        [*COMMAND, "optout", *where, *what],
        input=national_id + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_marks_and_unmarks_without_a_service(tmp_path: Path) -> None:
    asyncio.run(_prepare(tmp_path, result("1")))
    code, out, err = ask(tmp_path, "--json")
    assert (code, json.loads(out), err) == (0, {"orders": 1, "on_their_way": 0}, "")
    assert asyncio.run(_states(tmp_path)) == ["held:opted_out"]
    assert ask(tmp_path, "--undo")[0] == 0
    assert asyncio.run(_states(tmp_path))[-1] == "ready"


def test_the_command_asks_a_running_service(tmp_path: Path) -> None:
    asyncio.run(_prepare(tmp_path))
    process = subprocess.Popen(
        [*COMMAND, "serve", "--config", str(tmp_path / "labbroker.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        assert ask(tmp_path, "--json")[0] == 0
        code, _, err = ask(tmp_path, national_id="Z199999999")
        assert code == 2
        assert "Z199999999" not in err
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert asyncio.run(_states(tmp_path, result("1"))) == ["held:opted_out"]
    log = (tmp_path / "labbroker.log").read_text("utf-8")
    assert "order.opted_out" in log
    assert VISIT.national_id not in log


def test_the_national_id_is_no_argument(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = ask(tmp_path, "--national-id", VISIT.national_id)
    assert (code, "unrecognized arguments" in err) == (2, True)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "A123456789"

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", answer)
    assert optout._national_id("zh") == "A123456789"
    assert asked == ["身分證號："]
    assert capsys.readouterr().out == "", "nothing is echoed"
