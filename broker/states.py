"""One enum for each axis of state, and the only transitions that exist, as data.

``docs/reference/states.md`` shows the same tables and a test compares them. A state that is not a
key of its table's targets is final.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from mapping.errors import LabbrokerError


class ReceiptState(StrEnum):
    STORED = "stored"
    PARSED = "parsed"
    QUARANTINED = "quarantined"


class Acknowledgement(StrEnum):
    """Apart from the state: a parsed message whose answer never reached the sender exists."""

    OWED = "owed"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    NOT_OWED = "not_owed"


class RecordState(StrEnum):
    HELD = "held"
    READY = "ready"
    SEALED = "sealed"
    INFLIGHT = "inflight"
    CHECKING = "checking"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"


class HeldReason(StrEnum):
    UNMAPPED = "unmapped"
    UNMATCHED = "unmatched"
    INVALID = "invalid"
    OPTED_OUT = "opted_out"
    OTHER_PARTY_UPLOADS = "other_party_uploads"
    WAITING_FINAL = "waiting_final"
    WAITING_VERDICT = "waiting_verdict"
    """An earlier version of the order is on its way: this one waits for its verdict."""


class PackageState(StrEnum):
    SEALED = "sealed"
    CLAIMED = "claimed"
    """Taken by a sender, no byte sent: safe to take over."""
    INFLIGHT = "inflight"
    """Its intent is durable and bytes may have left: never safe to send again by itself."""
    SUBMITTED = "submitted"
    CHECKED = "checked"
    UNKNOWN = "unknown"
    STALE = "stale"
    FAILED = "failed"


class DeadlineState(StrEnum):
    ON_TIME = "on_time"
    AT_RISK = "at_risk"
    MISSED = "missed"


RECEIPT_TRANSITIONS: Mapping[ReceiptState, frozenset[ReceiptState]] = {
    ReceiptState.STORED: frozenset({ReceiptState.PARSED, ReceiptState.QUARANTINED}),
    # A replay reads the same bytes again, with what the broker knows by then.
    ReceiptState.PARSED: frozenset({ReceiptState.STORED}),
    ReceiptState.QUARANTINED: frozenset({ReceiptState.STORED}),
}

RECORD_TRANSITIONS: Mapping[RecordState, frozenset[RecordState]] = {
    RecordState.HELD: frozenset({RecordState.HELD, RecordState.READY, RecordState.SUPERSEDED}),
    RecordState.READY: frozenset({RecordState.SEALED, RecordState.HELD, RecordState.SUPERSEDED}),
    # A check report, or a person, may say of a package that it was uploaded by hand.
    RecordState.SEALED: frozenset({RecordState.INFLIGHT, RecordState.READY, RecordState.CHECKING}),
    RecordState.INFLIGHT: frozenset(
        {RecordState.CHECKING, RecordState.UNKNOWN, RecordState.SEALED, RecordState.REJECTED}
    ),
    RecordState.UNKNOWN: frozenset({RecordState.CHECKING, RecordState.SEALED, RecordState.READY}),
    RecordState.CHECKING: frozenset({RecordState.ACCEPTED, RecordState.REJECTED}),
    RecordState.ACCEPTED: frozenset({RecordState.SUPERSEDED}),
    RecordState.REJECTED: frozenset({RecordState.READY, RecordState.SUPERSEDED}),
}

PACKAGE_TRANSITIONS: Mapping[PackageState, frozenset[PackageState]] = {
    PackageState.SEALED: frozenset(
        {PackageState.CLAIMED, PackageState.STALE, PackageState.SUBMITTED}
    ),
    PackageState.CLAIMED: frozenset({PackageState.INFLIGHT, PackageState.SEALED}),
    PackageState.INFLIGHT: frozenset(
        {
            PackageState.SUBMITTED,
            PackageState.UNKNOWN,
            PackageState.SEALED,
            PackageState.FAILED,
        }
    ),
    PackageState.UNKNOWN: frozenset(
        {PackageState.SUBMITTED, PackageState.SEALED, PackageState.STALE}
    ),
    PackageState.SUBMITTED: frozenset({PackageState.CHECKED}),
}


class ForbiddenTransition(LabbrokerError):
    """A change of state that the table does not have: a fault of the program, stopped here."""

    code = "forbidden-transition"
    en = (
        "A {axis} cannot go from {before} to {after}.",
        "Nothing was changed. Run `labbroker doctor` and report the fault.",
    )
    zh = (
        "{axis} 不可由 {before} 變更為 {after}。",
        "未做任何變更。請執行 `labbroker doctor` 並回報此問題。",
    )


State = TypeVar("State", ReceiptState, RecordState, PackageState)


def sources_of(table: Mapping[State, frozenset[State]], after: State) -> tuple[State, ...]:
    """The states from which ``after`` may be reached."""
    return tuple(before for before, targets in table.items() if after in targets)


def require_transition(
    table: Mapping[State, frozenset[State]], before: State, after: State
) -> State:
    """``after``, if the table has the step; raises :class:`ForbiddenTransition` if not."""
    if after not in table.get(before, frozenset()):
        raise ForbiddenTransition(axis=type(after).__name__, before=before, after=after)
    return after
