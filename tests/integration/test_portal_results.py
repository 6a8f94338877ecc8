"""Check reports that a person puts into the results folder of a running service."""

from __future__ import annotations

import asyncio
import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pyzipper
from sqlalchemy import select

from adapters.card.software_key import SoftwareKey
from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.nhi.sandbox_channel import SandboxChannel
from adapters.nhi.verdict_archive import read_entries
from adapters.ports.channel import SealedPackage
from broker.bootstrap.portal_sweep import PortalSweep
from broker.demo.messages import Times, hl7_messages
from broker.demo.people import CLINIC, visits
from broker.demo.rehearsal import Rehearsal, rehearsal
from broker.demo.senders import drop_file, send_hl7
from broker.sandbox.settings import DOCUMENTED_PASSWORD
from broker.store.schema import package, record


def locked(raw: bytes, password: str) -> bytes:
    """The texts of a report in another ZIP; ``""`` leaves it open."""
    out = io.BytesIO()
    with pyzipper.AESZipFile(out, "w", compression=pyzipper.ZIP_DEFLATED) as archive:
        if password:
            archive.setencryption(pyzipper.WZ_AES)
            archive.setpassword(password.encode())
        for name, text in read_entries(raw, DOCUMENTED_PASSWORD):
            archive.writestr(name, text)
    return out.getvalue()


async def uploaded_by_hand(stage: Rehearsal) -> bytes:
    """A person uploads the file that waits and tells nobody. Returns the report."""
    waiting = stage.folder / "upload" / CLINIC
    async with asyncio.timeout(60):
        while not list(waiting.glob("*.zip")):  # noqa: ASYNC110 - the state is in the file system
            await asyncio.sleep(0.05)
    (file,) = waiting.glob("*.zip")
    raw = file.read_bytes()
    sealed = SealedPackage(0, file.stem, CLINIC, raw, hashlib.sha256(raw).hexdigest())
    key = SoftwareKey.load(stage.folder / "keys" / CLINIC)
    async with SandboxChannel(stage.gateway) as portal:
        receipt = await portal.submit(sealed, key)
        report = await portal.fetch_verdict(sealed, receipt, key)
    assert report is not None
    return report


def states(stage: Rehearsal) -> list[Any]:
    with stage.broker.reader.connect() as connection:
        packages = connection.execute(select(package.c.state)).scalars()
        records = connection.execute(select(record.c.state, record.c.confirmed_at)).all()
        return [*packages, *(row.state for row in records if row.confirmed_at is not None)]


@pytest.mark.parametrize(
    ("password", "name"),
    [
        ("", "3599999901-report.zip"),
        (DOCUMENTED_PASSWORD, "download (1).zip"),
        (f"{CLINIC}_{DOCUMENTED_PASSWORD}", "檢核結果.zip"),
    ],
)
async def test_a_downloaded_report_settles_a_package_that_nobody_told_of(
    tmp_path: Path, password: str, name: str
) -> None:
    async with rehearsal(tmp_path, "en", "portal") as stage:
        now = datetime.now(UTC)
        drop_file(stage.visits_inbox, "visits.xml", write_ic_card(visits(now)))
        async with asyncio.timeout(60):
            while list(stage.visits_inbox.glob("*.xml")):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await stage.broker.at_rest()
        await send_hl7(stage, hl7_messages(Times.before(now))[:1], lambda *_: None)
        report = await uploaded_by_hand(stage)
        async with asyncio.timeout(60):
            while states(stage)[0] != "unknown":  # noqa: ASYNC110 - noted after the file is there
                await asyncio.sleep(0.05)
        assert PortalSweep([tmp_path / "upload" / CLINIC], stage.broker.reader).sweep() == 0
        drop_file(tmp_path / "results", name, locked(report, password))
        async with asyncio.timeout(60):
            await stage.broker.at_rest()
        assert states(stage) == ["checked", "accepted"]
        # The file no longer waits for a person: its report has told of it.
        waiting = tmp_path / "upload" / CLINIC
        PortalSweep([waiting], stage.broker.reader).sweep()
        assert [path.name for path in waiting.iterdir() if path.is_file()] == []
        assert len(list((waiting / "uploaded").iterdir())) == 2
