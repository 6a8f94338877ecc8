"""Which records speak of the same result of an order as a draft does, and which only seem to.

A laboratory's number alone does not tell: numbers are used again, and one result comes under two
numbers when it comes by two doors. NHI knows an order again by twelve values and nothing else; an
order of a visit is answered once unless its quantity leaves room.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select

from broker.drafting import Draft
from broker.states import HeldReason, RecordState
from broker.store.rows import AnyRow
from broker.store.schema import record
from mapping.record import UploadRecord, correction_key, record_from_json
from mapping.same_order import collection_day, contradicts, covers, same_collection

ON_ITS_WAY = frozenset(
    {RecordState.SEALED, RecordState.INFLIGHT, RecordState.UNKNOWN, RecordState.CHECKING}
)
_OPEN = frozenset({RecordState.HELD, RecordState.READY, RecordState.REJECTED})
_NEWEST = 1 << 62
_LENGTH = 13


@dataclass(frozen=True, slots=True)
class Versions:
    """The living versions of one order, apart from the one that is written now."""

    identity: str
    """Under which the new one is written; a number that was used again gets one of its own."""
    previous: AnyRow | None = None
    """What is on its way, else the newest of which there is a record and that does not wait."""
    open: tuple[AnyRow, ...] = ()
    """Of which nothing has left."""
    waiting: tuple[AnyRow, ...] = ()
    """Earlier words that wait for the verdict on what is on its way."""
    version: int = 0
    hindrance: str = ""
    """The finding code for why the draft can be no version and no result of its own, or ``""``."""
    doubted: tuple[AnyRow, ...] = ()
    """Ready results of the same receipt that are as doubtful as the draft."""
    same_number: bool = True
    """``previous`` came under the draft's own number."""
    withdrawals: tuple[AnyRow, ...] = ()
    """Words by which the laboratory took back results of this number, whatever became of them."""


@dataclass(slots=True)
class _Sorted:
    same: list[AnyRow] = field(default_factory=list)
    moved: list[AnyRow] = field(default_factory=list)
    """Same number, another time, and said to be a correction."""
    others: list[AnyRow] = field(default_factory=list)
    """Other results of the visit's order."""
    disagreeing: list[AnyRow] = field(default_factory=list)
    reused: list[AnyRow] = field(default_factory=list)
    """Same number, another visit, and yet not clearly another result."""
    own_disagrees: bool = False
    number_is_taken: bool = False


def correction_digest(item: UploadRecord) -> str:
    """The twelve values by which NHI knows an order again, as a digest: a patient's id is among
    them."""
    return hashlib.sha256("\0".join(correction_key(item)).encode()).hexdigest()[:32]


def find_versions(
    connection: Connection, draft: Draft, receipt_id: int, row_id: int | None
) -> Versions:
    """What is known of the draft's order. ``row_id`` is the draft's own row, if it has one."""
    again = identity_of_its_own(draft)
    own = {draft.order_identity, again} - {""}
    known = _known(connection, draft, own, row_id)
    withdrawals = tuple(
        row
        for row in known
        if row.withdrawal and row.order_identity in own and not draft.withdrawal
    )
    found = [row for row in known if row.state != RecordState.SUPERSEDED.value]
    if not found:
        return Versions(draft.order_identity, withdrawals=withdrawals)
    return replace(_among(found, draft, own, again, receipt_id, row_id), withdrawals=withdrawals)


def is_taken_back(draft: Draft, versions: Versions, receipt_id: int) -> bool | None:
    """Whether the laboratory took the draft back before it came in: a message may overtake
    another. None where that cannot be told, or where it took back lines of it only."""
    told = draft.reported.ljust(_LENGTH, "0") if draft.reported else ""
    doubtful = False
    for row in versions.withdrawals:
        kind, _, said = row.withdrawal.partition(" ")
        said = said.ljust(_LENGTH, "0") if said else ""
        if row.receipt_id >= receipt_id or (told and said and told > said):
            continue
        if told and said and told < said and kind == "order":
            return True
        if not draft.corrected or (told and said and told < said):
            doubtful = doubtful or kind == "order" or not _is_covered(draft, versions)
    return None if doubtful else False


def _is_covered(draft: Draft, versions: Versions) -> bool:
    if versions.previous is None or not versions.previous.body or draft.record is None:
        return False
    return covers(record_from_json(json.loads(versions.previous.body)), draft.record)


def _among(
    found: list[AnyRow],
    draft: Draft,
    own: set[str],
    again: str,
    receipt_id: int,
    row_id: int | None,
) -> Versions:
    groups = _sort(draft, own, found, receipt_id)
    identity = draft.order_identity
    if again and (groups.number_is_taken or any(r.order_identity == again for r in groups.same)):
        identity = again
    known = any(row.order_identity in own and row.body for row in groups.same)
    hindrance = _hindrance(draft, own, groups, known)
    rows = groups.same or ([] if hindrance else groups.moved)
    versions = _versions(identity, rows, own, receipt_id, row_id)
    if not hindrance:
        return versions
    here = [row for row in groups.disagreeing if row.receipt_id == receipt_id]
    doubted = tuple(row for row in here if row.state == RecordState.READY.value)
    return Versions(identity, version=versions.version, hindrance=hindrance, doubted=doubted)


def _hindrance(draft: Draft, own: set[str], groups: _Sorted, known: bool) -> str:
    if groups.own_disagrees or (groups.disagreeing and not known):
        return "results-disagree"
    if known:
        return ""
    # A correction that moves the time, where more than one result could be meant.
    if groups.reused or (groups.moved and groups.others):
        return "number-used-again"
    if groups.moved or len({row.correction_key for row in groups.others}) < draft.room:
        return ""
    if any(row.order_identity in own for row in groups.others):
        return "number-used-again"
    # A complement of what stands is no second answer.
    return "" if groups.same else "order-answered"


def _known(connection: Connection, draft: Draft, own: set[str], row_id: int | None) -> list[AnyRow]:
    wanted: list[tuple[Any, dict[str, Any]]] = [
        (_OF_IDENTITY, {"identity": identity}) for identity in sorted(own)
    ]
    if draft.record is not None:
        wanted.append((_OF_KEY, {"digest": correction_digest(draft.record)}))
    if draft.record is not None and draft.visit_id is not None:
        wanted.append((_OF_VISIT, {"visit": draft.visit_id, "code": draft.order_code}))
    found: dict[int, AnyRow] = {}
    for query, values in wanted:
        rows = connection.execute(query, values)
        found.update((row.id, row) for row in rows if row.id != row_id)
    return sorted(found.values(), key=lambda row: (row.version, row.id), reverse=True)


# Made once: making them costs more than what they ask.
IS_KNOWN = or_(record.c.state != RecordState.SUPERSEDED.value, record.c.withdrawal != "")
_OF_IDENTITY = select(record).where(record.c.order_identity == bindparam("identity"), IS_KNOWN)
_OF_KEY = select(record).where(record.c.correction_key == bindparam("digest"), IS_KNOWN)
_OF_VISIT = select(record).where(
    record.c.visit_id == bindparam("visit"), record.c.order_code == bindparam("code"), IS_KNOWN
)


def _sort(draft: Draft, own: set[str], rows: Iterable[AnyRow], receipt_id: int) -> _Sorted:
    groups = _Sorted()
    judged: dict[str, list[AnyRow]] = {}
    for row in rows:
        if row.order_identity in own:
            _sort_own(draft, row, receipt_id, groups)
        elif row.body and draft.record is not None and draft.record.rows:
            # NHI sees records of one key as one order: the newest says what it is.
            key = row.correction_key
            if key not in judged:
                judged[key] = _sort_other(draft.record, draft.corrected, row, groups)
            judged[key].append(row)
    return groups


def _sort_own(draft: Draft, row: AnyRow, receipt_id: int, groups: _Sorted) -> None:
    visits = {row.visit_id, draft.visit_id} - {None}
    elsewhere = len(visits) == 2
    if draft.record is None or not row.body:
        if elsewhere:
            groups.number_is_taken = True
        else:
            groups.same.append(row)
        return
    earlier = record_from_json(json.loads(row.body))
    days = {collection_day(earlier), collection_day(draft.record)} - {""}
    another_day = len(days) == 2
    another_time = not same_collection(earlier, draft.record)
    contrary = contradicts(earlier, draft.record)
    if elsewhere and another_day and not draft.corrected:
        groups.number_is_taken = True
    elif elsewhere:
        groups.reused.append(row)
        groups.number_is_taken = True
    elif another_time and draft.corrected:
        groups.moved.append(row)
    elif another_day or (another_time and contrary):
        groups.others.append(row)
        groups.number_is_taken = True
    elif row.receipt_id == receipt_id and contrary and not draft.corrected:
        groups.disagreeing.append(row)
        groups.own_disagrees = True
    else:
        groups.same.append(row)


def _sort_other(told: UploadRecord, corrected: bool, row: AnyRow, groups: _Sorted) -> list[AnyRow]:
    earlier = record_from_json(json.loads(row.body))
    if not same_collection(earlier, told):
        return groups.others
    if contradicts(earlier, told) and not corrected:
        return groups.disagreeing
    return groups.same


def _versions(
    identity: str, rows: list[AnyRow], own: set[str], receipt_id: int, row_id: int | None
) -> Versions:
    on_its_way = [row for row in rows if RecordState(row.state) in ON_ITS_WAY]
    settled = [row for row in rows if row.held_reason != HeldReason.WAITING_VERDICT.value]
    here = (receipt_id, row_id or _NEWEST)
    previous = next(iter(on_its_way or [row for row in settled if row.body]), None)
    return Versions(
        identity,
        previous=previous,
        open=tuple(row for row in settled if RecordState(row.state) in _OPEN),
        waiting=tuple(
            row for row in rows if row not in settled and (row.receipt_id, row.id) < here
        ),
        version=max((row.version for row in settled), default=0),
        same_number=previous is None or previous.order_identity in own,
    )


def identity_of_its_own(draft: Draft) -> str:
    """For a number that was used before: the same for all versions of one visit and time."""
    if draft.record is None or draft.visit_id is None or not draft.order_identity:
        return ""
    parts = (draft.order_identity, draft.visit_id, draft.record.value("h20"))
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
