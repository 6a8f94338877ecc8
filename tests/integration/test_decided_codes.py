"""``check`` and ``convert`` read files under the codes that people decided for their source."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broker.cli.main import main
from broker.store.code_maps import CodeDecision, add_decisions
from broker.store.engine import open_writer
from mapping.code_map import LocalCode

EXAMPLES = Path(__file__).parents[2] / "examples"
TABLE = (
    "national_id,birth_date,order_code,項目代碼,檢驗值,unit,reference,collected_at\n"
    "A123456789,0640701,,XGLU,92,mg/dL,70-99,1140303 0940\n"
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A data folder in which ``XGLU`` of the files' source is decided."""
    folder = tmp_path / "var"
    engine = open_writer(folder)
    decision = CodeDecision("sunrise-files", LocalCode("XGLU"), "09005C", decided_by="Lin")
    with engine.begin() as connection:
        add_decisions(connection, [decision], datetime(2026, 11, 1, tzinfo=UTC))
    engine.dispose()
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """The settings of the examples, whose data folder is ``var`` beside their own."""
    path = tmp_path / "conf" / "labbroker.toml"
    path.parent.mkdir()
    text = (EXAMPLES / "labbroker.toml").read_text(encoding="utf-8")
    columns = 'columns = { item_code = "項目代碼", value = "檢驗值" }'
    path.write_text(
        text.replace('encoding = "cp950"', 'encoding = "utf-8"').replace(
            'columns = { item_code = "本所代碼", value = "檢驗值" }', columns
        ),
        encoding="utf-8",
    )
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "day.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def run(*arguments: str | Path) -> list[dict[str, Any]]:
    output = io.StringIO()
    with redirect_stdout(output):
        main([*map(str, arguments)])
    return [json.loads(line) for line in output.getvalue().splitlines()]


def convert(table: Path, settings: Path, out: Path, *more: str | Path) -> list[str]:
    """Why the result is held; what is wrong with it."""
    source = ("--source", "sunrise-files", "--out", out)
    (told,) = run("convert", "--json", table, "--config", settings, *source, *more)
    return [held["reason"] for held in told["held"]]


def findings(told: Sequence[dict[str, Any]]) -> set[str]:
    return {each["code"] for each in told[0]["findings"]}


def test_without_a_store_the_code_is_unknown(table: Path, settings: Path, tmp_path: Path) -> None:
    assert convert(table, settings, tmp_path / "out") == ["unmapped"]


def test_convert_heeds_what_is_decided_in_the_store_of_the_settings(
    table: Path, settings: Path, tmp_path: Path, store: Path
) -> None:
    assert store == tmp_path / "var"
    assert convert(table, settings, tmp_path / "out") == ["unmatched"]


def test_convert_heeds_what_is_decided_in_the_folder_that_is_named(
    table: Path, settings: Path, tmp_path: Path, store: Path
) -> None:
    elsewhere = store.rename(tmp_path / "elsewhere")
    assert convert(table, settings, tmp_path / "out") == ["unmapped"]
    assert convert(table, settings, tmp_path / "out", "--data", elsewhere) == ["unmatched"]


def test_check_heeds_it_as_well(table: Path, settings: Path, store: Path) -> None:
    told = run("check", "--json", table, "--config", settings, "--source", "sunrise-files")
    assert "unmapped-code" not in findings(told)


def test_the_store_is_only_read(table: Path, settings: Path, tmp_path: Path, store: Path) -> None:
    file = store / "labbroker.sqlite"
    before = file.read_bytes()
    convert(table, settings, tmp_path / "out")
    assert file.read_bytes() == before


def test_a_folder_without_a_store_is_said_to_have_none(
    table: Path, settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(
        [
            *("convert", str(table), "--config", str(settings), "--source", "sunrise-files"),
            *("--out", str(tmp_path / "out"), "--data", str(tmp_path / "nowhere")),
        ]
    )
    assert code == 2
    assert "There is no store" in capsys.readouterr().err
