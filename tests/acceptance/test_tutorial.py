"""The commands of the tutorial are run as they are written, on ports and in a folder of our own."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Require

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial" / "first-result.md"
PATIENCE_SECONDS = 90


def blocks() -> list[str]:
    text = TUTORIAL.read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def one(containing: str) -> str:
    (block,) = (each for each in blocks() if containing in each)
    return block


def free_ports(count: int) -> list[int]:
    """Below those that the system gives to whoever asks for any, and each worker has its own: none
    is taken before it is used."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20_000 + worker % 20 * 500
    free: list[int] = []
    for port in random.sample(range(first, first + 500), 500):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            free.append(port)
        if len(free) == count:
            return free
    raise AssertionError("no port is free")


class Reader:
    """Somebody who types the commands of the tutorial in a folder with a copy of the examples."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(("2575", "8080", "8091"), map(str, free_ports(3)), strict=True))
        shutil.copytree(ROOT / "examples", folder / "examples")
        settings = folder / "examples" / "labbroker.toml"
        settings.write_text(self.here(settings.read_text(encoding="utf-8")), encoding="utf-8")
        programs = folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        (programs / "labbroker").write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -m broker.cli.main "$@"\n', encoding="utf-8"
        )
        (programs / "labbroker").chmod(0o755)
        self.environ = {
            **{name: value for name, value in os.environ.items() if "LABBROKER" not in name},
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "LABBROKER_LANG": "en",
            "LABBROKER_VERDICT_PASSWORD": "A123456789",
        }

    def here(self, text: str) -> str:
        """The same text with the ports of this run."""
        for written, ours in self.ports.items():
            text = re.sub(rf"\b{written}\b", ours, text)
        return text

    def type(self, block: str) -> str:
        done = subprocess.run(
            ["bash", "-c", self.here(block)],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def leave_running(self, block: str, ready: str) -> Iterator[None]:
        command = self.here(block).rstrip().splitlines()
        command[-1] = f"exec {command[-1]}"
        with subprocess.Popen(
            ["bash", "-c", "\n".join(command)],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert ready in process.stdout.readline()
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0

    def until(self, good: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """``status --json`` as soon as it is ``good``."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            told = self.type("labbroker status --json --config examples/labbroker.toml")
            status: dict[str, Any] = json.loads(told)
            if good(status):
                return status
            assert time.monotonic() < end, status
            time.sleep(0.5)


@pytest.mark.slow
def test_the_tutorial_ends_where_it_says(tmp_path: Path, require: Require) -> None:
    require(shutil.which("curl"), "the tutorial sends FHIR with curl, which is not installed")
    reader = Reader(tmp_path)

    told = reader.type(one("labbroker check examples/cbc.hl7\n"))
    assert "HL7 v2, ORU^R01: 1 report(s)" in told
    assert "needs the visit: h2 h3 h5" in told
    told = reader.type(one("--visits examples/visits.xml"))
    assert "set when the report is received: r14" in told
    assert "needs" not in told

    told = reader.type(one("labbroker rehearsal"))
    assert "has a new rehearsal key" in told
    assert "FAIL" not in told

    with (
        reader.leave_running(one("labbroker sandbox"), "gateway"),
        reader.leave_running(one("labbroker serve"), "labbroker is ready"),
    ):
        reader.type(one("cp examples/visits.xml"))
        reader.type(one("cp examples/results.csv"))
        assert "Stored" in reader.type(one("--data-binary @examples/glucose.fhir.json"))
        assert "MSA|AA|SUN00001" in reader.type(one("import socket"))
        reader.until(lambda status: status["records"].get("accepted") == 3)
        reader.type(one("sed 's/"))
        reader.until(lambda status: status["held"].get("unmatched") == 1)
        assert "accepted" in reader.type("labbroker status --config examples/labbroker.toml")
