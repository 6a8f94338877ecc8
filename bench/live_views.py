"""What 500 open live views cost a service with a full store: at rest, with changes, and how long a
change takes to each of them while some read nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector

from bench.console_pages import elsewhere, on_one_core, settings_in
from bench.contestants import Running, service_at
from bench.full_store import CLINICS, LABS, clinic_code, fill, lab_code, source_id
from bench.idle import processor_seconds
from broker.access.roles import Role
from broker.store.engine import open_writer
from tests.access.web_people import SignedIn, sign_in_as

VIEWS = 500
_SLOW = 20
_OTHERS = 10
_SETTLED_AFTER = 8.0
_PER_SECOND = 10


def run(folder: Path, records: int, seconds: float = 10.0) -> dict[str, Any]:
    """Fill a store, start the service on one core, open the views, count and change."""
    fill(folder / "store", records)
    return measure(folder, seconds)


def measure(folder: Path, seconds: float) -> dict[str, Any]:
    """The same on the store in ``folder``. Changes come through the service itself: operators who
    turn their language, which is committed like anything else, and one who confirms critical
    results of one clinic, which that clinic's views are told."""
    people, changer = _people(folder / "store")
    with on_one_core(), service_at(settings_in(folder)) as running, elsewhere():
        return asyncio.run(_measure(running, people, changer, seconds))


def _people(store: Path) -> tuple[list[SignedIn], SignedIn]:
    engine = open_writer(store)
    people = []
    try:
        with engine.begin() as connection:
            for number in range(VIEWS):
                role, codes = Role.CLINIC, [clinic_code(number % 50)]
                if number % 5 == 3:
                    role, codes = Role.LAB, [lab_code(number % LABS), source_id(number % LABS)]
                elif number % 5 == 4:
                    role, codes = Role.OPERATOR, []
                elif number % 50 == 0:
                    role, codes = Role.COACH, [clinic_code(each) for each in range(0, CLINICS, 12)]
                login = f"view-{number}"
                people.append(sign_in_as(connection, role, codes, login=login))
            return people, sign_in_as(connection, Role.OPERATOR, login="changer")
    finally:
        engine.dispose()


async def _measure(
    running: Running, people: list[SignedIn], changer: SignedIn, seconds: float
) -> dict[str, Any]:
    url = f"http://127.0.0.1:{running.port}"
    await asyncio.sleep(_SETTLED_AFTER)
    alone, memory = await _spent(running, seconds, _nothing), resident_mb(running.process_id)
    heard: dict[int, tuple[float, Any]] = {}
    async with ClientSession(connector=TCPConnector(limit=0)) as session:
        began = time.monotonic()
        tasks = [
            asyncio.create_task(_watch(session, url, person, number, heard))
            for number, person in enumerate(people)
        ]
        slow = [await _stalled(running.port, person) for person in people[:_SLOW]]
        while len(heard) < VIEWS:
            await asyncio.sleep(0.02)
            assert time.monotonic() - began < 120, len(heard)
        opened_s = time.monotonic() - began
        at_rest = await _spent(running, seconds, _nothing)
        busy = await _spent(running, seconds, lambda: _turning(session, url, changer, seconds))
        open_mb = resident_mb(running.process_id)
        took = [await _change(session, url, changer, heard) for _ in range(5)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in slow:
            writer.close()
    longest = sorted(each for one in took for each in one)
    return {
        "views": VIEWS,
        "reading nothing": _SLOW,
        "opened in seconds": round(opened_s, 1),
        "core % without views": alone,
        "core % at rest": at_rest,
        f"core % at {_PER_SECOND} changes a second": busy,
        "memory MB without views": memory,
        "memory MB with views": open_mb,
        "told": len(longest),
        "told after s, median": round(longest[len(longest) // 2], 2),
        "told after s, last": round(longest[-1], 2),
    }


async def _nothing() -> None:
    return None


async def _spent(running: Running, seconds: float, work: Callable[[], Awaitable[None]]) -> float:
    """Processor time in per cent of a core."""
    before, began = processor_seconds(running.process_id), time.monotonic()
    await work()
    await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
    spent = processor_seconds(running.process_id) - before
    return round(100 * spent / (time.monotonic() - began), 1)


def resident_mb(process_id: int) -> float:
    """Of a process alone (proc(5), VmRSS)."""
    for line in Path(f"/proc/{process_id}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


async def _watch(
    session: ClientSession,
    url: str,
    person: SignedIn,
    number: int,
    heard: dict[int, tuple[float, Any]],
) -> None:
    async with session.get(f"{url}/api/v1/events", cookies=person.cookies, timeout=None) as answer:
        assert answer.status == 200, answer.status
        async for line in answer.content:
            if line.startswith(b"data: "):
                heard[number] = time.monotonic(), json.loads(line[6:])


async def _stalled(port: int, person: SignedIn) -> asyncio.StreamWriter:
    """One who asks and reads nothing."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    cookies = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\n\r\n".encode())
    await writer.drain()
    return writer


async def _turning(session: ClientSession, url: str, person: SignedIn, seconds: float) -> None:
    until = time.monotonic() + seconds
    number = 0
    while time.monotonic() < until:
        began, number = time.monotonic(), number + 1
        form = {"csrf": person.csrf, "language": ("en", "zh")[number % 2], "back": "/account"}
        async with session.post(
            f"{url}/language", data=form, cookies=person.cookies, allow_redirects=False
        ) as answer:
            assert answer.status == 303, answer.status
        await asyncio.sleep(max(0.0, began + 1 / _PER_SECOND - time.monotonic()))


async def _change(
    session: ClientSession, url: str, person: SignedIn, heard: dict[int, tuple[float, Any]]
) -> list[float]:
    """Seconds until each operator's view has told of one more confirmed critical result."""
    async with session.get(f"{url}/api/v1/critical?limit=1", cookies=person.cookies) as answer:
        critical = (await answer.json())["items"][0]["id"]
    wanted = {
        number: told["critical"] - 1 for number, (_, told) in heard.items() if number % 5 == 4
    }
    began = time.monotonic()
    async with session.post(
        f"{url}/api/v1/critical/{critical}/confirm",
        json={},
        cookies=person.cookies,
        headers=person.headers,
    ) as answer:
        assert answer.status == 200, await answer.text()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(30):
            while any(heard[each][1]["critical"] > least for each, least in wanted.items()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    return [heard[number][0] - began for number in wanted]
