"""``labbroker doctor`` tells what is set up, what is missing and what to do next."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.card.software_key import SoftwareKey, create_rehearsal_key
from broker.cli import machine_checks, sandbox
from broker.cli.machine_checks import (
    check_card_parts,
    check_clock,
    check_data_folder,
    check_disk,
    check_port,
    check_python,
    check_sqlite,
)
from broker.cli.main import main
from broker.cli.outcome import Outcome, Status
from broker.cli.setup_checks import check_channel, check_institutions
from broker.config import Settings, load_settings

GIB = 1024**3
CLINIC = "3599999901"


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")
    monkeypatch.delenv("LABBROKER_CONFIG", raising=False)


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", "--json", *arguments])
    report = json.loads(capsys.readouterr().out)
    return code, {row["check"]: row for row in report["checks"]}


def settings_of(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "labbroker.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, {})


def test_a_silent_pcscd_is_a_worry_only_where_a_card_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_checks, "find_spec", lambda _: object())
    monkeypatch.setattr(machine_checks, "PCSCD", tmp_path / "pcscd.comm")
    monkeypatch.setattr(sys, "platform", "linux")
    assert check_card_parts(in_use=False).status is Status.OK
    assert check_card_parts(in_use=True).status is Status.WARN


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ((3, 7, 0), Status.WARN),
        ((3, 40, 1), Status.WARN),
        ((3, 51, 2), Status.WARN),
        ((3, 51, 3), Status.OK),
        ((3, 54, 1), Status.OK),
    ],
)
def test_sqlite_with_the_wal_reset_bug_is_warned_of(
    version: tuple[int, ...], status: Status
) -> None:
    assert check_sqlite(version).status is status


def test_an_old_python_fails() -> None:
    assert check_python((3, 10, 9)).status is Status.FAIL
    assert check_python((3, 11, 0)).status is Status.OK


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_data_folder_on_a_network_file_system_fails(tmp_path: Path, kind: str) -> None:
    mounts = f"root / ext4 rw 0 0\nserver:/x {tmp_path} {kind} rw 0 0\n"
    assert check_data_folder(tmp_path, mounts).status is Status.FAIL
    assert check_data_folder(tmp_path, "root / ext4 rw 0 0\n").status is Status.OK


def test_a_data_folder_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    outcome = check_data_folder(tmp_path / "a" / "b")
    assert outcome.status is Status.OK
    assert not (tmp_path / "a").exists()


def test_a_data_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        outcome = check_data_folder(Path("/proc/1"), "root / ext4 rw 0 0\n")
    else:
        tmp_path.chmod(0o500)
        outcome = check_data_folder(tmp_path)
    assert outcome.status is Status.FAIL


@pytest.mark.parametrize(
    ("usage", "status"),
    [
        ((100 * GIB, 50 * GIB), Status.OK),
        ((4000 * GIB, 100 * GIB), Status.OK),
        ((20 * GIB, 3 * GIB), Status.WARN),
        ((100 * GIB, 1 * GIB), Status.FAIL),
    ],
)
def test_little_free_space_is_told(tmp_path: Path, usage: tuple[int, int], status: Status) -> None:
    assert check_disk(tmp_path, usage).status is status


def test_a_clock_behind_the_files_of_the_store_fails(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    assert check_clock(tmp_path).status is Status.OK
    assert check_clock(tmp_path, time.time() - 3600).status is Status.FAIL
    assert check_clock(tmp_path, time.time() + 90 * 365 * 86400).status is Status.FAIL


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_warned_of(listener: int) -> None:
    told = check_port("mllp port", "127.0.0.1", listener)
    assert told.status is Status.WARN
    assert "another program uses it" in told.message("en")
    assert "已由其他程式使用" in told.message("zh")


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://gateway.example:1", Status.OK),
        ("http://127.0.0.1:1", Status.WARN),
        ("not a url", Status.FAIL),
        ("http://127.0.0.1:99999", Status.FAIL),
    ],
)
def test_only_a_local_channel_is_tried_by_itself(tmp_path: Path, url: str, status: Status) -> None:
    settings = settings_of(tmp_path, f"[channel.sandbox]\nbase_url = '{url}'\n")
    assert check_channel(settings, online=False).status is status


def test_a_gateway_that_is_not_there_is_started_by_the_command_that_is_shown(
    tmp_path: Path,
) -> None:
    told = check_channel(
        settings_of(tmp_path, "[channel.sandbox]\nbase_url = 'http://127.0.0.1:1'\n"), online=False
    )
    _, *command = shlex.split(told.next_step("en").split("`")[1])
    parser = argparse.ArgumentParser()
    sandbox.add_parser(parser.add_subparsers())
    asked = parser.parse_args(command)
    assert (asked.port, asked.data.name, asked.trust[0].name) == (1, "gateway", "authority.pem")
    assert "該處沒有程式接聽" in told.message("zh")


def test_a_channel_that_answers_is_fine(tmp_path: Path, listener: int) -> None:
    settings = settings_of(
        tmp_path, f"[channel.sandbox]\nbase_url = 'http://localhost:{listener}'\n"
    )
    assert check_channel(settings, online=False).status is Status.OK


def institution_outcomes(
    tmp_path: Path, code: str = CLINIC, in_days: float = 0, password: str = ""
) -> list[Outcome]:
    folder = tmp_path / "key"
    if not folder.exists():
        create_rehearsal_key(folder, CLINIC)
    line = f"verdict_password = '{password}'\n" if password else ""
    settings = settings_of(
        tmp_path, f"[[institution]]\ncode = '{code}'\ncredential_folder = 'key'\n{line}"
    )
    now = datetime.now(UTC) + timedelta(days=in_days)
    return list(check_institutions(settings, {"PW": "x"}, SoftwareKey.load, now))


def test_a_credential_is_read_and_its_end_is_told(tmp_path: Path) -> None:
    assert institution_outcomes(tmp_path)[0].status is Status.OK
    assert institution_outcomes(tmp_path, in_days=36500)[0].status is Status.FAIL
    assert institution_outcomes(tmp_path, code="3599999902")[0].status is Status.FAIL


def test_a_missing_credential_fails_with_a_next_step(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, f"[[institution]]\ncode = '{CLINIC}'\n")
    (outcome,) = check_institutions(settings, {}, SoftwareKey.load)
    assert outcome.status is Status.FAIL
    assert outcome.next_step("en")
    assert outcome.next_step("zh")


def test_a_verdict_password_that_is_not_there_fails(tmp_path: Path) -> None:
    assert institution_outcomes(tmp_path, password="env:PW")[1].status is Status.OK
    assert institution_outcomes(tmp_path, password="env:NONE")[1].status is Status.FAIL


def test_doctor_tells_all_of_a_whole_setup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    create_rehearsal_key(tmp_path / "var" / "credentials" / CLINIC, CLINIC)
    (tmp_path / "labbroker.toml").write_text(
        f"""
[mllp]
port = 0
[http]
port = 0
[[source]]
id = "a"
[[folder]]
path = "in"
source = "a"
[[agreement]]
lab_code = "9499999901"
clinic_code = "{CLINIC}"
route = "clinic"
[[institution]]
code = "{CLINIC}"
""",
        encoding="utf-8",
    )
    code, checks = doctor(capsys, "--config", str(tmp_path / "labbroker.toml"))
    assert code == 0
    assert checks["settings"]["status"] == "ok"
    assert checks["folder a"]["status"] == "ok"
    assert checks[f"credential {CLINIC}"]["status"] == "ok"
    assert checks["data folder"]["status"] == "ok"
    assert not any(name.startswith("agreement") for name in checks)


def test_doctor_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labbroker.toml").write_text(
        """
[[source]]
id = "a"
[[folder]]
path = "in"
source = "a"
[[agreement]]
lab_code = "9499999901"
clinic_code = "3599999901"
route = "lab"
""",
        encoding="utf-8",
    )
    code, checks = doctor(capsys, "--config", str(tmp_path / "labbroker.toml"))
    assert code == 1
    assert checks["folder a"]["status"] == "fail"
    assert checks["agreement 9499999901 3599999901"]["status"] == "fail"
    assert checks["institutions"]["status"] == "warn"
    assert all(row["next"] for row in checks.values() if row["status"] != "ok")


def test_settings_that_cannot_be_read_are_a_failed_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_CONFIG", str(tmp_path / "none.toml"))
    code, checks = doctor(capsys)
    assert code == 1
    assert checks["settings"]["status"] == "fail"
    assert "none.toml" in checks["settings"]["message"]


def test_people_get_one_line_a_check_in_their_language(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["doctor"])
    assert "settings: no file, defaults" in capsys.readouterr().out
    monkeypatch.setenv("LABBROKER_LANG", "zh")
    main(["doctor"])
    assert "未指定設定檔" in capsys.readouterr().out
