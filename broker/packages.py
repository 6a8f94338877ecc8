"""Sealing: ready records become one frozen file of one institution and one upload date.

The file is written, synced, opened again and compared by the reading path before the store takes
it; the serial number, the records and the package are taken in one transaction, so that a crash
leaves neither a gap nor a number used twice (at most a file that nobody names, overwritten by the
next one).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import Engine

from broker.store.packages import NewPackage, insert_package, next_serial, ready_records
from broker.store.writer import Writer
from mapping.convert import stamp_upload_time
from mapping.moment import TAIPEI
from mapping.package_file import verify_package, write_package
from mapping.package_name import package_stem
from mapping.record import UploadRecord


class Sealer:
    """Seals packages into ``folder``. ``clock`` gives aware UTC."""

    def __init__(
        self,
        writer: Writer,
        reader: Engine,
        folder: Path,
        clock: Callable[[], datetime],
        max_records: int,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._folder = folder
        self._clock = clock
        self._max_records = max_records
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def seal(self, institution_code: str) -> int | None:
        """Seal what is ready for one uploader. Returns the package id, None if nothing was.

        Raises ``SerialsUsedUp``.
        """
        now = self._clock()
        upload_on = now.astimezone(TAIPEI).date()
        new = await asyncio.to_thread(self._write, institution_code, upload_on, now)
        if new is None:
            return None
        return await self._writer.write(lambda connection: insert_package(connection, new))

    def path(self, stem: str) -> Path:
        """Where the frozen file of a package is."""
        return self._folder / f"{stem}.zip"

    def _write(self, institution_code: str, upload_on: date, now: datetime) -> NewPackage | None:
        with self._reader.connect() as connection:
            serial = next_serial(connection, institution_code, upload_on)
            sealed = [
                (record_id, stamp_upload_time(record, now))
                for record_id, record in ready_records(
                    connection, institution_code, self._max_records
                )
            ]
        if not sealed:
            return None
        stem = package_stem(institution_code, upload_on, serial)
        digest = write_package_file(self.path(stem), stem, lambda: (item for _, item in sealed))
        return NewPackage(
            stem=stem,
            institution_code=institution_code,
            upload_on=upload_on,
            serial=serial,
            sha256=digest,
            sealed_at=now,
            records=sealed,
        )


def write_package_file(path: Path, stem: str, records: Callable[[], Iterator[UploadRecord]]) -> str:
    """Write, sync, read back and compare one package file. Returns its SHA-256, hex.

    ``records`` is called twice: once to write, once to compare. Streams: memory does not grow
    with the count. Raises ``PackageDiffers`` when what is on disk is not what was meant.
    """
    partial = path.with_suffix(".part")
    with partial.open("w+b") as file:
        write_package(records(), stem, file)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        verify_package(file, records(), stem)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    partial.replace(path)
    if os.name == "posix":
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    return digest
