"""What was acknowledged and could not be read waits for a person, who is told why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.ports.intake import Media
from broker.cli.main import main
from tests.integration.broker_stage import open_stage
from tests.integration.test_opt_outs import SETTINGS

BROKEN = b'{"resourceType": "Bundle"'


@pytest.fixture
async def settings(tmp_path: Path) -> Path:
    """Settings whose store holds one receipt that is no JSON, and nothing else."""
    path = tmp_path / "labbroker.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    async with open_stage(tmp_path / "store") as stage:
        await stage.receive(BROKEN, Media.FHIR_JSON)
    return path


@pytest.mark.parametrize("command", ["worklist", "receipts"])
@pytest.mark.parametrize(
    ("language", "sentence", "remedy"),
    [
        ("en", "malformed at line 1, column 26", "The sender corrects it"),
        ("zh-TW", "位置 第 1 行第 26 字", "請送件端更正後重送"),
    ],
    ids=["en", "zh"],
)
async def test_it_is_listed_with_its_reason_in_the_readers_language(
    settings: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    language: str,
    sentence: str,
    remedy: str,
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", language)
    assert main([command, "--config", str(settings)]) == 0
    shown = capsys.readouterr().out
    assert sentence in shown
    assert remedy in shown
    assert "Nothing waits" not in shown


async def test_programs_are_told_the_same(
    settings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")
    main(["worklist", "--json", "--config", str(settings)])
    (waiting,) = json.loads(capsys.readouterr().out)["unreadable"]
    main(["receipts", "--jsonl", "--config", str(settings)])
    listed = json.loads(capsys.readouterr().out)
    assert waiting["receipt_id"] == listed["id"]
    assert waiting["error_code"] == listed["error_code"] == "fhir-malformed-json"
    assert waiting["message"] == listed["message"] != ""
    assert waiting["remedy"] == listed["remedy"] != ""
