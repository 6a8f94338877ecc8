"""A broker with the demo's made-up results and its console, on a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from adapters.folder.formats.ic_card_writer import write_ic_card
from broker.access.roles import Role
from broker.demo.messages import Times, fhir_bundles, hl7_messages, result_file
from broker.demo.people import visits
from broker.demo.rehearsal import Rehearsal, rehearsal
from broker.demo.senders import drop_file, post_fhir, send_hl7
from tests.access.web_people import SignedIn, sign_in_as

T = TypeVar("T")
_PATIENCE_SECONDS = 60


@dataclass(slots=True)
class RunningConsole:
    """``url`` is the HTTP door."""

    stage: Rehearsal
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.stage.broker.http_port}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the broker's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_PATIENCE_SECONDS)

    def write(self, work: Callable[[Any], T]) -> T:
        """One transaction of the store."""

        async def write() -> T:
            done: T = await self.stage.broker._writer.write(work)
            return done

        return self.run(write())

    def sign_in(
        self, role: Role, institutions: Iterable[str] = (), *, language: str = "zh"
    ) -> SignedIn:
        """Someone of that role, signed in."""
        login = f"{role.value}-{language}-{len(list(institutions))}"
        return self.write(
            lambda c: sign_in_as(c, role, institutions, login=login, language=language)
        )

    def at_rest(self) -> None:
        """Until nothing waits to be read, sent or checked."""

        async def rest() -> None:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self.stage.broker.at_rest()

        self.run(rest())


async def send_scenario(stage: Rehearsal) -> None:
    """What the demo sends, but for the correction at its end."""
    now = datetime.now(UTC)
    times = Times.before(now)

    def tell(door: str, what: str, answer: str) -> None:
        pass

    drop_file(stage.visits_inbox, "visits.xml", write_ic_card(visits(now)))
    await _taken(stage)
    await send_hl7(stage, hl7_messages(times), tell)
    await post_fhir(stage, fhir_bundles(times), tell)
    drop_file(stage.lab_inbox, *result_file(times))
    await _taken(stage)


async def _taken(stage: Rehearsal) -> None:
    def waiting() -> bool:
        inboxes = (stage.lab_inbox, stage.visits_inbox)
        return any(path.is_file() for inbox in inboxes for path in inbox.iterdir())

    while waiting():  # noqa: ASYNC110 - the state is in the file system
        await asyncio.sleep(0.05)
    await stage.broker.at_rest()


@contextmanager
def running_console(folder: Path) -> Iterator[RunningConsole]:
    """The broker of a rehearsal after all results came to rest."""
    ready: threading.Event = threading.Event()
    found: list[RunningConsole] = []
    failed: list[BaseException] = []
    ended = asyncio.Event()

    async def main() -> None:
        async with rehearsal(folder, "zh-TW") as stage:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await send_scenario(stage)
            found.append(RunningConsole(stage, asyncio.get_running_loop()))
            ready.set()
            await ended.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            failed.append(error)
        ready.set()

    thread = threading.Thread(target=run, name="console")
    thread.start()
    ready.wait()
    try:
        if failed:
            raise failed[0]
        yield found[0]
    finally:
        if found and thread.is_alive():
            found[0].loop.call_soon_threadsafe(ended.set)
        thread.join()


def cookies_for(browser_url: str, who: SignedIn) -> list[dict[str, str]]:
    """For Playwright's ``add_cookies``."""
    return [
        {"name": name, "value": value, "url": browser_url} for name, value in who.cookies.items()
    ]


def told(raw: bytes) -> Any:
    """JSON as plain values."""
    return json.loads(raw)
