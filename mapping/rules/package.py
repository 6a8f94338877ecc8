"""Checks of a package as a whole: its name, its serial, records that are there twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from hashlib import blake2b

from mapping.finding import Finding
from mapping.package_name import parse_stem
from mapping.record import UploadRecord, correction_key
from mapping.rocdate import roc_date
from mapping.rules.context import RuleContext


def check_package(
    records: Iterable[UploadRecord], stem: str, context: RuleContext
) -> tuple[Finding, ...]:
    """Codes 22, 25 and 27, and ``stale-upload-date``; ``place`` is ``hdata[n]``, n from 1.

    Reads ``records`` once and keeps 16 bytes of each. The records' own checks are
    :func:`mapping.rules.check_record`. The upload date must be today or yesterday (IAU manual,
    upload page).
    """
    try:
        name = parse_stem(stem)
    except ValueError:
        return (Finding("22", "", "package", stem),)
    findings: list[Finding] = []
    if name.serial in context.used_serials:
        findings.append(Finding("27", "", "package", stem))
    if name.upload_on not in (context.today, context.today - timedelta(days=1)):
        findings.append(Finding("stale-upload-date", "", "package", roc_date(name.upload_on)))
    day = roc_date(name.upload_on)
    seen: dict[bytes, int] = {}
    for index, record in enumerate(records, start=1):
        place = f"hdata[{index}]"
        if record.value("h2") != name.institution_code:
            findings.append(Finding("22", "h2", place, record.value("h2")))
        if record.value("h16")[:7] != day:
            findings.append(Finding("22", "h16", place, record.value("h16")))
        key = "\x1f".join(correction_key(record)).encode("utf-8", "surrogatepass")
        first = seen.setdefault(blake2b(key, digest_size=16).digest(), index)
        if first != index:
            twin = (("first", f"hdata[{first}]"),)
            findings.append(Finding("25", "h15", place, record.value("h15"), parameters=twin))
    return tuple(findings)
