"""The commands of the README, run as written in a fresh clone.

It installs the project from the package index, so it runs in CI and where
``LABBROKER_FRESH_CLONE=1`` asks for it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Require

ROOT = Path(__file__).parents[2]
BLOCKS = {
    name: re.findall(
        r"^```sh\n(.*?)^```$", (ROOT / name).read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    for name in ("README.md", "README.zh-TW.md")
}


def commands(name: str) -> list[str]:
    lines = [line for block in BLOCKS[name] for line in block.splitlines()]
    return [line.partition("#")[0].strip() for line in lines if line.strip()]


def test_both_readmes_name_the_same_commands() -> None:
    assert commands("README.md") == commands("README.zh-TW.md")
    assert commands("README.md")[:2] == ["make demo", "make test"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "labbroker"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True, timeout=120)
    return folder


def run(clone: Path, command: str, **environ: str) -> str:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LABBROKER", "PYTEST", "VIRTUAL_ENV", "MAKE", "MFLAGS"))
    }
    path = os.pathsep.join(part for part in kept["PATH"].split(os.pathsep) if ".venv" not in part)
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=clone,
        env={**kept, "PATH": path, **environ},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_commands_work_as_written_in_a_fresh_clone(clone: Path, require: Require) -> None:
    wanted = os.environ.get("CI") == "true" or os.environ.get("LABBROKER_FRESH_CLONE") == "1"
    if not wanted:
        pytest.skip("set LABBROKER_FRESH_CLONE=1 to install a fresh clone from the package index")
    require(shutil.which("git") and shutil.which("make"), "git and make are needed")
    for command in commands("README.md"):
        if command == "make test":
            # The whole suite would run itself; one module shows that the command sets all up.
            command = "make test ARGS=tests/unit/test_states.py"
        output = run(clone, command, LABBROKER_LANG="en")
        if command == "make demo":
            assert "24-hour rate" in output
