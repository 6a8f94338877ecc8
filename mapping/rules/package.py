"""Checks of a package as a whole: its name, its serial, records that are there twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from hashlib import blake2b
from operator import itemgetter

from mapping.editions.edition import Variant
from mapping.finding import Finding
from mapping.monthly import MONTHLY_CORRECTION_KEY, variant_of_values
from mapping.package_name import PackageName, parse_stem
from mapping.record import CORRECTION_KEY, UploadRecord, plain_values
from mapping.rocdate import roc_date
from mapping.rules.context import RuleContext

_TAGS = {
    Variant.DAILY: (CORRECTION_KEY, itemgetter(*CORRECTION_KEY), "h15", "h16"),
    Variant.MONTHLY: (MONTHLY_CORRECTION_KEY, itemgetter(*MONTHLY_CORRECTION_KEY), "h18", "h19"),
}
"""Correction key, what takes it out of a whole header in one step, order code, upload time."""


def check_package(
    records: Iterable[UploadRecord], stem: str, context: RuleContext
) -> tuple[Finding, ...]:
    """All of :func:`package_findings`."""
    return tuple(package_findings(records, stem, context))


def package_findings(
    records: Iterable[UploadRecord], stem: str, context: RuleContext
) -> Iterator[Finding]:
    """:func:`numbered_package_findings` of records that are all there, n from 1."""
    return numbered_package_findings(enumerate(records, start=1), stem, context)


def numbered_package_findings(
    records: Iterable[tuple[int, UploadRecord]], stem: str, context: RuleContext
) -> Iterator[Finding]:
    """Codes 22, 25 and 27, and ``stale-upload-date``; ``place`` is ``hdata[n]`` with the record's
    number. ``stem`` may be ``""`` where no name is known; of one that is none, and of none, the
    records are read all the same.

    Reads ``records`` once, gives each finding before it reads on, and keeps 16 bytes of each
    record. The records' own checks are :func:`mapping.rules.check_record`. The upload date must
    be today or yesterday (IAU manual, upload page).
    """
    name = _named(stem)
    if name is None and stem:
        yield Finding("22", "", "package", stem)
    elif name is not None:
        if name.serial in context.used_serials:
            yield Finding("27", "", "package", stem)
        if name.upload_on not in (context.today, context.today - timedelta(days=1)):
            yield Finding("stale-upload-date", "", "package", roc_date(name.upload_on))
    day = roc_date(name.upload_on) if name else ""
    seen: dict[bytes, int] = {}
    for index, record in records:
        header = plain_values(record.header)
        key_tags, key_parts, code_tag, time_tag = _TAGS[variant_of_values(header)]
        if name is not None:
            if header.get("h2") != name.institution_code:
                yield Finding("22", "h2", f"hdata[{index}]", header.get("h2", ""))
            if header.get(time_tag, "")[:7] != day:
                yield Finding("22", time_tag, f"hdata[{index}]", header.get(time_tag, ""))
        try:
            parts = key_parts(header)
        except KeyError:
            parts = [header.get(tag, "") for tag in key_tags]
        key = "\x1f".join(parts)
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        first = seen.setdefault(digest, index)
        if first != index:
            twin = (("first", f"hdata[{first}]"),)
            code = header.get(code_tag, "")
            yield Finding("25", code_tag, f"hdata[{index}]", code, parameters=twin)


def _named(stem: str) -> PackageName | None:
    try:
        return parse_stem(stem)
    except ValueError:
        return None
