"""Who is measured at the MLLP door: each starts as a child process and says its port."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select

from adapters.card.software_key import create_rehearsal_authority, create_rehearsal_key
from adapters.folder.formats.ic_card_writer import write_ic_card
from bench.message import CODES, PEOPLE, visits
from broker.demo.people import CLINIC, LAB
from broker.store.engine import open_reader
from broker.store.schema import visit

_SERVERS = Path(__file__).parent / "servers"
_SIMPLE_HL7 = "simple-hl7@3.3.0"
_START_SECONDS = 120.0
_VISITS_SECONDS = 60.0
_NOWHERE = "http://127.0.0.1:9"


class DidNotStart(RuntimeError):
    """A server said nothing in time."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens. ``start_seconds`` is from its start to its first word."""

    port: int
    process_id: int
    start_seconds: float


@dataclass(frozen=True, slots=True)
class Contestant:
    """``start`` is given a folder of its own. ``stores``: what it answers is on disk."""

    name: str
    stores: bool
    start: Callable[[Path], contextlib.AbstractContextManager[Running]]


@contextmanager
def floor(folder: Path) -> Iterator[Running]:
    """Write, sync, answer; nothing else."""
    command = [sys.executable, "-m", "bench.servers.floor", str(folder / "frames")]
    with _started(command, r"ready (\d+)") as running:
        yield running


@contextmanager
def python_hl7(_: Path) -> Iterator[Running]:
    """``hl7.mllp`` of python-hl7."""
    with _started([sys.executable, "-m", "bench.servers.python_hl7"], r"ready (\d+)") as running:
        yield running


@contextmanager
def hl7lw(_: Path) -> Iterator[Running]:
    """``hl7lw.mllp.MllpServer``."""
    with _started([sys.executable, "-m", "bench.servers.hl7lw_server"], r"ready (\d+)") as running:
        yield running


def install_simple_hl7(folder: Path) -> Contestant | str:
    """npm's simple-hl7 put into ``folder``, or the reason why it cannot be measured."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return "node or npm is not there"
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), _SIMPLE_HL7],
        capture_output=True,
        timeout=180,
        check=False,
    )
    if installed.returncode:
        return f"npm could not install {_SIMPLE_HL7}"
    package = folder / "node_modules" / "simple-hl7"
    command = [node, str(_SERVERS / "simple_hl7.js"), str(package)]
    return Contestant("simple-hl7", False, lambda _: _started(command, r"ready (\d+)"))


@contextmanager
def labbroker(folder: Path) -> Iterator[Running]:
    """``labbroker serve`` with a settings file, visits, a key and its pipeline on.

    A store that stands in ``folder`` already is used as it is.
    """
    with serving(folder) as running:
        yield running


@contextmanager
def serving(
    folder: Path,
    *,
    people: int = PEOPLE,
    gateway: str = _NOWHERE,
    institution: str = "",
    schedule: str = "",
) -> Iterator[Running]:
    """The same with the visits of ``people`` and a gateway at this URL; ``institution`` and
    ``schedule`` are further lines of the settings."""
    settings = prepare_service(folder, people, gateway, institution, schedule)
    command = [sys.executable, "-m", "broker.cli.main", "serve", "--config", str(settings)]
    with _started(command, r"labbroker is ready: mllp://127\.0\.0\.1:(\d+) ") as running:
        _wait_taken(folder / "inbox", folder / "store")
        yield running


@contextmanager
def service_at(settings: Path) -> Iterator[Running]:
    """``labbroker serve`` with these settings; the port is that of its HTTP door."""
    command = [sys.executable, "-m", "broker.cli.main", "serve", "--config", str(settings)]
    with _started(command, r"http://127\.0\.0\.1:(\d+)") as running:
        yield running


def prepare_keys(folder: Path) -> Path:
    """The rehearsal key of the clinic in ``folder``; returns the certificate of its authority."""
    keys = folder / "keys"
    authority = create_rehearsal_authority(keys / "authority")
    create_rehearsal_key(keys / CLINIC, CLINIC, authority)
    return authority.certificate_file


def prepare_service(
    folder: Path,
    people: int = PEOPLE,
    gateway: str = _NOWHERE,
    institution: str = "",
    schedule: str = "",
) -> Path:
    """Write what a running service needs into ``folder``; returns the settings file."""
    if not (folder / "keys").exists():
        prepare_keys(folder)
    inbox = folder / "inbox"
    inbox.mkdir(exist_ok=True)
    partial = folder / "visits.part"
    partial.write_bytes(write_ic_card(visits(people)))
    partial.rename(inbox / "visits.xml")
    codes = "\n".join(
        f'{code} = {{ order_code = "{link.order_code}", item_number = {link.item_number} }}'
        for code, link in CODES.items()
    )
    settings = folder / "labbroker.toml"
    text = _SETTINGS.format(
        lab=LAB,
        clinic=CLINIC,
        codes=codes,
        gateway=gateway,
        institution=institution,
        schedule=schedule,
    )
    settings.write_text(text, "utf-8")
    return settings


def _wait_taken(inbox: Path, store: Path) -> None:
    """Until the visits are stored: what that costs is no cost of a result."""
    deadline = time.monotonic() + _VISITS_SECONDS
    reader = open_reader(store)
    try:
        while (inbox / "visits.xml").exists() or not _has_visits(reader):
            if time.monotonic() > deadline:
                raise DidNotStart("the folder door did not take the visits")
            time.sleep(0.05)
    finally:
        reader.dispose()
    time.sleep(0.5)


def _has_visits(reader: Engine) -> bool:
    with reader.connect() as connection:
        return connection.execute(select(visit.c.id).limit(1)).first() is not None


@contextmanager
def _started(command: list[str], ready: str) -> Iterator[Running]:
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    watchdog = threading.Timer(_START_SECONDS, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        found = re.search(ready, process.stdout.readline())
        watchdog.cancel()
        if found is None:
            raise DidNotStart(" ".join(command[-3:]))
        yield Running(int(found.group(1)), process.pid, time.monotonic() - began)
    finally:
        watchdog.cancel()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


CONTESTANTS = (
    Contestant("floor", True, floor),
    Contestant("labbroker", True, labbroker),
    Contestant("hl7lw", False, hl7lw),
    Contestant("python-hl7", False, python_hl7),
)

_SETTINGS = """\
data_dir = "store"

[mllp]
port = 0

[http]
port = 0

[logging]
file = "labbroker.log"

[[source]]
id = "bench-lab"
lab_code = "{lab}"
clinic_code = "{clinic}"
peers = ["127.0.0.1"]
sending_application = "LIS"
default_method = "Analyzer"

[source.codes]
{codes}

[[source]]
id = "bench-clinic"
clinic_code = "{clinic}"
sending_application = "(this source drops files)"

[[folder]]
path = "inbox"
source = "bench-clinic"
quiet_seconds = 0
scan_seconds = 1

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
{institution}
[channel.sandbox]
base_url = "{gateway}"
{schedule}"""
