"""Real clients at the real doors: MLLP, HTTP, and a file dropped by rename."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import aiohttp

from adapters.folder.formats.identify import identify
from adapters.hl7.client import connect
from adapters.hl7.framing import can_enclose
from adapters.ports.intake import Media
from broker.demo.rehearsal import TOKEN, Rehearsal
from mapping.errors import LabbrokerError

Tell = Callable[[str, str, str], None]
"""``(door, what was sent, the answer)``."""


async def send_hl7(rehearsal: Rehearsal, messages: list[tuple[str, bytes]], tell: Tell) -> None:
    """Send over one connection, each message after the acknowledgement of the last."""
    async with await connect("127.0.0.1", rehearsal.broker.mllp_port) as client:
        for what, raw in messages:
            answer = await client.send(raw)
            tell("MLLP", what, answer.code)


async def post_fhir(rehearsal: Rehearsal, bodies: list[tuple[str, bytes]], tell: Tell) -> None:
    """Post Bundles to ``/fhir``."""
    url = f"http://127.0.0.1:{rehearsal.broker.http_port}/fhir"
    async with aiohttp.ClientSession() as session:
        for what, raw in bodies:
            headers = {
                "Authorization": f"Bearer {TOKEN}",
                "Content-Type": "application/fhir+xml"
                if raw.lstrip()[:1] == b"<"
                else "application/fhir+json",
            }
            async with session.post(url, data=raw, headers=headers) as response:
                tell("FHIR", what, str(response.status))


def drop_file(folder: Path, name: str, raw: bytes) -> None:
    """Write beside, sync, mark, rename: the file is whole from its first moment, and says so."""
    partial = folder / f".{name}.part"
    with partial.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    # A file that were marked only later might be taken before, and its mark lie there for good.
    (folder / f"{name}.done").touch()
    partial.rename(folder / name)


async def send_folder(rehearsal: Rehearsal, folder: Path, tell: Tell) -> None:
    """Send every file of ``folder`` through the door that fits it."""
    for path in await asyncio.to_thread(_files, folder):
        name, raw = str(path.relative_to(folder)), path.read_bytes()
        try:
            media = identify(raw, path.name)
        except LabbrokerError:
            media = Media.UNKNOWN
        if media is Media.HL7V2 and can_enclose(raw):
            await _send_one_hl7(rehearsal, name, raw, tell)
        elif media in (Media.FHIR_JSON, Media.FHIR_XML):
            await post_fhir(rehearsal, [(name, raw)], tell)
        else:
            drop_file(rehearsal.lab_inbox, path.name, raw)
            tell("file", name, media.value)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def _send_one_hl7(rehearsal: Rehearsal, name: str, raw: bytes, tell: Tell) -> None:
    """A connection for each: a file may hold what makes the server close."""
    try:
        await send_hl7(rehearsal, [(name, raw)], tell)
    except LabbrokerError as error:
        tell("MLLP", name, error.code)
    except OSError as error:
        tell("MLLP", name, type(error).__name__)
