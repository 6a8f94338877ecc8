"""What is measured, and copies of a store at work."""

from __future__ import annotations

import asyncio
import re
import shutil
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import insert

from broker.cli.main import main
from broker.deadline_watch import DeadlineWatch
from broker.delivery.agreement import DeliveryKind
from broker.demo.people import CLINIC
from broker.operation.backup import (
    BackupImpossible,
    BackupUnusable,
    NotEmpty,
    last_backup_at,
    make_backup,
    restore_backup,
    verify_backup,
)
from broker.operation.metrics import METRICS
from broker.store.alarms import open_alarms
from broker.store.critical import confirm_critical, critical_of
from broker.store.engine import open_reader
from broker.store.schema import package
from broker.web.health import render_metrics
from mapping.critical import CriticalLimit
from mapping.values import parse_decimal
from tests.integration.broker_stage import NOW, Stage, open_stage
from tests.integration.delivery_stage import agreement, oru

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "examples/prometheus-alerts.yml").read_text("utf-8"))


def values(text: str) -> dict[str, float]:
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }


def names(text: str) -> set[str]:
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}


async def test_the_reference_names_every_metric_that_is_told(tmp_path: Path) -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text("utf-8")
    rows = {line for line in page.splitlines() if line.startswith("| `")}
    assert rows == {f"| `{name}` | {meaning} |" for name, meaning in METRICS.items()}
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(oru("F1", "1"))
        told = render_metrics(stage.reader, stage.now, tmp_path)
    assert names(told) <= METRICS.keys()
    rare = {
        # Nothing waits that is due; nobody keeps the clock; no backup yet.
        *("labbroker_deadline_remaining_seconds", "labbroker_oldest_unread_seconds"),
        *("labbroker_clock_offset_seconds", "labbroker_backup_age_seconds"),
    }
    assert METRICS.keys() - names(told) <= rare


def test_every_metric_of_an_alert_rule_exists() -> None:
    rules = [rule for group in RULES["groups"] for rule in group["rules"]]
    used = {name for rule in rules for name in re.findall(r"labbroker_\w+", rule["expr"])}
    assert used <= METRICS.keys()
    assert len({rule["alert"] for rule in rules}) == len(rules)
    assert {rule["labels"]["severity"] for rule in rules} == {"warning", "page"}
    ages = {
        what for rule in rules for what in re.findall(r'oldest_seconds\{what="(\w+)"', rule["expr"])
    }
    assert ages == {"unread", "held", "ready", "unknown", "delivery", "critical"}


async def test_ages_grow_with_what_waits_and_are_nothing_when_nothing_does(tmp_path: Path) -> None:
    box = agreement("a", DeliveryKind.MLLP, host="127.0.0.1", port=1)
    async with open_stage(tmp_path, deliveries=(box,)) as stage:
        empty = values(render_metrics(stage.reader, stage.now))
        assert {empty[key] for key in empty if key.startswith("labbroker_oldest_seconds")} == {0.0}
        await stage.receive(oru("F1", "1", flag="HH"))
        stage.later(minutes=40)
        told = values(render_metrics(stage.reader, stage.now, tmp_path))
    for what in ("delivery", "critical"):
        assert told[f'labbroker_oldest_seconds{{what="{what}"}}'] == 2400
    assert told['labbroker_oldest_seconds{what="held"}'] >= 2400
    assert told['labbroker_deliveries{state="queued"}'] == 1
    assert told["labbroker_critical_unconfirmed"] == 1
    assert 0 < told["labbroker_disk_free_ratio"] < 1


async def test_a_critical_result_is_alarmed_until_it_is_confirmed(tmp_path: Path) -> None:
    limit = CriticalLimit("GLUC", "mg/dL", above=parse_decimal("400"))
    async with open_stage(tmp_path, critical_limits=(limit,)) as stage:
        watch = DeadlineWatch(stage.writer, stage.reader, lambda: stage.now)

        def critical_alarms() -> list[Any]:
            with stage.reader.connect() as connection:
                return [row for row in open_alarms(connection) if row.kind == "critical"]

        await stage.receive(oru("F1", "88"))
        await stage.receive(oru("F2", "400"))
        await watch.look()
        assert critical_alarms() == []
        await stage.receive(oru("F3", "401"))
        await stage.receive(oru("F4", "30", flag="LL"))
        # The same once more is no new one; a corrected value is.
        await stage.receive(oru("F4", "30", flag="LL", reported="202611191300"))
        await stage.receive(oru("F4", "31", flag="LL", status="C", reported="202611191400"))
        await watch.look()
        (alarm,) = critical_alarms()
        assert (alarm.institution_code, alarm.records) == (CLINIC, 2)
        assert alarm.due_at == NOW + timedelta(minutes=30)
        with stage.reader.connect() as connection:
            rows = critical_of(connection, frozenset({CLINIC}))
            assert critical_of(connection, frozenset({"3599999999"})) == []
        assert [row.reason for row in rows] == ["flag", "limit"]
        asked = (("stranger", frozenset({"x"})), ("chen", None), ("lin", None))
        for row in rows:
            for who, institutions in asked:
                confirm = partial(
                    confirm_critical,
                    critical_id=row.id,
                    institutions=institutions,
                    by=who,
                    now=stage.now,
                )
                await stage.writer.write(confirm)
        await watch.look()
        assert critical_alarms() == []
        with stage.reader.connect() as connection:
            done = critical_of(connection, None, unconfirmed=False)
        assert [row.confirmed_by for row in done] == ["chen", "", "chen"]
        assert [row.ending for row in done] == ["", "critical", ""]


async def stored(stage: Stage, name: str, folder: Path) -> None:
    """A sealed package, as far as a backup knows one."""

    def write() -> None:
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.zip").write_bytes(b"PK" + name.encode())

    await asyncio.to_thread(write)
    row = {
        "stem": name,
        "institution_code": CLINIC,
        "upload_on": NOW.date(),
        "state": "sealed",
        "record_count": 1,
        "sha256": "0" * 64,
        "sealed_at": NOW,
    }
    await stage.writer.write(lambda c: c.execute(insert(package).values(row)))


async def test_a_backup_made_while_results_come_in_holds_all_that_was_acknowledged_before(
    tmp_path: Path,
) -> None:
    data, target = tmp_path / "store", tmp_path / "copy"
    async with open_stage(data) as stage:
        await stored(stage, "35999000011151120001", data / "packages")
        before = []
        for number in range(20):
            before.append((await stage.receive(oru(f"F{number}", "1"))).receipt_id)
        ended = asyncio.Event()

        async def flood() -> None:
            number = 100
            while not ended.is_set():
                await stage.receive(oru(f"F{number}", "1"))
                number += 1

        flooding = asyncio.create_task(flood())
        made = await asyncio.to_thread(make_backup, data, target, NOW)
        ended.set()
        await flooding
        with stage.reader.connect() as connection:
            now = connection.exec_driver_sql("SELECT count(*) FROM receipt").scalar_one()
    assert 20 <= made.receipts <= now
    assert last_backup_at(data) == NOW
    assert [oct(path.stat().st_mode)[-2:] for path in (target, target / "labbroker.sqlite")] == [
        "00"
    ] * 2
    restored = tmp_path / "restored"
    assert restore_backup(target, restored) == made
    async with open_stage(restored) as stage:
        with stage.reader.connect() as connection:
            ids = set(connection.exec_driver_sql("SELECT id FROM receipt").scalars())
        assert set(before) <= ids
        # It goes on: what comes again is recognised.
        again = await stage.receive(oru("F3", "1"))
        assert again.duplicate
    assert (restored / "packages/35999000011151120001.zip").read_bytes().startswith(b"PK")


async def made_backup(tmp_path: Path) -> Path:
    data, target = tmp_path / "store", tmp_path / "copy"
    async with open_stage(data) as stage:
        await stored(stage, "35999000011151120001", data / "packages")
        for number in range(30):
            await stage.receive(oru(f"F{number}", "1"))
    make_backup(data, target, datetime.now(UTC))
    return target


async def test_damage_to_a_backup_is_found(tmp_path: Path) -> None:
    target = await made_backup(tmp_path)
    verify_backup(target)
    whole = (target / "labbroker.sqlite").read_bytes()
    for at in (100, len(whole) // 2, len(whole) - 10):
        bent = bytearray(whole)
        bent[at] ^= 1
        (target / "labbroker.sqlite").write_bytes(bent)
        with pytest.raises(BackupUnusable):
            verify_backup(target)
    (target / "labbroker.sqlite").write_bytes(whole)
    verify_backup(target)
    (target / "packages/35999000011151120001.zip").unlink()
    with pytest.raises(BackupUnusable):
        restore_backup(target, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere/labbroker.sqlite").exists()
    (target / "backup.json").unlink()
    with pytest.raises(BackupUnusable):
        verify_backup(target)


async def test_a_package_that_the_store_names_must_be_in_the_backup(tmp_path: Path) -> None:
    data = tmp_path / "store"
    async with open_stage(data) as stage:
        await stored(stage, "35999000011151120001", data / "packages")
    shutil.rmtree(data / "packages")
    with pytest.raises(BackupUnusable):
        make_backup(data, tmp_path / "copy", NOW)
    assert last_backup_at(data) is None


async def test_no_store_is_ever_written_over(tmp_path: Path) -> None:
    target = await made_backup(tmp_path)
    with pytest.raises(NotEmpty):
        restore_backup(target, tmp_path / "store")
    with pytest.raises(BackupImpossible):
        make_backup(tmp_path / "store", target, NOW)
    with pytest.raises(BackupImpossible):
        make_backup(tmp_path / "nothing", tmp_path / "x", NOW)


async def test_the_commands_make_verify_and_restore(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_stage(tmp_path / "store") as stage:
        await stage.receive(oru("F1", "1"))
    config = tmp_path / "labbroker.toml"
    config.write_text('data_dir = "store"\n')
    copy = str(tmp_path / "copy")
    assert main(["backup", "make", copy, "--config", str(config)]) == 0
    assert main(["backup", "verify", copy, "--json"]) == 0
    (tmp_path / "store").rename(tmp_path / "old")
    assert main(["backup", "restore", copy, "--config", str(config)]) == 0
    assert main(["backup", "restore", copy, "--config", str(config)]) != 0
    reader = open_reader(tmp_path / "store")
    with reader.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM receipt").scalar_one() == 1
    reader.dispose()
