"""What reading a receipt again would change: drafted anew and compared. Nothing is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from adapters.ports.intake import Media
from broker.drafting import Draft, Drafting
from broker.states import RecordState
from broker.store.reach import record_in_reach
from broker.store.rows import AnyRow
from broker.store.schema import receipt, record
from broker.store.visits import find_visits
from mapping.errors import LabbrokerError
from mapping.parsed import Content, Reader
from mapping.profile import SourceProfile
from mapping.record import record_to_json

_STAYS = frozenset({RecordState.HELD.value, RecordState.READY.value})


_NO_BYTES = hashlib.sha256(b"").digest()


class NothingToReplay(LabbrokerError):
    code = "nothing-to-replay"
    en = ("Receipt {receipt} holds no results that could be read again.", "Nothing was changed.")
    zh = ("收件 {receipt} 沒有可重新處理的結果。", "未做任何變更。")


@dataclass(frozen=True, slots=True)
class ReplayLine:
    """One order of the receipt. ``before`` and ``after`` are ``ready``, ``held:reason`` or another
    state; ``""``: there is none. ``has_left``: its first record stays as it is, and what is new
    becomes a further version. ``changes`` are the fields that would say something else."""

    place: str
    order_code: str
    before: str
    after: str
    has_left: bool
    changes: tuple[str, ...]

    @property
    def is_change(self) -> bool:
        return bool(self.changes) or (not self.has_left and self.before != self.after)


def try_replay(
    connection: Connection,
    receipt_id: int,
    profiles: Mapping[str, SourceProfile],
    readers: Mapping[Media, Reader],
    drafting: Drafting,
    institutions: frozenset[str] | None = None,
) -> tuple[ReplayLine, ...]:
    """Read the receipt as it would be read now, and tell of the orders of ``institutions`` (None:
    of all): a file may hold what another clinic ordered. Raises :class:`NothingToReplay`, or what
    reading it raises."""
    row = connection.execute(select(receipt).where(receipt.c.id == receipt_id)).one_or_none()
    reader = readers.get(Media(row.media)) if row is not None else None
    if row is None or reader is None:
        raise NothingToReplay(receipt=receipt_id)
    profile = profiles.get(row.source_id) or SourceProfile(row.source_id)
    if not row.raw and row.sha256 != _NO_BYTES:
        raise NothingToReplay(receipt=receipt_id)
    parsed = reader(row.raw, profile)
    if parsed.content is not Content.REPORTS:
        raise NothingToReplay(receipt=receipt_id)
    drafts = drafting.drafts(
        parsed.reports,
        profile,
        row.received_at,
        lambda clinic, person: find_visits(connection, clinic, person),
        read=parsed.findings,
    )
    stored = {
        each.slot: each
        for each in connection.execute(
            select(
                record.c.slot,
                record.c.place,
                record.c.order_code,
                record.c.state,
                record.c.held_reason,
                record.c.body,
                record_in_reach(institutions).label("is_seen"),
            ).where(record.c.receipt_id == receipt_id)
        )
    }
    made = {draft.slot: draft for draft in drafts}

    def is_seen(slot: str) -> bool:
        if slot in stored:
            return bool(stored[slot].is_seen)
        draft = made[slot]
        whose = (draft.clinic_code, draft.lab_code, draft.uploader_code, row.source_id)
        return institutions is None or not institutions.isdisjoint(filter(None, whose))

    return tuple(
        _line(stored.get(slot), made.get(slot))
        for slot in dict.fromkeys((*stored, *made))
        if is_seen(slot)
    )


def _line(before: AnyRow | None, after: Draft | None) -> ReplayLine:
    told = before if before is not None else after
    assert told is not None  # noqa: S101 - the slot came from one of them
    return ReplayLine(
        told.place,
        told.order_code,
        _state(before),
        "" if after is None else _of_draft(after),
        before is not None and before.state not in _STAYS,
        _changes(before, after),
    )


def _state(row: AnyRow | None) -> str:
    if row is None:
        return ""
    return f"held:{row.held_reason}" if row.state == RecordState.HELD.value else str(row.state)


def _of_draft(draft: Draft) -> str:
    return f"held:{draft.held_reason.value}" if draft.held_reason else "ready"


def _changes(before: AnyRow | None, after: Draft | None) -> tuple[str, ...]:
    if before is None or after is None or after.record is None or not before.body:
        return ()
    old, new = json.loads(before.body), record_to_json(after.record)
    parts = [("", old["h"], new["h"])]
    for number in range(max(len(old["r"]), len(new["r"]))):
        one = old["r"][number] if number < len(old["r"]) else {}
        other = new["r"][number] if number < len(new["r"]) else {}
        parts.append((f"[{number + 1}]", one, other))
    # h16 is stamped at sealing.
    return tuple(
        f"{tag}{row}"
        for row, one, other in parts
        for tag in dict.fromkeys((*one, *other))
        if tag != "h16" and one.get(tag, [""])[0] != other.get(tag, [""])[0]
    )
