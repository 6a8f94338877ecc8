"""Nothing acknowledged is lost by a power cut, and the proof fails when the promise is broken."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from adapters.ports.intake import Accepted, Door, Media, Payload
from broker.intake import DurableIntake
from broker.store.engine import STORE_FILE, open_writer
from broker.store.writer import Writer
from mapping.errors import LabbrokerError
from tests.power_cut.disk import Disk, FolderSync, RecordingVfs
from tests.power_cut.driver import driver_for

CUTS = int(os.environ.get("LABBROKER_POWER_CUTS", "2000"))
# Small, so that checkpoints fall between the cuts as well.
OFTEN = {"PRAGMA wal_autocheckpoint=4000": "PRAGMA wal_autocheckpoint=60"}
NORMAL = {"PRAGMA synchronous=FULL": "PRAGMA synchronous=NORMAL"}


def record_run(
    folder: Path, instead: Mapping[str, str], seed: int
) -> tuple[Disk, list[tuple[int, int, bytes]]]:
    """Receive payloads in bursts; returns the disk's log and, for each acknowledged payload, the
    position of the log at its acknowledgement, its id and its bytes."""
    disk = Disk()
    name = f"recording-{seed}-{len(instead)}-{folder.name}"
    vfs = RecordingVfs(name, disk)
    acknowledged: list[tuple[int, int, bytes]] = []
    chance = random.Random(seed)

    def sync(handle: int, real: Callable[[int], None] = os.fsync) -> None:
        real(handle)
        disk.note(FolderSync())

    async def run() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("broker.store.engine.os.fsync", sync)
            engine = open_writer(folder, driver=driver_for(name, instead))
        writer = Writer(engine, asyncio.get_running_loop())
        intake = DurableIntake(writer, on_stored=lambda: None)
        for burst in range(120):
            for number in range(chance.randint(1, 6)):
                raw = chance.randbytes(chance.randint(200, 4000))
                payload = Payload("lab", Door.MLLP, Media.HL7V2, raw, f"{burst}-{number}")

                def settle(result: Accepted | LabbrokerError, raw: bytes = raw) -> None:
                    assert isinstance(result, Accepted)
                    acknowledged.append((disk.position(), result.receipt_id, raw))
                    intake.acknowledged(result.receipt_id, True)

                intake.offer(payload, settle)
            await asyncio.sleep(0.001)
        await intake.close()
        writer.close()

    asyncio.run(run())
    vfs.unregister()
    return disk, acknowledged


def lost_or_corrupt(
    folder: Path,
    disk: Disk,
    acknowledged: list[tuple[int, int, bytes]],
    cuts: int,
    seed: int,
) -> tuple[int, int]:
    """Cut the power ``cuts`` times. Returns how often something was lost, and was corrupt."""
    chance = random.Random(seed)
    lost = corrupt = 0
    folder.mkdir()
    path = folder / STORE_FILE
    for _ in range(cuts):
        position = chance.randint(1, len(disk.operations))
        for old in folder.iterdir():
            old.unlink()
        for name, content in disk.after_cut(position, chance).items():
            if not name.endswith("-shm"):
                (folder / name).write_bytes(content)
        promised = {number: raw for at, number, raw in acknowledged if at <= position}
        if not path.exists():
            lost += bool(promised)
            continue
        connection = sqlite3.connect(path)
        try:
            if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
                corrupt += 1
                continue
            stored = dict(connection.execute("SELECT id, raw FROM receipt"))
            lost += any(stored.get(number) != raw for number, raw in promised.items())
        except sqlite3.OperationalError as error:
            # Before the tables were there, nothing can have been promised.
            if "no such table" not in str(error):
                raise
            lost += bool(promised)
        except sqlite3.DatabaseError:
            corrupt += 1
        finally:
            connection.close()
    return lost, corrupt


@pytest.mark.timeout(3600)
def test_no_acknowledged_payload_is_lost_by_a_power_cut(tmp_path: Path) -> None:
    disk, acknowledged = record_run(tmp_path / "store", OFTEN, seed=1)
    assert len(acknowledged) > 200
    assert lost_or_corrupt(tmp_path / "after", disk, acknowledged, CUTS, seed=2) == (0, 0)


def test_the_proof_fails_when_full_sync_is_turned_off(tmp_path: Path) -> None:
    disk, acknowledged = record_run(tmp_path / "store", OFTEN | NORMAL, seed=1)
    lost, _ = lost_or_corrupt(tmp_path / "after", disk, acknowledged, 50, seed=2)
    assert lost > 0


@pytest.mark.parametrize("kind", ["sync", "write"])
def test_the_disk_log_sees_what_sqlite_does(tmp_path: Path, kind: str) -> None:
    disk, _ = record_run(tmp_path / "store", OFTEN, seed=3)
    kinds = {type(operation).__name__.lower() for operation in disk.operations}
    assert kind in kinds
