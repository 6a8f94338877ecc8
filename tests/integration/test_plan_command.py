"""``labbroker plan`` and the alarms of a running service, from a store with real records."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.cli import plan, status
from broker.cli.main import main
from broker.config import load_settings
from broker.deadline_watch import DeadlineWatch
from broker.store.engine import open_reader
from broker.upload_plan import Remedy
from broker.web.health import render_metrics
from tests.integration.submission_play import OTHER, Play
from tests.integration.submission_stage import CLINIC, NOW

SETTINGS = f"""
data_dir = "store"
[calendar]
holidays = [2025-02-05]
gateway_closed = ["sun 00:00-06:00"]
[[institution]]
code = "{CLINIC}"
card_hours = ["mon-fri 08:00-17:30"]
"""


async def fill(folder: Path) -> None:
    (folder / "labbroker.toml").write_text(SETTINGS, "utf-8")
    play = Play(folder)
    await play.stage.start()
    await play.stage.tell(2, CLINIC)
    await play.stage.tell(1, OTHER)
    watch = DeadlineWatch(play.stage.writer, play.stage.reader, lambda: NOW + timedelta(hours=19))
    await watch.look()
    play.stage.end()


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    await fill(tmp_path)
    return tmp_path


def test_hours_come_from_the_card_the_holidays_and_the_gateway(folder: Path) -> None:
    settings = load_settings(folder / "labbroker.toml", {})
    hours = settings.hours[CLINIC]
    assert hours.is_open(NOW)
    assert not hours.is_open(NOW + timedelta(days=1)), "a holiday"
    assert not hours.is_open(NOW + timedelta(hours=9)), "the evening"
    assert settings.schedule.warn_before_hours == 6


def test_the_plan_tells_institutions_apart(folder: Path) -> None:
    settings = load_settings(folder / "labbroker.toml", {})
    evening = NOW + timedelta(hours=9)
    entries = {entry.institution_code: entry for entry in plan.read_plan_of(settings, evening)}
    assert entries[CLINIC].records == 2
    # Wednesday is a holiday: the card is back on Thursday at 8.
    assert entries[CLINIC].leaves_at == NOW.replace(hour=0) + timedelta(days=2)
    assert entries[CLINIC].remedy is Remedy.OPEN_EARLIER
    assert entries[OTHER].remedy is Remedy.NAME_UPLOADER


def test_the_command_prints_both_ways(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "zh-TW")
    config = ["--config", str(folder / "labbroker.toml")]
    assert main(["plan", *config]) == 1
    assert "最早期限" in capsys.readouterr().out
    assert main(["plan", "--json", "--institution", OTHER, *config]) == 1
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [entry["institution"] for entry in told["entries"]] == [OTHER]
    assert main(["plan", "--institution", "3500000000", *config]) == 0


def test_what_is_at_risk_stands_in_the_status_and_the_metrics(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alarms = status.overview(folder / "store")["alarms"]
    assert {(row["kind"], row["institution"], row["reason"], row["records"]) for row in alarms} == {
        ("at-risk", CLINIC, "ready", 2),
        ("at-risk", OTHER, "ready", 1),
    }
    monkeypatch.setenv("LABBROKER_LANG", "en")
    assert main(["status", "--config", str(folder / "labbroker.toml")]) == 0
    assert f"At risk  {CLINIC} ready 2" in capsys.readouterr().out
    monkeypatch.setenv("LABBROKER_LANG", "zh-TW")
    assert main(["status", "--config", str(folder / "labbroker.toml")]) == 0
    (ready,) = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("  ready ")
    ]
    assert ready.split()[2:] == ["待封裝"]
    reader = open_reader(folder / "store")
    text = render_metrics(reader, NOW)
    reader.dispose()
    assert (
        f'labbroker_alarm_records{{kind="at-risk",institution="{CLINIC}",reason="ready"}} 2' in text
    )
