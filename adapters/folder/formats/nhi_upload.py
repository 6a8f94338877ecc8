"""Finished NHI upload files (``<patient>``, ``<hdata>``, ``<rdata>``), plain or zipped.

They are read through once, strictly, and counted. The records themselves are asked of
``mapping.upload_xml`` and ``mapping.package_file`` by whoever checks or shows them.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from enum import StrEnum

from mapping.editions.edition import Variant
from mapping.finding import Finding, Severity
from mapping.monthly import variant_of
from mapping.package_file import read_package
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile
from mapping.record import UploadRecord
from mapping.upload_xml import read_upload

_LARGEST_INFLATED = 128 * 1024 * 1024


class UploadKind(StrEnum):
    """The two layouts share root and tags; h5-h8 and h15 onward mean different things."""

    DAILY = "nhi-daily"
    MONTHLY = "nhi-monthly"
    MIXED = "nhi-mixed"


def read_nhi_xml(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """Count the records of an upload XML. Raises the errors of ``mapping.upload_errors``."""
    return _summary(read_upload(io.BytesIO(raw)))


def read_nhi_zip(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """Count the records of an upload ZIP. Raises the errors of ``mapping.upload_errors``."""
    _, records = read_package(io.BytesIO(raw), largest_file=_LARGEST_INFLATED)
    return _summary(records)


def upload_kind(record: UploadRecord) -> UploadKind:
    """Daily or monthly, as :func:`mapping.monthly.variant_of` tells them apart."""
    is_monthly = variant_of(record) is Variant.MONTHLY
    return UploadKind.MONTHLY if is_monthly else UploadKind.DAILY


def _summary(records: Iterable[UploadRecord]) -> ParsedPayload:
    orders = rows = 0
    kinds = set()
    for record in records:
        orders += 1
        rows += len(record.rows)
        kinds.add(upload_kind(record))
    if not orders:
        return ParsedPayload(
            Content.NOTHING,
            findings=(Finding("nhi-file-empty", place="patient"),),
            kind=UploadKind.DAILY.value,
        )
    kind = kinds.pop() if len(kinds) == 1 else UploadKind.MIXED
    counts = (("records", str(orders)), ("rows", str(rows)))
    findings = [Finding("nhi-file-counted", "", "patient", "", Severity.INFORMATION, counts)]
    if kind is not UploadKind.DAILY:
        findings.append(Finding(f"{kind.value}-layout", place="patient"))
    return ParsedPayload(Content.RECORDS, findings=tuple(findings), kind=kind.value)
