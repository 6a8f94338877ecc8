"""The worklist shows, for results without a visit, which visits they could belong to and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.cli.main import main
from tests.integration.broker_stage import open_stage
from tests.integration.test_choices import VISIT, bring, creatinine, earlier
from tests.integration.test_opt_outs import SETTINGS


@pytest.fixture
async def settings(tmp_path: Path) -> Path:
    """Settings whose store holds one result that two visits could be meant by."""
    path = tmp_path / "labbroker.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    async with open_stage(tmp_path / "store") as stage:
        await bring(stage, VISIT, earlier(10), earlier(-3))
        await stage.receive(creatinine("1"))
        assert stage.states() == ["held:unmatched"]
    return path


@pytest.mark.parametrize(
    ("language", "sign", "against"),
    [
        ("en", "same national id", "taken before the visit"),
        ("zh-TW", "身分證號相同", "採檢早於就醫"),
    ],
    ids=["en", "zh"],
)
async def test_each_candidate_stands_there_with_its_points_and_reasons(
    settings: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    sign: str,
    against: str,
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", language)
    main(["worklist", "--config", str(settings)])
    shown = capsys.readouterr().out
    assert "labbroker match 1 VISIT --by NAME" in shown
    lines = [line for line in shown.splitlines() if sign in line]
    assert len(lines) == 3
    assert [against in line for line in lines] == [False, False, True]
    first, second, _ = (line.split() for line in lines)
    assert int(first[3]) > int(second[3])
    assert first[1] == VISIT.visit_on.isoformat()
    assert VISIT.national_id not in shown


async def test_programs_are_told_the_same(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["worklist", "--json", "--config", str(settings)])
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    (example,) = group["examples"]
    assert [each["order_code"] for each in example["candidates"]] == ["09015C"] * 3
    assert all(each["signs"] and each["reason"] for each in example["candidates"])
