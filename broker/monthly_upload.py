"""The monthly file of one institution: what the daily upload left open, after the claim.

It brings the visit serial where a daily record had ``Z000``, and the records that were not accepted
daily (SPEC114 p. 4 and table 2). A person uploads it on NHI's page; nothing is sent from here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from mapping.catalogue.tables import code_table
from mapping.claim import ClaimDoubt, ClaimIndex, claimed_record
from mapping.editions.edition import Variant, edition_on
from mapping.errors import LabbrokerError
from mapping.finding import Finding, Severity
from mapping.moment import TAIPEI
from mapping.monthly import (
    MONTHLY_CORRECTION_KEY,
    stamp_monthly_upload_time,
    variant_of,
)
from mapping.package_file import read_package, verify_package, write_archive
from mapping.package_name import LAST_SERIAL, package_stem
from mapping.record import UploadRecord
from mapping.rocdate import roc_month
from mapping.rules import ImportedLists, check_package, check_record
from mapping.upload_errors import PackageDiffers


class MonthlyNamesUsedUp(LabbrokerError):
    code = "monthly-names-used-up"
    en = (
        "{folder} holds {last} monthly files of {institution} for {month}.",
        "Name another folder with --out.",
    )
    zh = (
        "{folder} 內機構 {institution} 之 {month} 每月上傳檔已有 {last} 個。",
        "請以 --out 指定其他資料夾。",
    )


@dataclass(frozen=True, slots=True)
class DailyRecord:
    """A record of the daily layout, with what kept it from going out daily, and its place for
    people: ``#12`` in the store, ``FILE hdata[3]``."""

    place: str
    record: UploadRecord
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A record that the monthly file cannot hold, and why."""

    place: str
    order_code: str
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class MonthlyRecords:
    """``records`` pairs the place with the monthly record; ``other_months`` were claimed then."""

    records: list[tuple[str, UploadRecord]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    other_months: int = 0


@dataclass(frozen=True, slots=True)
class MonthlyFile:
    """A file that was written, read back, compared and checked."""

    path: Path
    records: int
    sha256: str


def monthly_records(
    daily: Iterable[DailyRecord],
    index: ClaimIndex,
    fee_month: date,
    lists: ImportedLists,
    now: datetime,
) -> MonthlyRecords:
    """The monthly records of what was claimed in ``fee_month`` (its first day). ``now`` is aware
    and becomes h19. What is in no claim counts for the month of its visit."""
    made = MonthlyRecords()
    today = now.astimezone(TAIPEI).date()
    context = lists.context(today, today, sealed=True)
    seen: dict[tuple[str, ...], str] = {}
    for each in daily:
        line = index.line_of(each.record)
        visited = each.record.value("h11") or each.record.value("h13")
        if isinstance(line, ClaimDoubt):
            if visited[:5] == roc_month(fee_month):
                _leave_out(made, each, Finding(line, "h15", each.place, _code(each)))
            else:
                made.other_months += 1
            continue
        if line.fee_month != fee_month:
            made.other_months += 1
            continue
        # Other findings say that a word could not be read or was assumed: no layout mends that.
        doubts = tuple(one for one in each.findings if one.code not in code_table("nhi-codes"))
        if doubts:
            _leave_out(made, each, *doubts)
            continue
        record = stamp_monthly_upload_time(claimed_record(each.record, line), now)
        errors = [one for one in check_record(record, context) if one.severity is Severity.ERROR]
        if errors:
            _leave_out(made, each, *errors)
            continue
        key = tuple(record.value(tag) for tag in MONTHLY_CORRECTION_KEY)
        first = seen.setdefault(key, each.place)
        if first != each.place:
            twin = (("first", first),)
            _leave_out(made, each, Finding("25", "h18", each.place, _code(each), parameters=twin))
            continue
        made.records.append((each.place, record))
    return made


def write_monthly(
    folder: Path,
    institution_code: str,
    fee_month: date,
    records: Sequence[UploadRecord],
    lists: ImportedLists,
    now: datetime,
) -> MonthlyFile:
    """Write one ZIP under the next free name ``LABM`` + institution + fee month + serial, read it
    back by the reading path, compare and check it. Raises :class:`MonthlyNamesUsedUp`,
    ``PackageDiffers``, ``UnwritableRecord`` and ``OSError``."""
    today = now.astimezone(TAIPEI).date()
    path = _reserved(folder, institution_code, fee_month)
    partial = path.with_suffix(".part")
    try:
        with partial.open("w+b") as file:
            edition = edition_on(today, Variant.MONTHLY)
            count = write_archive(records, path.stem, file, edition, today)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            verify_package(file, records, path.stem)
            file.seek(0)
            _check(read_package(file)[1], institution_code, lists, today)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        partial.replace(path)
    except BaseException:
        path.unlink(missing_ok=True)
        partial.unlink(missing_ok=True)
        raise
    return MonthlyFile(path, count, digest)


def _check(
    read: Iterator[UploadRecord], institution_code: str, lists: ImportedLists, today: date
) -> None:
    """What was read back must be monthly and break no rule: it was right before it was written."""
    context = lists.context(today, today, sealed=True)

    def checked() -> Iterator[UploadRecord]:
        for number, record in enumerate(read, start=1):
            found = check_record(record, context)
            wrong = [each.field for each in found if each.severity is Severity.ERROR]
            if wrong or variant_of(record) is not Variant.MONTHLY:
                raise PackageDiffers(what=(*wrong, "layout")[0], place=f"hdata[{number}]")
            yield record

    # The page takes any name; the package's own rules need one of its form.
    for finding in check_package(checked(), package_stem(institution_code, today, 1), context):
        if finding.severity is Severity.ERROR:
            raise PackageDiffers(what=finding.field or finding.code, place=finding.place)


def _reserved(folder: Path, institution_code: str, fee_month: date) -> Path:
    month = roc_month(fee_month)
    for serial in range(1, LAST_SERIAL + 1):
        path = folder / f"LABM{institution_code}{month}{serial:03d}.zip"
        try:
            path.open("xb").close()
        except FileExistsError:
            continue
        return path
    raise MonthlyNamesUsedUp(
        folder=folder, last=LAST_SERIAL, institution=institution_code, month=month
    )


def _leave_out(made: MonthlyRecords, each: DailyRecord, *findings: Finding) -> None:
    made.left_out.append(LeftOut(each.place, _code(each), findings))


def _code(each: DailyRecord) -> str:
    return each.record.value("h15")
