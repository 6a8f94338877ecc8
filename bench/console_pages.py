"""How long each page of the console takes on a full store, for each kind of person, with each
filter. The service has one core to itself; one person asks, one page after the other.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from bench.contestants import Running, service_at
from bench.full_store import CLINICS, LABS, RARE, clinic_code, fill, lab_code, source_id
from bench.idle import processor_seconds
from broker.access.roles import Role
from broker.store.engine import open_writer
from tests.access.web_people import SignedIn, sign_in_as

RECORDS = 1_000_000
GOAL_MS = 150.0
_ROUNDS = 40
_CLINIC = 7
_COACHED = 40
_PAGES = {
    "today": "/",
    "today, what changes": "/?part=1",
    "worklist": "/worklist",
    "records": "/records",
    "records further on": "/records?after={middle}",
    **{
        f"records {state}": f"/records?state={state}"
        for state in ("held", "ready", "accepted", "rejected", "superseded", "unknown")
    },
    "records of an order": "/records?order=09044C",
    "records of a rare order": f"/records?order={RARE}",
    "records of no order": "/records?order=99999X",
    "held records of an order": "/records?state=held&order=09044C",
    "rejected records of an order": "/records?state=rejected&order=09044C",
    "superseded records of an order": "/records?state=superseded&order=09044C",
    "accepted records of a rare order": f"/records?state=accepted&order={RARE}",
    "records of a clinic": "/records?clinic={clinic}",
    "held records of a clinic": "/records?state=held&clinic={clinic}",
    "records of a package": "/records?package={stem}",
    **{f"records due {due}": f"/records?due={due}" for due in ("open", "missed", "risk", "calm")},
    "held records due": "/records?state=held&due=open",
    "records of an order due": f"/records?order={RARE}&due=open",
    "record": "/records/{record}",
    "uploads": "/uploads",
    "uploads further on": "/uploads?after={package}",
    "uploads checked": "/uploads?state=checked",
    "uploads unknown": "/uploads?state=unknown",
    "upload": "/uploads/{package}",
    "deliveries": "/deliveries",
    "deliveries further on": "/deliveries?after={middle}",
    **{
        f"deliveries {state}": f"/deliveries?state={state}"
        for state in ("queued", "failed", "acknowledged", "refused")
    },
    "inbox": "/inbox",
    "inbox unread": "/inbox?unread=1",
    "critical": "/critical",
    "critical, all": "/critical?all=1",
    "rates": "/rates",
    "a clinic's rates": "/rates/{clinic}",
    "sources": "/sources",
    "codes": "/codes",
    "entry": "/entry",
    "cards": "/cards",
    "people": "/people",
    "audit": "/audit",
    "audit of a person": "/audit?person=person-7",
    "settings": "/settings",
    "events": "/api/v1/events?looks=1",
    "API: records": "/api/v1/records",
    "API: deliveries": "/api/v1/deliveries",
    "API: inbox": "/api/v1/inbox",
    "API: worklist": "/api/v1/worklist",
}
_SETTINGS = """\
data_dir = "store"

[mllp]
port = 0

[http]
port = 0

[logging]
file = "labbroker.log"
"""
_SOURCE = '\n[[source]]\nid = "lab-{n}"\nlab_code = "JY{n:08d}"\nsending_application = "L{n}"\n'


def run(folder: Path, records: int = RECORDS, rounds: int = _ROUNDS) -> dict[str, Any]:
    """Milliseconds for each page and person: the first time, the middle, the 95th of a hundred,
    and the service's processor time."""
    began = time.perf_counter()
    fill(folder / "store", records)
    filled = time.perf_counter() - began
    return {
        "records": records,
        "filled in seconds": round(filled, 1),
        "goal ms": GOAL_MS,
        **measure(folder, records, rounds),
    }


def measure(folder: Path, records: int, rounds: int, only: str = "") -> dict[str, Any]:
    """The pages whose names hold ``only``, on the store in ``folder``."""
    people = signed_in(folder / "store")
    with on_one_core(), service_at(settings_in(folder)) as running, elsewhere():
        pages = asyncio.run(_pages(running, people, records, rounds, only))
    over = [name for name, each in pages.items() if each["p95 ms"] >= GOAL_MS]
    return {"started in seconds": round(running.start_seconds, 1), "pages": pages, "over": over}


def settings_in(folder: Path) -> Path:
    """Settings of a service whose laboratories are those of the store, and which sends nothing."""
    file = folder / "labbroker.toml"
    file.write_text(_SETTINGS + "".join(_SOURCE.format(n=n) for n in range(LABS)), "utf-8")
    return file


def signed_in(store: Path) -> dict[str, SignedIn]:
    """One of each kind who is signed in."""
    engine = open_writer(store)
    coached = [clinic_code(number) for number in range(0, CLINICS, CLINICS // _COACHED)]
    try:
        with engine.begin() as connection:
            return {
                "operator": sign_in_as(connection, Role.OPERATOR),
                "clinic": sign_in_as(connection, Role.CLINIC, [clinic_code(_CLINIC)]),
                "lab": sign_in_as(
                    connection, Role.LAB, [lab_code(_CLINIC), source_id(_CLINIC)], language="en"
                ),
                "coach": sign_in_as(connection, Role.COACH, coached, login="coach"),
            }
    finally:
        engine.dispose()


@contextmanager
def on_one_core() -> Iterator[None]:
    """What is started inside has the first core alone, with all its threads."""
    with _on({min(_CORES)}):
        yield


@contextmanager
def elsewhere() -> Iterator[None]:
    """This process leaves the first core, where there is another."""
    with _on(_CORES - {min(_CORES)} or _CORES):
        yield


_CORES = os.sched_getaffinity(0)


@contextmanager
def _on(cores: set[int]) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def _pages(
    running: Running, people: dict[str, SignedIn], records: int, rounds: int, only: str
) -> dict[str, dict[str, float]]:
    number = _CLINIC * 4 + CLINICS * 4 * (records // (CLINICS * 4) // 2)
    package = _CLINIC + CLINICS * (records // 100 // CLINICS // 2)
    places = {
        "record": number,
        "middle": records // 2,
        "package": package,
        "stem": f"{clinic_code(package)}{package:010d}",
        "clinic": clinic_code(_CLINIC),
    }
    found: dict[str, dict[str, float]] = {}
    for who, person in people.items():
        async with ClientSession(cookies=person.cookies) as session:
            for name, path in _PAGES.items():
                if only not in f"{name}, {who}":
                    continue
                url = f"http://127.0.0.1:{running.port}{path.format(**places)}"
                told = await _page(session, url, running.process_id, rounds)
                if told:
                    found[f"{name}, {who}"] = told
    return found


async def _page(session: ClientSession, url: str, process_id: int, rounds: int) -> dict[str, float]:
    """Nothing where the page is not for that person."""
    took: list[float] = []
    spent = 0.0
    for number in range(rounds + 1):
        began = time.perf_counter()
        async with session.get(url, allow_redirects=False) as answer:
            await answer.read()
            if answer.status in (403, 404):
                return {}
            assert answer.status == 200, (answer.status, url)
        took.append(1000 * (time.perf_counter() - began))
        if number == 0:
            spent = processor_seconds(process_id)
    spent = processor_seconds(process_id) - spent
    first, *later = took
    later.sort()
    return {
        "first ms": round(first, 1),
        "median ms": round(later[len(later) // 2], 1),
        "p95 ms": round(later[max(0, int(len(later) * 0.95) - 1)], 1),
        "cpu ms": round(1000 * spent / rounds, 1),
    }
