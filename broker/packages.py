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
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine

from broker.nodes import Fence, no_fence
from broker.store.dialect import is_shared
from broker.store.engine import open_snapshot
from broker.store.package_files import store_package_file
from broker.store.packages import NewPackage, insert_package, next_serial
from broker.store.ready_records import ready_record_ids
from broker.store.record_bodies import load_records, stored_characters
from broker.store.record_moves import Refused, hold_invalid
from broker.store.writer import Writer
from mapping.convert import stamp_upload_time
from mapping.finding import Finding, Severity
from mapping.moment import TAIPEI
from mapping.package_file import verify_package, write_package
from mapping.package_name import package_stem
from mapping.record import UploadRecord
from mapping.rules import (
    NO_LISTS,
    ImportedLists,
    RuleContext,
    check_package,
    check_record,
)
from mapping.upload_errors import PackageDiffers, UnwritableRecord
from mapping.upload_xml import ENVELOPE_BYTES, LARGEST_FILE, record_bytes

T = TypeVar("T")

# A few thousand records of one row: some twenty megabytes when they are read.
_KEPT_CHARACTERS = 4_000_000


class Sealer:
    """Seals packages into ``folder``. ``clock`` gives aware UTC.

    A package has at most ``max_records`` records and its XML at most ``max_bytes`` bytes; what
    does not fit stays ready for the next one.
    """

    def __init__(
        self,
        writer: Writer,
        reader: Engine,
        folder: Path,
        clock: Callable[[], datetime],
        max_records: int,
        max_bytes: int = LARGEST_FILE,
        lists: ImportedLists = NO_LISTS,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._folder = folder
        self._clock = clock
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._lists = lists
        self._shared = is_shared(reader)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def seal(
        self,
        institution_code: str,
        fence: Fence = no_fence,
        parts_before: datetime | None = None,
    ) -> int | None:
        """Seal what is ready for one uploader; parts of orders that are due after ``parts_before``
        wait for the rest. Returns the package id, None if nothing was ready.

        Raises ``SerialsUsedUp``, and ``LeaseLost`` where ``fence`` does.
        """
        now = self._clock()
        upload_on = now.astimezone(TAIPEI).date()
        new, refused = await asyncio.to_thread(
            self._write, institution_code, upload_on, now, parts_before
        )
        if refused:
            await self._writer.write(lambda connection: hold_invalid(connection, refused))
        if new is None:
            return None
        raw = await asyncio.to_thread(self.path(new.stem).read_bytes) if self._shared else None

        def insert(connection: Connection) -> int | None:
            fence(connection)
            package_id = insert_package(connection, new)
            if package_id is not None and raw is not None:
                # Another node may have to send it.
                store_package_file(connection, package_id, raw)
            return package_id

        return await self._writer.write(insert)

    def path(self, stem: str) -> Path:
        """Where the frozen file of a package is."""
        return self._folder / f"{stem}.zip"

    def _write(
        self,
        institution_code: str,
        upload_on: date,
        now: datetime,
        parts_before: datetime | None,
    ) -> tuple[NewPackage | None, Refused]:
        """Three passes over one snapshot of the store. What is little is kept in memory meanwhile;
        what is much is read again each time, so that memory does not grow with it."""
        with open_snapshot(self._reader) as connection:
            serial = next_serial(connection, institution_code, upload_on)
            stem = package_stem(institution_code, upload_on, serial)
            ids = ready_record_ids(
                connection, institution_code, self._max_records, now, parts_before
            )

            characters = stored_characters(connection, ids)
            few: dict[int, UploadRecord] = {}

            def stamped(wanted: Sequence[int]) -> Iterator[UploadRecord]:
                if few:
                    yield from (few[record_id] for record_id in wanted)
                    return
                for record in load_records(connection, wanted):
                    yield stamp_upload_time(record, now)

            if characters <= _KEPT_CHARACTERS:
                few = dict(zip(ids, stamped(ids), strict=True))
            fits = ENVELOPE_BYTES + most_bytes(characters, len(ids)) <= self._max_bytes
            refused, fitting = last_gate(
                stamped(ids), stem, upload_on, self._max_bytes, self._lists, fits=fits
            )
            ids = ids[:fitting]
            held = [(ids[index - 1], tuple(found)) for index, found in refused.items()]
            sealed = [each for index, each in enumerate(ids, start=1) if index not in refused]
            digest, left_out = write_writable(self.path(stem), stem, sealed, stamped)
            held += left_out
            if not sealed:
                return None, held
        new = NewPackage(
            stem=stem,
            institution_code=institution_code,
            upload_on=upload_on,
            serial=serial,
            sha256=digest,
            sealed_at=now,
            record_ids=sealed,
        )
        return new, held


def last_gate(
    records: Iterator[UploadRecord],
    stem: str,
    upload_on: date,
    max_bytes: int,
    lists: ImportedLists = NO_LISTS,
    *,
    fits: bool = False,
) -> tuple[dict[int, list[Finding]], int]:
    """What must not leave after all, by its number in the package: the rules as of the upload
    date, and what only shows when the records lie side by side (codes 22 and 25). And how many
    of the records, from the first, fit into ``max_bytes``; where all are known to (``fits``) none
    is measured."""
    context = lists.context(upload_on, upload_on, sealed=True)
    refused: dict[int, list[Finding]] = {}
    fitting = 0

    def checked() -> Iterator[UploadRecord]:
        nonlocal fitting
        size = ENVELOPE_BYTES
        for index, record in enumerate(records, start=1):
            for finding in check_record(record, context):
                if finding.severity is Severity.ERROR:
                    refused.setdefault(index, []).append(finding)
            if index not in refused and not fits:
                own_size = _written_size(record, context)
                if ENVELOPE_BYTES + own_size > max_bytes:
                    limit = (("limit", str(max_bytes)),)
                    refused[index] = [Finding("record-too-large", place="hdata", parameters=limit)]
                elif size + own_size > max_bytes:
                    return
                else:
                    size += own_size
            fitting = index
            yield record

    for finding in check_package(checked(), stem, context):
        number = _record_number(finding.place)
        if finding.severity is Severity.ERROR and number:
            refused.setdefault(number, []).append(finding)
    return refused, fitting


def most_bytes(characters: int, records: int) -> int:
    """More than what ``records`` can take in a file that are stored in so many ``characters``.

    A character becomes five bytes at the most (``&amp;``). What stands around a value in the file
    (its tag twice and seven more) is no more than five times what stands around it in the store
    (its tag once, its quotation marks, its origin); h16 and a record's own tags come on top.
    """
    return 5 * characters + 128 * records


def _written_size(record: UploadRecord, context: RuleContext) -> int:
    try:
        return record_bytes(record, context.edition)
    except UnwritableRecord:
        # The writer will refuse it, with its place.
        return 0


def _record_number(place: str) -> int:
    """3 of ``hdata[3]`` or ``hdata[3]/rdata[1]``; 0 where no record is named."""
    number = place.removeprefix("hdata[").partition("]")[0]
    return int(number) if number.isdigit() else 0


def write_writable(
    path: Path,
    stem: str,
    items: list[T],
    records_of: Callable[[Sequence[T]], Iterator[UploadRecord]],
) -> tuple[str, list[tuple[T, tuple[Finding, ...]]]]:
    """:func:`write_package_file` of the records of ``items``; one that cannot be written must not
    keep the others back.

    Returns the SHA-256 (``""``: nothing was written) and what was taken out of ``items``.
    """
    left_out: list[tuple[T, tuple[Finding, ...]]] = []
    while items:
        try:
            return write_package_file(path, stem, lambda: records_of(items)), left_out
        except (PackageDiffers, UnwritableRecord) as error:
            number = _record_number(str(error.parameters.get("place", "")))
            if not 1 <= number <= len(items):
                raise
            finding = Finding("not-writable", place=f"hdata[{number}]")
            left_out.append((items.pop(number - 1), (finding,)))
    return "", left_out


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
