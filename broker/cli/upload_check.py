"""A finished upload file of any maker, checked record by record; memory does not grow with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from itertools import chain, islice
from pathlib import PurePath
from typing import BinaryIO, Protocol

from adapters.ports.intake import Media
from broker.cli.record_preview import RecordPreview
from mapping.editions.edition import Variant
from mapping.finding import IN_FILE, Finding, Severity
from mapping.monthly import variant_of, variant_of_values
from mapping.package_file import read_package
from mapping.package_name import PackageName, parse_stem
from mapping.record import UploadRecord, plain_values
from mapping.rules import (
    NO_LISTS,
    ClaimedMonths,
    ImportedLists,
    RuleContext,
    check_record,
    name_findings,
    numbered_package_findings,
    unchecked_codes,
)
from mapping.upload_xml import read_upload

_MIXED = "mixed"


class UploadResult(Protocol):
    """What takes the records and findings; ``message`` is told the layout."""

    file: str
    message: str
    record_count: int

    @property
    def keeps_records(self) -> bool:
        """Whether more records are to be shown; else they need only be counted."""

    def add_findings(self, findings: Iterable[Finding]) -> None:
        """Take findings whose places name the record."""

    def add_records(self, previews: Iterable[RecordPreview]) -> None:
        """Take records in their order."""


def check_upload(
    stream: BinaryIO,
    media: Media,
    today: date,
    result: UploadResult,
    lists: ImportedLists = NO_LISTS,
    seen: set[PackageName] | None = None,
) -> None:
    """Read ``stream`` once and give ``result`` every record and finding, in the order of the
    file. ``seen`` are the packages before it, to which it is added. Raises the errors of
    ``mapping.upload_errors``, possibly after some of them."""
    stem = PurePath(result.file).stem
    encodings: list[str] = []
    faults = _Faults(result)
    if media is Media.NHI_ZIP:
        stem, records = read_package(stream, on_encoding=encodings.append, on_fault=faults)
    else:
        records = read_upload(stream, on_encoding=encodings.append, on_fault=faults)
    inner = stem if media is Media.NHI_ZIP else ""
    result.add_findings(map(_in_file, name_findings(result.file, inner)))
    numbered = faults.number(records)
    first = list(islice(numbered, 1))
    if encodings != ["Big5"]:
        found = Finding("upload-encoding-differs", "", "patient", "", Severity.WARNING)
        result.add_findings([found])
    if not first:
        if not faults.count:
            result.add_findings([Finding("nhi-file-empty", place="patient")])
        return
    used = _used_serials(stem, set() if seen is None else seen)
    context = replace(lists.context(today, sealed=True), used_serials=used)
    claimed = ClaimedMonths()
    told = _told(chain(first, numbered), context, claimed, result)
    name = _package_stem(stem, first[0][1])
    result.add_findings(map(_in_file, numbered_package_findings(told, name, context)))
    if result.message == _MIXED:
        result.add_findings([Finding("nhi-mixed-layout", place="patient")])
    result.add_findings(unchecked_codes(context, claimed.seen))


class _Faults:
    """Records that are not well formed: told, counted, and passed over in the numbers."""

    def __init__(self, result: UploadResult) -> None:
        self.count = 0
        self._result = result
        self._place = ""

    def __call__(self, finding: Finding) -> None:
        if finding.place != self._place:
            self.count += 1
            self._place = finding.place
            self._result.record_count += 1
        self._result.add_findings([finding])

    def number(self, records: Iterator[UploadRecord]) -> Iterator[tuple[int, UploadRecord]]:
        for index, record in enumerate(records, start=1):
            yield index + self.count, record


def _told(
    records: Iterator[tuple[int, UploadRecord]],
    context: RuleContext,
    claimed: ClaimedMonths,
    result: UploadResult,
) -> Iterator[tuple[int, UploadRecord]]:
    """The records, each checked by itself on its way through."""
    message, keeps, read, kept = "", result.keeps_records, 0, 0
    try:
        for numbered in records:
            number, record = numbered
            read += 1
            layout = variant_of_values(plain_values(record.header))
            if layout != message:
                message = result.message = _MIXED if message else layout.value
            if keeps:
                code = record.value("h18" if layout is Variant.MONTHLY else "h15")
                result.add_records([RecordPreview(f"hdata[{number}]", code, record)])
                kept, keeps = kept + 1, result.keeps_records
            if context.claims is not None:
                claimed.add(record)
            findings = check_record(record, context)
            if findings:
                result.add_findings(_placed(finding, number) for finding in findings)
            yield numbered
    finally:
        result.record_count += read - kept


def _used_serials(stem: str, seen: set[PackageName]) -> frozenset[int]:
    """The serials of the same institution and day in ``seen``, which learns this one. A file for
    the web page, whose name is free, has none."""
    try:
        name = parse_stem(stem)
    except ValueError:
        return frozenset()
    used = frozenset(each.serial for each in seen if each[:2] == name[:2])
    seen.add(name)
    return used


def _placed(finding: Finding, number: int) -> Finding:
    place = f"hdata[{number}]"
    if finding.place.startswith("rdata"):
        place = f"{place}/{finding.place}"
    return replace(finding, place=place, parameters=(*finding.parameters, IN_FILE))


def _in_file(finding: Finding) -> Finding:
    return replace(finding, parameters=(*finding.parameters, IN_FILE))


def _package_stem(stem: str, first: UploadRecord) -> str:
    """The file's own name where it is a package name; a file for the web page may have any name
    (SPEC114 p. 2), then the name that its first record asks for, ``""`` where that has none."""
    if _is_package_name(stem):
        return stem
    is_monthly = variant_of(first) is Variant.MONTHLY
    asked = f"{first.value('h2')}{first.value('h19' if is_monthly else 'h16')[:7]}001"
    return asked if _is_package_name(asked) else ""


def _is_package_name(stem: str) -> bool:
    try:
        parse_stem(stem)
    except ValueError:
        return False
    return True
