"""``labbroker visits``: a clinic's visits brought by hand, with a bar on a terminal alone."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from adapters.folder.formats.ic_card_writer import write_ic_card
from broker.cli.main import main
from broker.cli.visits import ProgressBar
from broker.store.engine import open_reader
from broker.store.schema import visit
from broker.visit_import import VISITS_AT_ONCE
from tests.integration.test_hand_work_cli import COMMAND, service
from tests.integration.test_opt_outs import SETTINGS
from tests.integration.test_visit_import import many


def run(folder: Path, name: str, *arguments: str) -> int:
    """The command in this process."""
    settings = str(folder / "labbroker.toml")
    return main(["visits", *arguments, "--config", settings, str(folder / name)])


def on_terminal(folder: Path, *arguments: str) -> str:
    """What is written to standard error where that is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "visits", *arguments, "--config", "labbroker.toml"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        told = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # its last writer is gone
                break
            if not part:
                break
            told += part
        assert process.wait(timeout=60) == 0
    os.close(ours)
    return told.decode()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABBROKER_LANG", "en")
    (tmp_path / "labbroker.toml").write_text(SETTINGS, encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_visits_are_stored_once_and_the_bar_is_for_terminals(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = 5 * VISITS_AT_ONCE
    (folder / "visits.xml").write_bytes(write_ic_card(many(count)))
    (folder / "result.csv").write_text("national_id,order_code,value\nA123456789,09005C,90\n")
    with service(folder):
        bar = on_terminal(folder, "visits.xml")
        assert f"/{count}" in bar
        assert bar.endswith("\n")
        assert run(folder, "visits.xml") == 0
        told = capsys.readouterr()
        assert "taken before" in told.out
        assert told.err == ""
        assert run(folder, "visits.xml", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {
            "receipt_id": 1,
            "duplicate": True,
            "state": "parsed",
            "findings": 0,
        }
        assert run(folder, "result.csv") == 2
        assert "holds no visits" in capsys.readouterr().err
    reader = open_reader(folder / "store")
    with reader.connect() as connection:
        assert len(connection.execute(visit.select()).all()) == count
    reader.dispose()


def test_without_a_service_it_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "visits.xml").write_bytes(write_ic_card(many(2)))
    assert run(folder, "visits.xml") == 2
    assert "labbroker serve" in capsys.readouterr().err


def test_a_bar_that_is_not_shown_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    hidden, shown = ProgressBar(False), ProgressBar(True)
    hidden.show(1, 2)
    hidden.end()
    assert capsys.readouterr().err == ""
    shown.show(1, 2)
    shown.end()
    assert capsys.readouterr().err == f"\r[{'#' * 15}{' ' * 15}]  50 %  1/2\n"
