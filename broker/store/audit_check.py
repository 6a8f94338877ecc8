"""Verifies the audit trail: every row against its digest, its neighbours, the head and the anchors.

A row that was changed, taken out or put in breaks the chain. A tail that was cut off leaves the
chain whole, but not the head, and where that was changed too, not the anchors: lines of a file
beside the store, which a copy elsewhere keeps from whoever can write both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, select

from broker.store.access_tables import audit_event, audit_head
from broker.store.audit import START, digest_of

ANCHORS = "audit-anchors.txt"
_MOST_FAULTS = 1000
_ANCHOR = re.compile(r"([0-9]{1,15}) ([0-9a-f]{64}) ([0-9T:.+-]{25,32})")


class Fault(StrEnum):
    """What is wrong at a number."""

    CHANGED = "changed"
    """The row is not what was written."""
    MISSING = "missing"
    """There is no row of this number."""
    BROKEN = "broken"
    """The row does not follow the one before: one of the two was written anew."""
    CUT = "cut"
    """There were rows up to this number."""
    HEAD = "head"
    """The head does not fit the last row."""
    ANCHOR = "anchor"
    """The row is not the one that was anchored: the trail up to it was written anew."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """How many events there were at ``at``, and the digest of the last."""

    events: int
    digest: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Verified:
    """``faults`` in the order of the trail, at most 1,000; none where all is as it was written."""

    events: int
    digest: bytes
    anchors: int
    faults: tuple[tuple[Fault, int], ...]


def verify_trail(connection: Connection, anchors: Sequence[Anchor] = ()) -> Verified:
    """Read the whole trail, row by row."""
    faults: list[tuple[Fault, int]] = []
    wanted = {anchor.events: anchor.digest for anchor in anchors}
    last, previous = 0, START
    for number, digest, fault in _rows(connection):
        faults += [(Fault.MISSING, each) for each in range(last + 1, number)][:_MOST_FAULTS]
        if fault is not None:
            faults.append((fault, number))
        if number in wanted and wanted.pop(number) != digest:
            faults.append((Fault.ANCHOR, number))
        last, previous = number, digest
    head = connection.execute(select(audit_head)).one_or_none()
    if head is None:
        faults += [(Fault.HEAD, last)] if last else []
    elif head.events > last:
        faults.append((Fault.CUT, head.events))
    elif (head.events, head.digest) != (last, previous):
        faults.append((Fault.HEAD, last))
    faults += [(Fault.CUT, events) for events in sorted(wanted) if events > last]
    return Verified(last, previous, len(anchors), tuple(faults[:_MOST_FAULTS]))


def read_anchors(folder: Path) -> list[Anchor]:
    """The anchors of a data folder, or of a copy; a line that a crash tore is left out."""
    try:
        text = (folder / ANCHORS).read_text("ascii")
    except FileNotFoundError:
        return []
    anchors = []
    for line in text.split("\n"):
        found = _ANCHOR.fullmatch(line)
        if found:
            at = datetime.fromisoformat(found[3])
            anchors.append(Anchor(int(found[1]), bytes.fromhex(found[2]), at))
    return anchors


def write_anchor(connection: Connection, folder: Path, now: datetime) -> bool:
    """Add the present head to the anchors of a data folder, synchronised; False where it is there.

    The connection reads what was committed.
    """
    head = connection.execute(select(audit_head)).one_or_none()
    path = folder / ANCHORS
    anchors = read_anchors(folder)
    if head is None or (anchors and anchors[-1].events == head.events):
        return False
    line = f"{head.events} {head.digest.hex()} {now.astimezone(UTC).isoformat()}\n"
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        line = "\n" + line
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, line.encode("ascii"))
        os.fsync(handle)
    finally:
        os.close(handle)
    return True


def _rows(connection: Connection) -> Iterator[tuple[int, bytes, Fault | None]]:
    previous = START
    wanted = select(audit_event).order_by(audit_event.c.number)
    for row in connection.execute(wanted.execution_options(yield_per=5000)):
        texts = (row.person, row.action, row.kind, row.subject, row.institution, row.detail)
        fault = None
        if digest_of(row.number, row.at, texts, row.previous) != row.digest:
            fault = Fault.CHANGED
        elif row.previous != previous:
            fault = Fault.BROKEN
        previous = row.digest
        yield row.number, row.digest, fault
