"""``labbroker verdict``, ``worklist`` and ``fix`` as processes, with and without a service."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from broker.cli.main import main
from broker.demo.people import CLINIC, LAB
from broker.sandbox.printing import PrintedRecord, print_report
from tests.integration.broker_stage import open_stage
from tests.integration.verdict_stage import (
    PASSWORD,
    Report,
    desk,
    receive_orders,
    sent_records,
    submit,
)

COMMAND = (sys.executable, "-m", "broker.cli.main")
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
[[source]]
id = "vpn"
check_reports = true
[[folder]]
path = "inbox"
source = "vpn"
quiet_seconds = 0
scan_seconds = 1
"""


async def _prepare(tmp_path: Path) -> Report:
    """A store with a submitted package, its settings, and the report of it: one record is bad."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "labbroker.toml").write_text(SETTINGS, "utf-8")
    (tmp_path / "password").write_text(PASSWORD + "\n", "utf-8")
    (tmp_path / "password").chmod(0o600)
    async with open_stage(tmp_path / "store", check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        return Report(sent_records(stage, package_id), {"09015C": ("28", ("h27",))})


def prepare(tmp_path: Path) -> Report:
    return asyncio.run(_prepare(tmp_path))


@dataclass(frozen=True)
class Told:
    returncode: int
    stdout: str
    stderr: str


def labbroker_process(tmp_path: Path, *arguments: str) -> Told:
    """The command as a process of its own."""
    done = subprocess.run(
        [*COMMAND, *arguments, "--config", str(tmp_path / "labbroker.toml")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LABBROKER_LANG": "en"},
    )
    return Told(done.returncode, done.stdout, done.stderr)


def labbroker(tmp_path: Path, *arguments: str, **environ: str) -> Told:
    """The command here, which is faster."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, {"LABBROKER_LANG": "en"} | environ),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main([*arguments, "--config", str(tmp_path / "labbroker.toml")])
    return Told(code, out.getvalue(), err.getvalue())


@contextmanager
def service(tmp_path: Path) -> Iterator[None]:
    process = subprocess.Popen(
        [*COMMAND, "serve", "--config", str(tmp_path / "labbroker.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("labbroker is ready:")
        yield
    finally:
        process.terminate()
        process.communicate(timeout=30)


Run = Callable[..., Told]


def groups(tmp_path: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(labbroker(tmp_path, "worklist", "--json").stdout)
    return told


def work_through(tmp_path: Path, report: Report, labbroker: Run) -> None:
    """From the downloaded ZIP to the corrected record, as a person does it."""
    file = tmp_path / "downloaded.zip"
    file.write_bytes(report.zipped(PASSWORD))
    password = f"file:{tmp_path / 'password'}"
    first = labbroker(tmp_path, "verdict", "--json", "--password-from", password, str(file))
    assert first.returncode == 0, first.stderr
    told = [json.loads(line) for line in first.stdout.splitlines()]
    assert [each["state"] for each in told] == ["parsed"] * 2
    again = labbroker(tmp_path, "verdict", "--password-from", password, str(file))
    assert again.returncode == 0
    assert "0 accepted, 0 rejected" in again.stdout

    (group,) = groups(tmp_path)["groups"]
    assert (group["code"], group["field"], group["count"]) == ("28", "h27", 1)
    shown = labbroker(tmp_path, "worklist").stdout
    assert group["group"] in shown
    assert "master file" in shown
    nothing = labbroker(tmp_path, "fix", group["group"], "--accept")
    assert nothing.returncode == 2
    assert "Nothing that is known here" in nothing.stderr
    setting = ("--set", f"h27={CLINIC}", "--by", "Wang")
    fixed = labbroker(tmp_path, "fix", group["group"], *setting, "--json")
    assert fixed.returncode == 0, fixed.stderr
    assert json.loads(fixed.stdout)["ready"] == 1
    assert groups(tmp_path)["groups"] == []
    gone = labbroker(tmp_path, "fix", group["group"], *setting)
    assert gone.returncode == 2
    assert "No group" in gone.stderr
    assert labbroker(tmp_path, "worklist").stdout == "Nothing waits.\n"


def test_a_report_is_taken_and_its_fault_put_right_without_a_service(
    tmp_path: Path,
) -> None:
    work_through(tmp_path, prepare(tmp_path), labbroker_process)


def test_a_running_service_does_it_when_asked(tmp_path: Path) -> None:
    report = prepare(tmp_path)
    with service(tmp_path):
        work_through(tmp_path, report, labbroker)
    assert PASSWORD not in (tmp_path / "labbroker.log").read_text("utf-8")


def test_a_report_that_fits_no_package_is_kept_and_shown(tmp_path: Path) -> None:
    prepare(tmp_path)
    values = {"h1": "1", "h2": "3511111111", "h9": PASSWORD, "h15": "09005C",
              "h16": "1151120100000", "r1": "1"}  # fmt: skip
    text = print_report("3511111111", "1151120", "1151120000555", [PrintedRecord(values)], True)
    file = tmp_path / "foreign.txt"
    file.write_bytes(text.encode("cp950"))
    told = labbroker(tmp_path, "verdict", str(file))
    assert told.returncode == 1
    assert "fits no package that is known here; kept" in told.stdout
    (kept,) = groups(tmp_path)["check_reports"]
    assert (kept["name"], kept["error_code"]) == ("foreign.txt", "report-fits-no-package")
    assert "foreign.txt" in labbroker(tmp_path, "worklist", LABBROKER_LANG="zh-TW").stdout


def test_a_wrong_password_or_a_file_that_is_no_report_is_refused_and_not_stored(
    tmp_path: Path,
) -> None:
    report = prepare(tmp_path)
    before = labbroker(tmp_path, "receipts").stdout
    file = tmp_path / "downloaded.zip"
    file.write_bytes(report.zipped(PASSWORD, aes=True))
    (tmp_path / "password").write_text("B123456780", "utf-8")
    wrong = labbroker(
        tmp_path, "verdict", str(file), "--password-from", f"file:{tmp_path / 'password'}"
    )
    assert wrong.returncode == 2
    assert "does not open" in wrong.stderr
    unset = labbroker(tmp_path, "verdict", str(file), "--password-from", "env:NOT_SET_HERE")
    assert unset.returncode == 2
    spoken = labbroker(tmp_path, "verdict", str(file), "--password-from", PASSWORD)
    assert spoken.returncode == 2
    assert PASSWORD not in spoken.stdout + spoken.stderr
    file.write_bytes(b"not a report")
    assert labbroker(tmp_path, "verdict", str(file)).returncode == 2
    assert labbroker(tmp_path, "verdict", str(tmp_path / "missing.zip")).returncode == 2
    assert labbroker(tmp_path, "receipts").stdout == before


def test_a_password_of_the_environment_opens_the_zip(tmp_path: Path) -> None:
    report = prepare(tmp_path)
    file = tmp_path / "downloaded.zip"
    file.write_bytes(report.zipped(PASSWORD, aes=True))
    told = labbroker(
        tmp_path, "verdict", str(file), "--password-from", "env:VPN_ID", VPN_ID=PASSWORD
    )
    assert told.returncode == 0, told.stderr


def test_a_report_that_is_dropped_into_a_marked_folder_is_applied(tmp_path: Path) -> None:
    report = prepare(tmp_path)
    with service(tmp_path):
        for name, raw in report.entries().items():
            (tmp_path / "inbox" / name).write_bytes(raw)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            told = json.loads(labbroker(tmp_path, "status", "--json").stdout)
            if told["packages"] == {"checked": 1}:
                break
    assert told["packages"] == {"checked": 1}
    assert told["records"]["accepted"] == 3


def test_the_commands_say_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "labbroker.toml").write_text('data_dir = "store"\n', "utf-8")
    for command in (["verdict", "x.zip"], ["worklist"], ["fix", "abcd1234", "--accept"]):
        told = labbroker(tmp_path, *command)
        assert told.returncode == 2, told.stdout
        assert "no store" in told.stderr
    assert labbroker(tmp_path, "fix", "abcd1234").returncode == 2
