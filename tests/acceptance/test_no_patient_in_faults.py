"""Nothing that names a patient comes out of a broken service at the most talkative log level.

The real `labbroker serve` runs with every part made to fail with a patient's data in the error's
text (see :mod:`tests.acceptance.faulty_service`). Then everything is searched that the process
left or showed: log, standard output and error, command lines, temporary files, metrics, answers
to those who may not know, the output of `status` and `doctor`. Where patient data belongs (the
store, the packages, the gateway's own folder, the folders of dropped files) is left out, and so
are the files that are secret by their purpose: keys, the password, ``control.json``.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.hl7.client import NotAcknowledged, connect
from broker.demo.messages import Line, Times, bundle, oru
from broker.demo.people import CLINIC, Person, national_id
from broker.demo.senders import drop_file
from mapping.moment import TAIPEI
from mapping.rocdate import roc_date
from mapping.visit import Order, Visit
from tests.acceptance.faulty_service import FAULT_MARK
from tests.acceptance.running_service import (
    CLINICS,
    TOKEN,
    Child,
    GatewayProgram,
    Ground,
    Service,
    command_output,
    no_child_left,
)

PASSWORD = national_id("W", 28800008)
CHART = "CHART-5580017"
VALUE = "7391.4827"
PEOPLE = (
    Person(national_id("P", 17700001), "功育回^才", date(1937, 8, 29), "M"),
    Person(national_id("Q", 27700002), "陳^秀琴", date(1949, 11, 5), "F"),
    Person(national_id("R", 17700003), "歐陽^文彬", date(1961, 1, 17), "M"),
    Person(national_id("S", 27700004), "Ricci^Maddalena", date(1988, 4, 26), "F"),
)
FILE_NAME = f"{PEOPLE[1].national_id}-陳秀琴.csv"
_BELONGS = ("store/labbroker.sqlite", "store/packages/", "gateway/", "inbox/")
_SECRET_BY_PURPOSE = ("keys/", "verdict-password", "store/control.json")


def forms(told: str) -> Iterator[bytes]:
    """A text as it could leak: encoded, escaped, quoted, in hex and base64 at any alignment."""
    for charset in ("utf-8", "cp950", "utf-16-le", "utf-16-be"):
        raw = told.encode(charset)
        yield raw
        yield raw.hex().encode()
        yield raw.hex().upper().encode()
        yield repr(raw)[2:-1].encode()
        for shift in range(3):
            yield base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 :].rstrip(b"=")[:-2]
    yield quote(told).encode()
    yield quote(told.encode("cp950")).encode()
    yield json.dumps(told)[1:-1].encode()
    yield told.encode("unicode_escape")
    yield html.escape(told).encode("ascii", "xmlcharrefreplace")


def canaries() -> Iterator[str]:
    for person in PEOPLE:
        family, _, given = person.name.partition("^")
        yield from (person.national_id, f"{family}{given}", person.name)
        yield person.birth_on.isoformat()
        yield f"{person.birth_on:%Y%m%d}"
        yield roc_date(person.birth_on)
    yield from (CHART, VALUE, TOKEN, PASSWORD)


@dataclass
class Outside:
    """What the run showed to anybody, by where it was seen."""

    seen: dict[str, bytes] = field(default_factory=dict)
    belongs: bytes = b""

    def leaks(self) -> list[str]:
        """Where a canary was seen; never the canary itself."""
        return [
            f"canary {number} as form {which} in {where}"
            for number, canary in enumerate(canaries())
            for which, form in enumerate(forms(canary))
            for where, raw in self.seen.items()
            if form in raw
        ]


def clinic_of(number: int) -> str:
    """Two clinics: while one is kept back by a fault of its sealing, the other goes on."""
    return CLINICS[number % 2]


def messages() -> list[bytes]:
    """Good ones, broken ones, and ones that break their readers."""
    times = Times.before(datetime.now(UTC))
    made = []
    for number, person in enumerate(PEOPLE):
        line = Line("GLU", "Glucose", "NM", VALUE, "mg/dL", "70-99")
        raw = oru(str(number), person, "09005C^^NHI", f"{CHART}{number}", (line,), times)
        raw = raw.replace(b"^^^^NNTWN||", f"^^^^NNTWN~{CHART}^^^^MR||".encode())
        raw = raw.replace(CLINIC.encode(), clinic_of(number).encode())
        big5 = raw.replace(b"UNICODE UTF-8", b"BIG-5").decode().encode("cp950")
        made += [
            raw,
            raw.replace(b"|P|2.5.1", f"|P|2.5.1||{FAULT_MARK}".encode()),
            big5,
            raw[: len(raw) // 2],
            raw.replace("功".encode(), b"\xff\xfe").replace("陳".encode(), b"\xa5"),
            raw.replace(VALUE.encode(), b"5_6"),
            raw.replace(b"MSH|", b"XXX|"),
            # The sender's own number of the message may be a patient's.
            raw.replace(f"|{number}|P".encode(), f"|{person.national_id}|P".encode()),
        ]
    return made


def bundles() -> list[bytes]:
    times = Times.before(datetime.now(UTC))
    made = []
    for number, person in enumerate(PEOPLE):
        raw = bundle(
            f"B{number}", person, "09005C", "Glucose", times,
            value=VALUE, unit="mg/dL", low="70.00", high="99.00",
        )  # fmt: skip
        raw = raw.replace(CLINIC.encode(), clinic_of(number).encode())
        plain = json.loads(raw)
        plain["entry"][2]["resource"]["name"] = [{"text": person.name.replace("^", "")}]
        plain["entry"][2]["resource"]["identifier"][0]["value"] = person.national_id
        named = json.dumps(plain, ensure_ascii=False).encode()
        made += [
            raw,
            named,
            raw.replace(b"Glucose", FAULT_MARK.encode()),
            raw[: len(raw) // 2],
            raw.replace(b'"birthDate": "', b'"birthDate": "x'),
            raw.replace(person.national_id.encode(), person.national_id.encode() + b"\\ud800"),
            raw.replace(b'"status": "final"', f'"status": "{person.national_id}"'.encode()),
        ]
    return made


def visits() -> bytes:
    day = Times.before(datetime.now(UTC)).collected
    return write_ic_card(
        tuple(
            Visit(
                institution_code=clinic_of(number),
                national_id=person.national_id,
                birth_on=person.birth_on,
                card_at=day.replace(hour=8, minute=number, second=0).astimezone(UTC),
                visit_type="01",
                visit_serial=f"{number + 1:04d}",
                visit_on=day.astimezone(TAIPEI).date(),
                provider_id=national_id("C", 19900077),
                orders=(Order("09005C", card_mark="03"),),
            )
            for number, person in enumerate(PEOPLE)
        )
    )


async def send(service: Service, outside: Outside) -> None:
    for raw in messages():
        with contextlib.suppress(NotAcknowledged, OSError, ValueError):
            async with await connect("127.0.0.1", service.mllp_port) as client:
                await client.send(raw)
    # Nobody's peer: its answer may tell nothing of what it did not send itself.
    with contextlib.suppress(NotAcknowledged, OSError):
        async with await connect("127.0.0.1", service.mllp_port) as client:
            answer = await client.send(
                b"MSH|^~\\&|STRANGER||||20250101||ORU^R01|1|P|2.5.1\rPID|1\r"
            )
            outside.seen["answer to a stranger"] = answer.text.encode()
    base = f"http://127.0.0.1:{service.http_port}"
    kind = {"Content-Type": "application/fhir+json"}
    async with aiohttp.ClientSession() as session:
        for number, raw in enumerate(bundles()):
            for who, token in (("owner", TOKEN), ("stranger", "guess"), ("nobody", "")):
                headers = {**kind, "Authorization": f"Bearer {token}"}
                async with session.post(f"{base}/fhir", data=raw, headers=headers) as response:
                    body = await response.read()
                    told = str(response.headers).encode()
                if who != "owner":
                    assert response.status == 401
                    outside.seen[f"HTTP answer to {who} {number}"] = body + told
        for path in ("/healthz", "/readyz", "/metrics", "/fhir/metadata", "/nothing", "/fhir"):
            async with session.get(base + path) as response:
                outside.seen[path] = await response.read()


def drop(ground: Ground) -> None:
    drop_file(ground.visits_inbox, "visits.xml", visits())
    header = "national_id,birth_on,clinic_code,order_code,item_name,value,unit,reported_at"
    person = PEOPLE[1]
    row = (
        f"{person.national_id},{person.birth_on},{CLINIC},09005C,Glucose,{VALUE},mg/dL,"
        "2025-02-31 99:00"
    )
    drop_file(ground.lab_inbox, FILE_NAME, f"{header}\n{row}\n".encode())
    drop_file(ground.lab_inbox, f"2{FILE_NAME}", f"{header}\n{row},{row}\n".encode())
    drop_file(ground.lab_inbox, f"3{FILE_NAME}", f"{header}\n{row} {FAULT_MARK}\n".encode())
    drop_file(ground.lab_inbox, f"4{FILE_NAME}", f"<{person.name}>".encode())


def look_around(ground: Ground, outside: Outside) -> None:
    """Every file of the run that is not where patient data belongs."""
    for path in ground.folder.rglob("*"):
        name = path.relative_to(ground.folder).as_posix()
        if not path.is_file() or name.startswith(_SECRET_BY_PURPOSE):
            continue
        if name.startswith(_BELONGS):
            outside.belongs += path.read_bytes()
        else:
            outside.seen[name] = path.read_bytes()


def command_line(child: Child) -> bytes:
    process = Path(f"/proc/{child.pid}")
    if not process.is_dir():  # pragma: no cover - not on this system
        return b""
    return (process / "cmdline").read_bytes() + (process / "environ").read_bytes()


HAPPEN = {
    "pipeline.fault": 5,
    "service.fault": 3,
    "receipt.quarantined": 5,
    "library.message": 5,
    "receipt.parsed": 10,
    "package.failed": 1,
    "package.submitted": 1,
}
"""How often at least each event is in the log of the run."""


async def until_quiet(ground: Ground) -> None:
    """Until all has happened and the service has had nothing of its own to log for a while."""
    log = ground.folder / "labbroker.log"

    def own_lines() -> int:
        return sum(b'"library.message"' not in line for line in log.read_bytes().splitlines())

    def happened() -> bool:
        told = log.read_bytes()
        return all(told.count(f'"{event}"'.encode()) >= least for event, least in HAPPEN.items())

    count, still = -1, 0
    async with asyncio.timeout(120):
        while still < 5 or not happened():
            await asyncio.sleep(0.4)
            now = own_lines()
            count, still = now, still + 1 if now == count else 0


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Outside:
    return asyncio.run(_run(tmp_path_factory.mktemp("faults")))


@contextlib.asynccontextmanager
async def _programs(ground: Ground) -> AsyncIterator[tuple[GatewayProgram, Service]]:
    gateway = await GatewayProgram.start(ground)
    ground.write_settings(gateway.url, log_level="debug", settle_seconds=1)
    (ground.folder / "tmp").mkdir()
    os.environ["TMPDIR"] = str(ground.folder / "tmp")
    try:
        program = (sys.executable, "-X", "dev", "-m", "tests.acceptance.faulty_service")
        service = await Service.start(ground, program)
    finally:
        del os.environ["TMPDIR"]
    try:
        yield gateway, service
    finally:
        await service.child.kill()
        await gateway.child.kill()


async def _run(folder: Path) -> Outside:
    ground = Ground(folder, password=PASSWORD)
    seen = Outside()
    async with no_child_left(), _programs(ground) as (gateway, service):
        drop(ground)
        await send(service, seen)
        seen.seen["command line of the service"] = command_line(service.child)
        seen.seen["command line of the gateway"] = command_line(gateway.child)
        await until_quiet(ground)
        for command in ("status", "doctor"):
            with contextlib.suppress(AssertionError):  # doctor may find something missing
                seen.seen[command] = (await command_output(ground, command)).encode()
        await service.child.stop()
    look_around(ground, seen)
    return seen


def test_no_patient_and_no_secret_comes_out_of_a_broken_service(outside: Outside) -> None:
    assert outside.leaks() == []


def test_the_faults_really_happened(outside: Outside) -> None:
    events: dict[str, int] = {}
    classes = set()
    for line in outside.seen["labbroker.log"].splitlines():
        told: dict[str, Any] = json.loads(line)
        events[told["event"]] = events.get(told["event"], 0) + 1
        classes.add(told.get("error_class"))
    for event, least in HAPPEN.items():
        assert events.get(event, 0) >= least, event
    assert {"KeyError", "ValueError"} <= classes


def test_the_search_would_find_what_it_looks_for(outside: Outside) -> None:
    for person in PEOPLE:
        assert person.national_id.encode() in outside.belongs
    assert VALUE.encode() in outside.belongs
    planted = Outside({"a log": b"x" + base64.b64encode(b"ab" + PEOPLE[0].national_id.encode())})
    assert planted.leaks()
    assert Outside({"a log": PEOPLE[0].name.replace("^", "").encode("cp950")}).leaks()
