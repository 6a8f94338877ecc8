"""The real programs as child processes: `labbroker serve` and the stand-in gateway, in one folder.

Every process here is started by the test and ended by its own id; nothing else is touched.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
from sqlalchemy import Engine

from adapters.card.software_key import create_rehearsal_authority, create_rehearsal_key
from broker.demo.people import CLINIC, LAB
from broker.sandbox.settings import DOCUMENTED_PASSWORD
from broker.store.overview import has_open_receipts
from broker.store.packages import next_package_at
from broker.store.ready_records import ready_overview

CLINICS = (CLINIC, "3599900002", "3599900003")
"""Several, because a clinic has no more than 999 file numbers a day."""
TOKEN = "a-token-of-the-acceptance-tests"
_READY = re.compile(r"labbroker is ready: mllp://127\.0\.0\.1:(\d+) http://127\.0\.0\.1:(\d+)/fhir")
_PATIENCE_SECONDS = 60.0
_REST_SECONDS = 150

_SETTINGS = """\
data_dir = "store"

[mllp]
port = 0

[http]
port = 0

[logging]
file = "labbroker.log"
level = "{log_level}"

[[source]]
id = "lab"
lab_code = "{lab}"
clinic_code = "{clinic}"
sending_application = "LIS"
default_method = "無"

[[source]]
id = "lab-fhir"
lab_code = "{lab}"
token_sha256 = ["{token}"]
sending_application = "(none: this source posts FHIR)"
default_method = "無"
default_unit = "無"

[[source]]
id = "lab-files"
lab_code = "{lab}"
sending_application = "(none: this source drops files)"
default_method = "無"

[[source]]
id = "clinic"
clinic_code = "{clinic}"
sending_application = "(none: this source drops files)"

[[folder]]
path = "inbox/lab"
source = "lab-files"
quiet_seconds = 0
scan_seconds = 1

[[folder]]
path = "inbox/visits"
source = "clinic"
quiet_seconds = 0
scan_seconds = 1

[channel.sandbox]
base_url = "{gateway}"
timeout_seconds = 2

[schedule]
seal_after_seconds = 0.1
verdict_poll_seconds = 0.3
settle_seconds = {settle_seconds}
"""
_CLINIC_SETTINGS = """
[[agreement]]
lab_code = "{lab}"
clinic_code = "{clinic}"
route = "clinic"
commission = "specimen"

[[institution]]
code = "{clinic}"
kind = "11"
channel = "sandbox"
credential = "software"
credential_folder = "keys/{clinic}"
verdict_password = "file:verdict-password"
"""


@dataclass(slots=True)
class Ground:
    """One folder with keys and settings, in which the programs run."""

    folder: Path
    password: str = DOCUMENTED_PASSWORD
    authority: Path = field(init=False)

    def __post_init__(self) -> None:
        authority = create_rehearsal_authority(self.folder / "keys" / "authority")
        for clinic in CLINICS:
            create_rehearsal_key(self.folder / "keys" / clinic, clinic, authority)
        self.authority = authority.certificate_file
        password = self.folder / "verdict-password"
        password.touch(mode=0o600)
        password.write_text(self.password, "ascii")
        for inbox in (self.lab_inbox, self.visits_inbox):
            inbox.mkdir(parents=True)

    @property
    def settings_file(self) -> Path:
        return self.folder / "labbroker.toml"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def lab_inbox(self) -> Path:
        return self.folder / "inbox" / "lab"

    @property
    def visits_inbox(self) -> Path:
        return self.folder / "inbox" / "visits"

    def write_settings(
        self, gateway: str, *, settle_seconds: float = 4, log_level: str = "info"
    ) -> None:
        clinics = "".join(_CLINIC_SETTINGS.format(lab=LAB, clinic=clinic) for clinic in CLINICS)
        self.settings_file.write_text(
            _SETTINGS.format(
                lab=LAB,
                clinic=CLINIC,
                token=hashlib.sha256(TOKEN.encode()).hexdigest(),
                gateway=gateway,
                settle_seconds=settle_seconds,
                log_level=log_level,
            )
            + clinics,
            "utf-8",
        )

    def waiting_files(self) -> list[Path]:
        """Files that the folder door has neither taken nor refused. A mark alone is none: it stays
        where the service was killed after it had taken the file."""
        return [
            path
            for inbox in (self.lab_inbox, self.visits_inbox)
            for path in inbox.iterdir()
            if path.suffix != ".done" and path.is_file()
        ]


class Child:
    """A process of ours. Its standard error goes to ``<name>.stderr`` in the folder."""

    started: ClassVar[list[Child]] = []

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.first_line = ""
        self.started.append(self)

    @classmethod
    async def start(cls, name: str, arguments: Sequence[str], folder: Path) -> Child:
        """Start and wait for the first line of output. The output of all runs is kept."""
        with (folder / f"{name}.stderr").open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )
        child = cls(process)
        assert process.stdout is not None
        async with asyncio.timeout(_PATIENCE_SECONDS):
            line = await process.stdout.readline()
        with (folder / f"{name}.stdout").open("ab") as stdout:
            stdout.write(line)
        assert line, f"{name} ended before it was ready, see {name}.stderr"
        child.first_line = line.decode()
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def kill(self) -> None:
        """kill -9, this process alone."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await self._process.wait()

    async def wait(self) -> int:
        """The exit code of a process that ends by itself."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await self._process.wait()


@asynccontextmanager
async def no_child_left() -> AsyncIterator[None]:
    """Kills at the end what the test has started and left running."""
    try:
        yield
    finally:
        while Child.started:
            await Child.started.pop().kill()


@dataclass(frozen=True, slots=True)
class Service:
    """A running `labbroker serve`."""

    child: Child
    mllp_port: int
    http_port: int

    @classmethod
    async def start(cls, ground: Ground, program: Sequence[str] = ()) -> Service:
        """``program`` stands in for ``labbroker``, for tests that break it on purpose."""
        command = program or (sys.executable, "-m", "broker.cli.main")
        arguments = (*command, "serve", "--config", str(ground.settings_file))
        child = await Child.start("labbroker", arguments, ground.folder)
        found = _READY.match(child.first_line)
        assert found, child.first_line
        return cls(child, int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class GatewayProgram:
    """A running stand-in gateway, with the operator's view."""

    child: Child
    url: str
    operator_token: str

    @classmethod
    async def start(cls, ground: Ground, *options: str) -> GatewayProgram:
        data = ground.folder / "gateway"
        password = ground.folder / "verdict-password"
        arguments = [
            sys.executable, "-m", "broker.sandbox",
            "--data", str(data),
            "--trust", str(ground.authority),
            "--report-password-file", str(password),
            *options,
        ]  # fmt: skip
        child = await Child.start("gateway", arguments, ground.folder)
        url: str = json.loads(child.first_line)["gateway"]
        return cls(child, url, (data / "operator-token").read_text("ascii").strip())

    async def order_fault(self, fault: str, **how: float) -> None:
        """Let the next request meet ``fault``."""
        await self._operate("POST", "/faults", {"fault": fault, **how})

    async def clear_faults(self) -> None:
        await self._operate("DELETE", "/faults", None)

    async def ledger(self) -> dict[str, Any]:
        return await self._operate("GET", "/ledger", None)

    async def _operate(self, method: str, path: str, body: Any) -> dict[str, Any]:
        headers = {"X-Operator-Token": self.operator_token}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, json=body, headers=headers) as answer,
        ):
            assert answer.status == 200, await answer.text()
            told: dict[str, Any] = await answer.json()
            return told


async def until_at_rest(reader: Engine, *grounds: Ground) -> None:
    """Until nothing waits to be taken, read, sealed, sent or checked."""

    def waiting() -> dict[str, object]:
        # In the order of the way, so that nothing slips past from one to the next.
        files = [path.name for ground in grounds for path in ground.waiting_files()]
        with reader.connect() as connection:
            found = {
                "files": files,
                "receipts": has_open_receipts(connection),
                "records": ready_overview(connection),
                "packages": next_package_at(connection),
            }
        return {what: waits for what, waits in found.items() if waits}

    for _ in range(5 * _REST_SECONDS):
        if not waiting():
            return
        await asyncio.sleep(0.2)
    pytest.fail(f"not at rest after {_REST_SECONDS} seconds: {waiting()}")


async def command_output(ground: Ground, *arguments: str) -> str:
    """Standard output of a `labbroker` command that must succeed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "broker.cli.main",
        *arguments, "--config", str(ground.settings_file),
        cwd=ground.folder,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()
