"""Whether a check report is about a package: the proof that NHI took it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from io import BytesIO

from adapters.ports.channel import ChannelReceipt
from mapping.errors import LabbrokerError
from mapping.moment import TAIPEI
from mapping.package_file import read_package
from mapping.record import UploadRecord
from mapping.rocdate import parse_roc_date
from mapping.verdict import CheckedRecord, CheckReport

# Order and person, and the times: h16 alone, the second of sealing, tells two uploads apart.
_NEEDED = ("h15", "h9", "h16")
_KEYS = ("h15", "h9", "h10", "h16", "h5", "h7", "h20")


def arrival_of(
    reports: Iterable[CheckReport], raw_zip: bytes, now: datetime
) -> ChannelReceipt | None:
    """A receipt when one of the reports prints a record of the package in ``raw_zip``.

    The moment of arrival is not printed, only the day that begins the receipt number: the last
    moment of that day counts, never an earlier guess.
    """
    printed = [
        (report, record)
        for report in reports
        for record in report.records
        if all(record.values.get(tag) for tag in _NEEDED)
    ]
    if not printed or not raw_zip:
        return None
    try:
        _, records = read_package(BytesIO(raw_zip))
        sent: dict[str, list[UploadRecord]] = {}
        for record in records:
            sent.setdefault(record.value("h15"), []).append(record)
    except LabbrokerError:
        return None
    for report, told in printed:
        if any(_is_about(told, record) for record in sent.get(told.values["h15"], ())):
            return ChannelReceipt(report.receipt_number, _latest(report.receipt_number, now))
    return None


def _is_about(told: CheckedRecord, record: UploadRecord) -> bool:
    """Printed values are cut, so the record's begins with them."""
    return all(
        record.value(tag).startswith(told.values[tag]) for tag in _KEYS if told.values.get(tag)
    )


def _latest(receipt_number: str, now: datetime) -> datetime:
    try:
        day = parse_roc_date(receipt_number[:7])
    except ValueError:
        return now
    end = datetime.combine(day + timedelta(days=1), time(), TAIPEI)
    return min(now, end.astimezone(now.tzinfo))
