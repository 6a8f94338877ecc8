"""A store that has been in use for long: many receipts of the same shape, already worked off."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from adapters.ports.intake import Door, Media, Payload
from bench.message import panels
from broker.states import Acknowledgement, ReceiptState
from broker.store.engine import open_writer
from broker.store.receipts import ReceiptAppender, ReceiptRow, receipt_row

_GROUP = 2000
_BYTES_EACH = 4700
_SPARE_BYTES = 2_000_000_000


def missing_bytes(folder: Path, receipts: int) -> int:
    """How many bytes the disk of ``folder`` lacks for ``receipts`` receipts; 0 when they fit."""
    folder.mkdir(parents=True, exist_ok=True)
    return max(0, receipts * _BYTES_EACH + _SPARE_BYTES - shutil.disk_usage(folder).free)


def prefill(store: Path, receipts: int) -> float:
    """Append through the product's own appender. Returns the seconds it took."""
    began = time.monotonic()
    engine = open_writer(store)
    now = datetime.now(UTC)
    with engine.connect() as connection:
        with connection.begin():
            appender = ReceiptAppender(connection)
        for start in range(0, receipts, _GROUP):
            rows = [
                _worked_off(number, now) for number in range(start, min(start + _GROUP, receipts))
            ]
            with connection.begin():
                appender.append(connection, rows)
    engine.dispose()
    return time.monotonic() - began


def _worked_off(number: int, now: datetime) -> ReceiptRow:
    people = panels()
    token = f"OLD{number:013d}"
    raw = people[number % len(people)].content(token.encode())
    row = receipt_row(Payload("bench-lab", Door.MLLP, Media.HL7V2, raw, token), now)
    states = (ReceiptState.PARSED.value, Acknowledgement.DELIVERED.value)
    return (*row[:8], *states, row[10])
