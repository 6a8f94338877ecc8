"""The person of a rehearsal over the portal: uploads what waits, says so, brings the report."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.card.software_key import SoftwareKey
from adapters.nhi.sandbox_channel import SandboxChannel
from adapters.ports.channel import ChannelReceipt, SealedPackage
from broker.cli.control_client import ask_service
from broker.demo.people import CLINIC
from broker.demo.senders import Tell, drop_file
from broker.web.control import find_control

_NAME = "王小明"
_LOOK_SECONDS = 0.2


class Person:
    """``key`` stands for the card at the portal; the stand-in gateway stands for the portal."""

    def __init__(self, folder: Path, store: Path, gateway: str, tell: Tell) -> None:
        self._waiting = folder / "upload" / CLINIC
        self._results = folder / "results"
        self._key = SoftwareKey.load(folder / "keys" / CLINIC)
        self._store = store
        self._gateway = gateway
        self._tell = tell
        self._done: set[str] = set()

    async def work(self) -> None:
        """Look for files until cancelled."""
        async with SandboxChannel(self._gateway) as portal:
            while True:
                for file in await asyncio.to_thread(self._files):
                    await self._upload(portal, file)
                await asyncio.sleep(_LOOK_SECONDS)

    def _files(self) -> list[Path]:
        return sorted(path for path in self._waiting.glob("*.zip") if path.stem not in self._done)

    async def _upload(self, portal: SandboxChannel, file: Path) -> None:
        raw = await asyncio.to_thread(file.read_bytes)
        digest = hashlib.sha256(raw).hexdigest()
        package = SealedPackage(0, file.stem, CLINIC, raw, digest)
        receipt = await portal.submit(package, self._key)
        self._done.add(file.stem)
        self._tell("hand", "a file uploaded by hand", receipt.receipt_number)
        await asyncio.to_thread(self._say, file.stem, receipt)
        report = None
        while report is None:
            report = await portal.fetch_verdict(package, receipt, self._key)
            if report is None:
                await asyncio.sleep(_LOOK_SECONDS)
        day = file.stem[10:17]
        name = f"{CLINIC}-{day}-5-{receipt.receipt_number}-7.assaychk.zip"
        await asyncio.to_thread(drop_file, self._results, name, report)
        self._tell("hand", "its check report brought", "dropped")

    def _say(self, stem: str, receipt: ChannelReceipt) -> None:
        """What ``labbroker uploaded`` does."""
        control = find_control(self._store)
        if control is None:
            return
        word = {"package": stem, "by": _NAME, "receipt_number": receipt.receipt_number}
        ask_service(control, "uploaded", json.dumps(word).encode())


@asynccontextmanager
async def working(person: Person) -> AsyncIterator[None]:
    """The person works beside what is done in the block; a fault of theirs ends it."""
    task = asyncio.create_task(person.work())
    try:
        yield
    finally:
        if task.done():
            task.result()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
