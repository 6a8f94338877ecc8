"""NHI's list of cases not uploaded: stored once, and each row told by what is known here."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from adapters.folder.formats.unuploaded_list import (
    UnuploadedLocked,
    UnuploadedUnreadable,
    open_unuploaded,
    read_unuploaded,
)
from broker.bootstrap.list_orders import head_to_json, list_orders
from broker.cli.main import main
from broker.demo.messages import Line, Times, oru
from broker.demo.people import CLINIC, LAB, PEOPLE, STRANGER, visits
from broker.store.engine import open_reader, open_writer
from broker.store.unuploaded import ListHead, append_rows, begin_list
from broker.store.unuploaded_tables import unuploaded_list, unuploaded_row
from mapping.finding import Finding
from mapping.rocdate import roc_datetime
from mapping.unuploaded import Outcome, codes_of, outcome_of
from tests.conftest import Require
from tests.folder.unuploaded import list_csv, list_row, list_zip
from tests.integration.broker_stage import NOW, open_stage
from tests.stores import store_at

NAME = f"未上傳案件明細_{CLINIC}_20261115_20261120"
VISITS = visits(NOW)
CARDS = [roc_datetime(visit.card_at) for visit in VISITS]
ROWS = [
    list_row(PEOPLE[0].national_id, CARDS[0], "0020", "09005C", "2.0"),
    list_row(PEOPLE[0].national_id, CARDS[0], "0020", "08011C"),
    list_row(PEOPLE[1].national_id, CARDS[1], "0021", "09015C"),
    list_row(PEOPLE[1].national_id, CARDS[1], "0021", "09139C"),
    list_row(STRANGER.national_id, CARDS[0], "0001", "09005C"),
    list_row(STRANGER.national_id, CARDS[0][:7], "0001", "34004C"),
    list_row(PEOPLE[4].national_id, CARDS[4], "0024", "09013C"),
]
SETTINGS = f"""
data_dir = "store"
[[source]]
id = "lab"
lab_code = "{LAB}"
[[institution]]
code = "{CLINIC}"
verdict_password = "env:LOGIN"
"""


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A clinic with visits, one result accepted, one held, one ready."""
    async with open_stage(tmp_path / "store") as stage:
        await stage.load_visits()
        for number, code, order in ((0, "GLUC", "N1"), (1, "CREA", "N2"), (4, "UA", "N3")):
            line = Line(code, code, "NM", "1.0", "mg/dL", "0.6-1.3")
            times = Times.before(NOW)
            await stage.receive(oru(order, PEOPLE[number], code, order, (line,), times))
        for record, state in zip(stage.records(), ("accepted", "held", "ready"), strict=True):
            reason = {"held_reason": "invalid"} if state == "held" else {"held_reason": ""}
            await stage.pretend(record.id, state, **reason)
    (tmp_path / "labbroker.toml").write_text(SETTINGS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Awaitable[tuple[int, Any]]]:
    monkeypatch.setenv("LABBROKER_LANG", "en")

    async def call(raw: bytes, *more: str, name: str = f"{NAME}.csv") -> tuple[int, Any]:
        (folder / name).write_bytes(raw)
        argv = ["unuploaded", str(folder / name), "--config", str(folder / "labbroker.toml")]
        code = await asyncio.to_thread(main, [*argv, *more])
        captured = capsys.readouterr()
        if "--json" in more and captured.out:
            return code, json.loads(captured.out)
        return code, captured.out + captured.err

    return call


async def test_each_row_is_told_by_what_is_known_of_it(command: Callable[..., Any]) -> None:
    code, told = await command(list_csv(ROWS), "--json")
    assert code == 1
    assert told["institution_code"] == CLINIC
    assert (told["from_on"], told["until_on"]) == ("2026-11-15", "2026-11-20")
    assert told["rows"] == len(ROWS)
    assert {name: each["rows"] for name, each in told["outcomes"].items()} == {
        "uploaded": 1,
        "held": 1,
        "ready": 1,
        "no_result": 1,
        "no_order": 1,
        "unknown": 1,
        "image_only": 1,
    }
    assert told["outcomes"]["uploaded"]["quantity"] == "2.0"
    assert told["outcomes"]["held"]["order_codes"] == {"09015C": 1}


async def test_the_same_list_twice_changes_nothing(
    command: Callable[..., Any], folder: Path
) -> None:
    first = await command(list_csv(ROWS), "--json")
    assert await command(list_csv(ROWS), "--json") == first
    # The very same rows out of the ZIP are the same list.
    raw = list_zip(list_csv(ROWS), "a.csv")
    assert await command(raw, "--json", name=f"{NAME}.zip") == first
    reader = open_reader(store_at(folder / "store"))
    with reader.connect() as connection:
        counts = [
            connection.scalar(select(func.count()).select_from(table))
            for table in (unuploaded_list, unuploaded_row)
        ]
        assert connection.scalar(select(unuploaded_list.c.row_count)) == len(ROWS)
    reader.dispose()
    assert counts == [1, len(ROWS)]


async def test_an_import_that_broke_off_goes_on(command: Callable[..., Any], folder: Path) -> None:
    raw = list_csv(ROWS)
    opened = open_unuploaded(raw, NAME)
    head = ListHead.of(raw, CLINIC, opened.from_on, opened.until_on)
    engine = open_writer(store_at(folder / "store"))
    with engine.begin() as connection:
        list_id, stored = begin_list(connection, head, datetime.now(UTC))
        assert stored == 0
        append_rows(connection, list_id, 0, list(read_unuploaded(raw, []))[:3])
    engine.dispose()
    _, told = await command(raw, "--json")
    assert told["rows"] == len(ROWS)


async def test_the_password_is_made_of_institution_and_login(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = list_zip(list_csv(ROWS), f"{NAME}.csv", f"{CLINIC}_A123456789")
    code, told = await command(raw, "--json", name="download.zip")
    assert (code, "password" in told) == (2, True)
    monkeypatch.setenv("LOGIN", "A123456789")
    code, told = await command(raw, "--json", name="download.zip")
    assert (code, told["rows"]) == (1, len(ROWS))
    monkeypatch.delenv("LOGIN")
    monkeypatch.setenv("SECRET", f"{CLINIC}_A123456789")
    code, told = await command(raw, "--json", "--password-from", "env:SECRET", name="download.zip")
    assert (code, told["rows"]) == (1, len(ROWS))


async def test_rows_of_one_outcome_are_listed_on_demand(command: Callable[..., Any]) -> None:
    _, told = await command(list_csv(ROWS), "--json", "--list", "unknown")
    assert [row["national_id"] for row in told["listed"]] == [STRANGER.national_id]
    _, text = await command(list_csv(ROWS), "--list", "held")
    assert f"{PEOPLE[1].national_id}  {CARDS[1]}  01  0021  09015C" in text
    assert STRANGER.national_id not in text


async def test_a_list_whose_owner_is_not_known_is_asked_for(command: Callable[..., Any]) -> None:
    code, said = await command(list_csv(ROWS), name="list.csv")
    assert (code, "--institution" in said) == (2, True)
    code, _ = await command(list_csv(ROWS), "--institution", CLINIC, name="list.csv")
    assert code == 1


async def test_a_bad_row_is_told_and_the_others_are_kept(command: Callable[..., Any]) -> None:
    raw = list_csv([ROWS[0], "A123456789,0650401", ROWS[1].replace(CARDS[0], "never"), ROWS[2]])
    _, told = await command(raw, "--json")
    assert told["unreadable_rows"] == ["row 3", "row 4"]
    assert told["rows"] == 2


async def test_a_running_service_takes_the_list_part_by_part(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        orders = list_orders(stage.writer, lambda: stage.now)
        head = ListHead.of(b"raw", CLINIC, None, None)
        rows = list(read_unuploaded(list_csv(ROWS), []))
        plain = [{name: str(getattr(row, name)) for name in row._fields} for row in rows]

        async def ask(order: str, body: object, **query: str) -> dict[str, Any]:
            return await orders[order](json.dumps(body).encode(), query)

        began = await ask("list-begin", head_to_json(head))
        list_id = str(began["list_id"])
        await ask("list-rows", plain[:4], list_id=list_id, position="0")
        # The answer was lost and the part is sent again.
        await ask("list-rows", plain[:4], list_id=list_id, position="0")
        assert (await ask("list-begin", head_to_json(head)))["stored"] == 4
        await ask("list-rows", plain, list_id=list_id, position="0")
        await ask("list-end", {}, list_id=list_id, rows=str(len(rows)))
        with stage.reader.connect() as connection:
            stored = connection.execute(
                select(unuploaded_row).order_by(unuploaded_row.c.position)
            ).all()
        assert [row.order_code for row in stored] == [row.order_code for row in rows]


def test_a_zip_of_the_old_cipher_opens_with_its_password(tmp_path: Path, require: Require) -> None:
    require(shutil.which("zip"), "the zip program, which writes ZIPs of the old cipher")
    (tmp_path / f"x_{CLINIC}_20261115_20261120.csv").write_bytes(list_csv(ROWS))
    subprocess.run(
        ["zip", "-q", "-P", "right", "a.zip", f"x_{CLINIC}_20261115_20261120.csv"],
        cwd=tmp_path,
        check=True,
    )
    raw = (tmp_path / "a.zip").read_bytes()
    assert open_unuploaded(raw, "a.zip", ["wrong", "right"]).institution_code == CLINIC
    with pytest.raises(UnuploadedLocked):
        open_unuploaded(raw, "a.zip", [f"wrong{number}" for number in range(600)])


@pytest.mark.parametrize(
    "raw",
    [
        b"PK\x03\x04 cut off",
        list_zip(list_csv(ROWS), "a.csv")[:-30],
    ],
)
def test_a_damaged_zip_is_refused(raw: bytes) -> None:
    with pytest.raises(UnuploadedUnreadable):
        open_unuploaded(raw, "a.zip")


def test_a_csv_of_something_else_is_refused() -> None:
    findings: list[Finding] = []
    with pytest.raises(UnuploadedUnreadable, match="A73"):
        list(read_unuploaded(b"A12,A17,A23,A18,A77\r\n", findings))


def test_digits_that_a_spreadsheet_dressed_as_texts_are_read() -> None:
    row = ROWS[0].replace(",0020,", ',="0020",').replace(",09005C,", ",'09005C,")
    (read,) = read_unuploaded(list_csv([row]), [])
    assert (read.visit_serial, read.order_code) == ("0020", "09005C")


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        ([("accepted", ""), ("held", "invalid")], Outcome.UPLOADED),
        ([("superseded", ""), ("rejected", "")], Outcome.REJECTED),
        ([("inflight", "")], Outcome.ON_THE_WAY),
        ([("unknown", "")], Outcome.ON_THE_WAY),
        ([("held", "opted_out")], Outcome.OPTED_OUT),
        ([("superseded", "")], Outcome.NO_RESULT),
    ],
)
def test_the_furthest_record_decides(states: list[tuple[str, str]], outcome: Outcome) -> None:
    assert outcome_of(tuple(states), True, True) is outcome


def test_the_second_film_is_reported_with_the_first() -> None:
    assert codes_of("32002C") == ("32002C", "32001C")
    assert codes_of("09005C") == ("09005C",)
