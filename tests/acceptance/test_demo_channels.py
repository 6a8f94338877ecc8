"""The main job over each channel ends in the same numbers, or says what is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Require


def demo(
    *arguments: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "broker.cli.main", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=environ or dict(os.environ),
    )


@pytest.mark.parametrize("channel", ["eii", "portal"])
def test_the_main_job_ends_alike_over_each_channel(
    channel: str, tmp_path: Path, require: Require
) -> None:
    if channel == "eii":
        require(shutil.which("cc") or shutil.which("gcc"), "a C compiler for the EII stand-in")
    result = demo("--json", "--channel", channel, "--data", str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    told = json.loads(result.stdout)
    assert told["accepted"] == told["uploaded"] == told["on_time"] == 12
    assert told["rejected"] == 1
    assert told["rate"] == 85.7
    if channel == "portal":
        by_hand = [item for item in told["sent"] if item["door"] == "hand"]
        assert len(by_hand) >= 4
        # What a person has uploaded no longer lies among what waits.
        (place,) = [path for path in (tmp_path / "upload").iterdir() if path.is_dir()]
        assert not list(place.glob("*.zip"))
        assert "王小明" in (next((place / ".notes").iterdir())).read_text("utf-8")


def test_without_a_compiler_the_demo_says_what_to_install(tmp_path: Path) -> None:
    environ = {**os.environ, "PATH": str(tmp_path), "LABBROKER_LANG": "en"}
    result = demo("--channel", "eii", "--data", str(tmp_path / "data"), environ=environ)
    assert result.returncode == 2
    assert "C compiler" in result.stderr
    assert "apt install gcc" in result.stderr
    assert "Traceback" not in result.stderr
