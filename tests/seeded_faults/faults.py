"""Promises broken on purpose: each fault is put into a copy of the code, whose tests must fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PARTS = ("broker", "adapters", "mapping", "tests", "docs", "pyproject.toml", "README.md")
_TESTS_FAILED = 1
_LIMIT_SECONDS = 600


class FaultDoesNotFit(ValueError):
    """The code that a fault changes is not there, or there more than once."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``find`` stands in ``file`` once; with ``replace`` in its place one of ``tests`` fails."""

    name: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]

    def applied(self, text: str) -> str:
        """The text of the file with the fault in it. Raises :class:`FaultDoesNotFit`."""
        if not self.find or text.count(self.find) != 1:
            raise FaultDoesNotFit(f"{self.name}: not once in {self.file}")
        return text.replace(self.find, self.replace)


def read_faults() -> tuple[Fault, ...]:
    """All faults of ``faults.toml``."""
    with Path(__file__).with_name("faults.toml").open("rb") as file:
        listed = tomllib.load(file)["fault"]
    return tuple(Fault(**{**each, "tests": tuple(each["tests"])}) for each in listed)


def is_caught(fault: Fault) -> bool:
    """Whether the fault's tests fail of it. They are tests that fail, no broken import: a copy
    that does not even start proves nothing and is no catch."""
    with tempfile.TemporaryDirectory(prefix="labbroker-fault-") as folder:
        copy = Path(folder)
        _copy_to(copy)
        target = copy / fault.file
        target.write_text(fault.applied(target.read_text("utf-8")), "utf-8")
        return run_tests(copy, fault.tests) == _TESTS_FAILED


def run_tests(folder: Path, tests: Sequence[str]) -> int:
    """pytest's exit code: 0 all passed, 1 some failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder), "LABBROKER_POWER_CUTS": "600"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_LIMIT_SECONDS,
        check=False,
    ).returncode


def _copy_to(folder: Path) -> None:
    for part in _PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
