"""Every command that opens the store does so in a SQLite file and in a PostgreSQL alike."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Media
from broker.cli.commands import COMMANDS
from broker.cli.store_access import changing
from broker.demo.messages import Line, Times, oru
from broker.demo.people import CLINIC, LAB, PEOPLE, visits
from broker.store.code_maps import CodeDecision, add_decisions
from broker.store.engine import STORE_FILE, open_reader, open_writer
from broker.store.leases import knowledge
from broker.store.listener import CHANNEL, WORK
from broker.store.location import StoreLocation
from mapping.code_map import LocalCode
from mapping.rocdate import roc_datetime
from tests.folder.unuploaded import list_csv, list_row
from tests.integration.broker_stage import NOW, Stage, open_stage
from tests.integration.test_hand_work_cli import Told, labbroker
from tests.integration.test_monthly_command import claims_xml
from tests.integration.verdict_stage import PASSWORD, Report, desk, receive_orders, sent_records
from tests.integration.verdict_stage import submit as submit_ready
from tests.postgresql_server import PostgresqlServer
from tests.stores import store_at, stores_on

WITHOUT_STORE = {
    "cards", "eii-child", "explain", "init", "profile", "rehearsal", "version",
}  # fmt: skip
"""They never open it: the test below looks into their modules."""
ELSEWHERE = {
    "card-agent": "locks its own folder and opens no store: tests/card/test_card_agent_command.py",
    "demo": "a SQLite file of its own, whatever the settings say: tests/acceptance/test_demo.py",
    "sandbox": "a ledger of its own: tests/integration/test_sandbox_gateway.py",
    "serve": "tests/acceptance/test_nodes.py",
    "visits": "asks the running service alone: tests/integration/test_visits_command.py",
}
TIMES = Times.before(NOW)
VISIT = visits(NOW)[2]


@dataclass(frozen=True)
class Shop:
    """A clinic whose store holds something for each command. ``unmatched``: ids of records by
    order code."""

    folder: Path
    store: StoreLocation
    report: Report
    unmatched: Mapping[str, int]

    def run(self, *arguments: str, code: int = 0) -> Told:
        told = labbroker(self.folder, *arguments)
        assert told.returncode == code, told
        return told

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def write(self, name: str, raw: bytes) -> str:
        path = self.folder / name
        path.write_bytes(raw)
        return str(path)


async def _fill(folder: Path) -> tuple[Report, dict[str, int]]:
    async with open_stage(folder / "store", check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit_ready(stage)
        report = Report(sent_records(stage, package_id), {"09015C": ("28", ("h27",))})
        await _receive_what_waits(stage)
        waiting = {each.order_code: each.id for each in stage.records() if each.state == "held"}
        return report, waiting


async def _receive_what_waits(stage: Stage) -> None:
    """Two results that could belong to either of two visits, and one of an unknown code."""
    orders = tuple(replace(VISIT.orders[0], order_code=code) for code in ("09005C", "09013C"))
    span = timedelta(days=2)
    earlier = replace(
        VISIT, card_at=VISIT.card_at - span, visit_on=VISIT.visit_on - span, visit_serial="0002"
    )
    cards = [replace(each, orders=orders) for each in (VISIT, earlier)]
    await stage.receive(write_ic_card(cards), Media.IC_CARD_XML, source="clinic")
    for code in ("GLUC", "UA", "K7"):
        line = Line(code, code, "NM", "5.1", "mg/dL", "3.4-7.0")
        await stage.receive(oru(code, PEOPLE[2], code, code, (line,), TIMES), control_id=code)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    kind: str = request.param
    server = request.getfixturevalue("postgresql") if kind == "postgresql" else None
    folder = tmp_path_factory.mktemp(kind)
    with stores_on(server):
        report, unmatched = asyncio.run(_fill(folder))
        store = store_at(folder / "store")
        (folder / "labbroker.toml").write_text(_settings(store.url), "utf-8")
        yield Shop(folder, store, report, unmatched)


def _settings(url: str) -> str:
    return f"""
data_dir = "store"
[[source]]
id = "lab"
lab_code = "{LAB}"
clinic_code = "{CLINIC}"
default_unit = "無"
default_method = "無"
[[agreement]]
lab_code = "{LAB}"
clinic_code = "{CLINIC}"
route = "clinic"
[[institution]]
code = "{CLINIC}"
channel = "portal"
credential = "person"
[channel.portal]
folder = "portal"
[store]
url = "{url}"
"""


Trial = Callable[[Shop], None]
TRIALS: dict[str, Trial] = {}


def trial(*commands: str) -> Callable[[Trial], Trial]:
    """Runs these commands, one of which changes or shows what is in the store."""

    def keep(work: Trial) -> Trial:
        TRIALS.update(dict.fromkeys(commands, work))
        return work

    return keep


@trial("verdict", "worklist", "fix")
def _report_and_fault(shop: Shop) -> None:
    (shop.folder / "password").write_text(PASSWORD, "utf-8")
    (shop.folder / "password").chmod(0o600)
    file = shop.write("downloaded.zip", shop.report.zipped(PASSWORD))
    place = f"file:{shop.folder / 'password'}"
    assert "(#" in shop.run("verdict", file, "--password-from", place).stdout
    (fault,) = [each for each in shop.json("worklist")["groups"] if each["field"] == "h27"]
    setting = ("--set", f"h27={CLINIC}", "--by", "Wang")
    assert shop.json("fix", fault["group"], *setting)["ready"] == 1


@trial("status", "receipts", "replay")
def _look_and_read_again(shop: Shop) -> None:
    assert shop.json("status")["packages"]
    assert "lab" in shop.run("receipts").stdout
    assert "next start" in shop.run("replay", "2").stdout


@trial("match")
def _choose_a_visit(shop: Shop) -> None:
    record = str(shop.unmatched["09005C"])
    found = shop.json("match", record)["candidates"]
    assert len(found) == 2
    assert shop.json("match", record, str(found[0]["visit"]), "--by", "Wang")["requeued"]


@trial("dismiss")
def _put_aside(shop: Shop) -> None:
    record = str(shop.unmatched["09013C"])
    told = shop.json("dismiss", record, "--by", "Wang", "--reason", "paper only")
    assert told["record"] == int(record)


@trial("codes", "check", "convert")
def _decide_a_code(shop: Shop) -> None:
    assert "K7" in shop.run("codes", "unmapped", code=1).stdout
    line = Line("K7", "Uric acid", "NM", "5.1", "mg/dL", "3.4-7.0")
    file = shop.write("k7.hl7", oru("7", PEOPLE[4], "K7", "N700001", (line,), TIMES))
    cards = shop.write("cards.xml", write_ic_card(visits(NOW)))
    named = (file, "--visits", cards, "--source", "lab")
    before = labbroker(shop.folder, "check", *named).stdout
    assert shop.json("codes", "set", "lab", "K7", "09013C")["decisions"] == 1
    assert shop.json("codes", "list")["decisions"][0]["code"] == "K7"
    assert shop.json("codes", "drift")["changes"] == []
    assert "unmapped" in before
    assert "unmapped" not in labbroker(shop.folder, "check", *named).stdout
    out = shop.folder / "converted"
    shop.run("convert", *named, "--out", str(out))
    assert list(out.glob("*.zip"))


@trial("uploaded")
def _say_what_was_uploaded(shop: Shop) -> None:
    stem = f"{CLINIC}1151120999"
    assert "no package" in shop.run("uploaded", stem, "--by", "Wang", code=2).stderr


@trial("plan", "rates", "orders", "retention")
def _count(shop: Shop) -> None:
    assert shop.json("plan", code=1)["entries"]
    assert shop.json("rates", "--month", "2026-11")
    shown = shop.folder / "unuploaded.csv"
    shop.run("rates", "--unuploaded", str(shown), "--institution", CLINIC, "--month", "2026-11")
    assert "08011C" in shop.run("orders", "--without-result", code=1).stdout
    assert shop.json("retention", "--dry-run") == shop.json("retention")


@trial("unuploaded")
def _bring_a_list(shop: Shop) -> None:
    card = roc_datetime(visits(NOW)[0].card_at)
    raw = list_csv([list_row(PEOPLE[0].national_id, card, "0020", "09005C")])
    name = f"未上傳案件明細_{CLINIC}_20261115_20261120.csv"
    for _ in range(2):
        assert shop.json("unuploaded", shop.write(name, raw))["rows"] == 1


@trial("optout")
def _opt_out(shop: Shop) -> None:
    visit = visits(NOW)[3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(visit.national_id + "\n"))
        named = ("--institution", CLINIC, "--visit-on", str(visit.visit_on), "--order", "09025C")
        assert shop.json("optout", *named)["orders"] == 1


@trial("monthly")
def _write_the_month(shop: Shop) -> None:
    record = shop.report.records[0]
    line = (record.value("h9"), record.value("h11"), "0042", record.value("h15"))
    claims = shop.write("claim.xml", claims_xml([line], "11511", CLINIC).encode("cp950"))
    told = shop.run("monthly", "--institution", CLINIC, "--month", "2026-11", "--all", "--json",
                    "--claims", claims, "--out", str(shop.folder / "month"), code=1)  # fmt: skip
    assert json.loads(told.stdout)["files"]


@trial("people", "token", "audit")
def _people(shop: Shop) -> None:
    shop.run("people", "add", "wang", "--role", "operator")
    assert "wang" in shop.run("people", "list").stdout
    shop.run("token", "add", "wang", "--name", "his", "--scope", "see-rates")
    assert "his" in shop.run("token", "list").stdout
    shop.run("audit", "verify")
    assert "wang" in shop.run("audit", "list").stdout


@trial("backup")
def _copy(shop: Shop) -> None:
    copy = str(shop.folder / "copy")
    if shop.store.is_shared:
        assert "pg_dump" in shop.run("backup", "make", copy, code=2).stderr
    else:
        # What is copied is held against the packages, whose files this stage has not made.
        assert "packages are missing" in shop.run("backup", "make", copy, code=2).stderr


@trial("doctor")
def _examine(shop: Shop) -> None:
    told = json.loads(labbroker(shop.folder, "doctor", "--json").stdout)
    found = {each["check"]: each["status"] for each in told["checks"]}
    assert found.get("store") == ("ok" if shop.store.is_shared else None)


def test_every_command_is_tried_or_never_opens_the_store() -> None:
    names = {command.name for command in COMMANDS}
    assert names == set(TRIALS) | WITHOUT_STORE | set(ELSEWHERE)
    assert not set(TRIALS) & (WITHOUT_STORE | set(ELSEWHERE))
    for command in COMMANDS:
        if command.name in WITHOUT_STORE:
            module = command.module()
            assert isinstance(module, ModuleType)
            assert "broker.store" not in inspect.getsource(module), command.name
            assert "store_access" not in inspect.getsource(module), command.name


@pytest.mark.parametrize("work", dict.fromkeys(TRIALS.values()), ids=lambda work: work.__name__)
def test_a_command_finds_the_store_where_the_settings_say(shop: Shop, work: Trial) -> None:
    work(shop)
    has_file = (shop.store.folder / STORE_FILE).exists()
    assert has_file is not shop.store.is_shared, "a SQLite file beside the PostgreSQL"


def test_nodes_hear_of_a_command_and_read_by_what_it_changed(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    store = StoreLocation(tmp_path, postgresql.new_database())
    open_writer(store).dispose()
    reader = open_reader(store)
    with reader.connect().execution_options(isolation_level="AUTOCOMMIT") as node:
        node.exec_driver_sql(f"LISTEN {CHANNEL}")
        before = knowledge(node)
        with changing(store) as connection:
            add_decisions(connection, [CodeDecision("lab", LocalCode("K7"), "09013C")], NOW)
        driver: Any = node.connection.driver_connection
        (notice,) = driver.notifies(timeout=5, stop_after=1)
        assert notice.payload.startswith(WORK)
        assert knowledge(node) > before
    reader.dispose()


def test_a_database_without_a_store_and_one_that_is_away_are_told_apart(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    empty = postgresql.new_database()
    for url, told in ((empty, "holds no store"), (f"{empty}_none", "cannot be used")):
        (tmp_path / "labbroker.toml").write_text(_settings(url), "utf-8")
        for command in (("status",), ("fix", "abcd1234", "--accept")):
            answer = labbroker(tmp_path, *command)
            assert answer.returncode == 2
            assert told in answer.stderr
