"""The ZIP that goes to the NHI: exactly one XML of the same stem (SPEC114 pp. 1-2).

Reading looks at the directory of the ZIP first and inflates only what passes.
"""

from __future__ import annotations

import errno
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from itertools import zip_longest
from typing import BinaryIO, cast

from mapping.editions.edition import Edition, edition_on
from mapping.finding import Finding
from mapping.package_name import PackageName, package_stem, parse_stem
from mapping.record import Field, Fields, PlacedFields, UploadRecord
from mapping.upload_errors import (
    DamagedPackage,
    EmptyPackage,
    PackageDiffers,
    SuspiciousPackage,
    UnexpectedEntries,
)
from mapping.upload_xml import LARGEST_FILE, read_upload, write_upload

__all__ = [
    "PackageName",
    "package_stem",
    "parse_stem",
    "read_package",
    "verify_package",
    "write_archive",
    "write_package",
]

_ENTRY_NAME = re.compile(r"([A-Za-z0-9]{1,64})\.xml", re.IGNORECASE)
_LARGEST_RATIO = 400
_SMALL = 1 << 20
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def write_package(records: Iterable[UploadRecord], stem: str, out: BinaryIO) -> int:
    """Write ``<stem>.xml`` into a ZIP on ``out`` and return the number of records.

    ``records`` is read once and streamed. The edition is the one in force on the upload date of
    ``stem``. The bytes depend on the records and the stem alone. Raises ``ValueError`` for a stem
    that is none, :class:`EmptyPackage`, and :class:`UnwritableRecord`.
    """
    day = parse_stem(stem).upload_on
    return write_archive(records, stem, out, edition_on(day), day)


def write_archive(
    records: Iterable[UploadRecord], stem: str, out: BinaryIO, edition: Edition, day: date
) -> int:
    """:func:`write_package` under any name of letters and digits, which the upload pages take, and
    in either layout. ``day`` is the date of the entry. Raises what that raises."""
    if _ENTRY_NAME.fullmatch(f"{stem}.xml") is None:
        raise ValueError("a package name has letters and digits only")
    entry = zipfile.ZipInfo(f"{stem}.xml", (day.year, day.month, day.day, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 0
    with zipfile.ZipFile(out, "w") as package, package.open(entry, "w") as file:
        count = write_upload(records, cast(BinaryIO, file), edition)
    if not count:
        raise EmptyPackage()
    return count


def read_package(
    stream: BinaryIO,
    *,
    largest_file: int = LARGEST_FILE,
    on_encoding: Callable[[str], None] | None = None,
    on_fault: Callable[[Finding], None] | None = None,
) -> tuple[str, Iterator[UploadRecord]]:
    """The stem of the XML and its records, one at a time, as
    :func:`~mapping.upload_xml.read_upload` gives them.

    One entry, no encryption, plausible size and ratio, no data outside the entry; everything else
    is an :class:`~mapping.errors.UnreadablePayload` before anything is inflated. The records may
    still raise while they are read.
    """
    with _damage_named():
        package = zipfile.ZipFile(stream)
    entries = package.infolist()
    match = _ENTRY_NAME.fullmatch(entries[0].filename) if len(entries) == 1 else None
    if match is None:
        raise UnexpectedEntries(count=len(entries))
    _check_entry(entries[0], package.start_dir, largest_file)
    records = _inflated(package, entries[0], largest_file, on_encoding, on_fault)
    return match.group(1), records


def verify_package(stream: BinaryIO, records: Iterable[UploadRecord], stem: str) -> int:
    """Read a written package back and compare it, field by field, with what was meant.

    Returns the number of records. Raises :class:`PackageDiffers` at the first difference, naming
    the place but no value.
    """
    found_stem, found = read_package(stream)
    if found_stem != stem:
        raise PackageDiffers(what="name", place="package")
    count = 0
    for count, (meant, read) in enumerate(zip_longest(records, found), start=1):
        place = f"hdata[{count}]"
        if meant is None or read is None or len(meant.rows) != len(read.rows):
            raise PackageDiffers(what="count", place=place)
        _compare(meant.header, read.header, place)
        for index, pair in enumerate(zip(meant.rows, read.rows, strict=True), start=1):
            _compare(*pair, f"{place}/rdata[{index}]")
    return count


def _check_entry(entry: zipfile.ZipInfo, directory_at: int, largest_file: int) -> None:
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
        raise SuspiciousPackage(measure="encryption or method", actual="set", limit="deflate")
    if entry.file_size > largest_file:
        raise SuspiciousPackage(measure="size", actual=entry.file_size, limit=largest_file)
    packed = max(entry.compress_size, 1)
    if entry.file_size > _SMALL and entry.file_size > packed * _LARGEST_RATIO:
        ratio = entry.file_size // packed
        raise SuspiciousPackage(measure="ratio", actual=ratio, limit=_LARGEST_RATIO)
    if not 0 <= entry.header_offset <= directory_at - entry.compress_size:
        raise SuspiciousPackage(measure="overlap", actual="found", limit="none")


def _inflated(
    package: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    largest_file: int,
    on_encoding: Callable[[str], None] | None,
    on_fault: Callable[[Finding], None] | None,
) -> Iterator[UploadRecord]:
    with _damage_named(), package, package.open(entry) as file:
        yield from read_upload(
            cast(BinaryIO, file),
            largest_file=largest_file,
            on_encoding=on_encoding,
            on_fault=on_fault,
        )


@contextmanager
def _damage_named() -> Iterator[None]:
    """What :mod:`zipfile` raises on broken bytes, as one error; faults of the disk stay OSError."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise DamagedPackage() from None
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError):
        raise DamagedPackage() from None


def _compare(meant: Fields, read: Mapping[str, Field], place: str) -> None:
    left = len(read)
    # Of what was read plainly no value is empty, and none is made a field for this.
    values = read.plain if type(read) is PlacedFields else None
    for tag, field in meant.items():
        if not field.value:
            continue
        if values is not None:
            found = values.get(tag)
        else:
            other = read.get(tag)
            found = None if other is None else other.value
        if found != field.value:
            raise PackageDiffers(what=tag, place=place)
        left -= 1
    if left:
        raise PackageDiffers(what="a field that was not meant", place=place)
