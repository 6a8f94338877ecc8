"""What a change of code maps would have done: stored receipts are read and drafted under both,
and compared. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection, select

from adapters.ports.intake import Media
from broker.drafting import Draft, Drafting
from broker.states import RecordState
from broker.store.rows import AnyRow
from broker.store.schema import receipt, record
from broker.store.visits import find_visits
from mapping.codes import split_orders
from mapping.errors import LabbrokerError
from mapping.parsed import Content, Reader
from mapping.profile import SourceProfile
from mapping.record import record_to_json
from mapping.visit import Visit

_HERE = frozenset({RecordState.HELD.value, RecordState.READY.value, RecordState.SUPERSEDED.value})
_PAGE = 200
_EXAMPLES = 50


@dataclass(frozen=True, slots=True)
class Difference:
    """One record that would be another. ``before`` and ``after`` are ``ready``, ``held:reason``,
    or ``""`` where there is no such record; both are equal where only what it says differs."""

    receipt_id: int
    place: str
    order_code: str
    before: str
    after: str
    has_left: bool = False
    """NHI may know the record already: the change would not call it back."""


@dataclass(slots=True)
class Trial:
    """``counts`` by order code, before and after; ``differences`` are the first ones."""

    receipts: int = 0
    unreadable: int = 0
    changed: int = 0
    have_left: int = 0
    counts: dict[tuple[str, str, str], int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    def add(self, found: Difference) -> None:
        """Count one difference."""
        self.changed += 1
        self.have_left += found.has_left
        key = (found.order_code, found.before, found.after)
        self.counts[key] = self.counts.get(key, 0) + 1
        if len(self.differences) < _EXAMPLES:
            self.differences.append(found)


def try_profiles(
    connection: Connection,
    before: Mapping[str, SourceProfile],
    after: Mapping[str, SourceProfile],
    drafting: Drafting,
    readers: Mapping[Media, Reader],
    since: datetime,
    step: Callable[[], None] = lambda: None,
) -> Trial:
    """Compare both on all receipts since ``since`` of the sources that differ. ``step`` is called
    after each receipt."""
    sources = sorted(each for each in after if before.get(each) is not after[each])
    trial = Trial()

    @lru_cache(maxsize=4096)
    def visits_of(clinic_code: str, national_id: str) -> Sequence[tuple[int, Visit]]:
        return find_visits(connection, clinic_code, national_id)

    for row in _receipts(connection, sources, since):
        trial.receipts += 1
        try:
            found = _compare(row, before, after, drafting, readers, visits_of)
        except (LabbrokerError, ValueError, RecursionError, MemoryError):
            trial.unreadable += 1
            found = []
        if found:
            left = _left(connection, row.id)
            for slot, each in found:
                trial.add(
                    Difference(
                        row.id,
                        each.place,
                        each.order_code,
                        each.before,
                        each.after,
                        slot in left,
                    )
                )
        step()
    return trial


def _compare(
    row: AnyRow,
    before: Mapping[str, SourceProfile],
    after: Mapping[str, SourceProfile],
    drafting: Drafting,
    readers: Mapping[Media, Reader],
    visits_of: Callable[[str, str], Sequence[tuple[int, Visit]]],
) -> list[tuple[str, Difference]]:
    old, new = before[row.source_id], after[row.source_id]
    parsed = readers[Media(row.media)](row.raw, new)
    if parsed.content is not Content.REPORTS:
        return []
    if all(split_orders(each, old) == split_orders(each, new) for each in parsed.reports):
        return []
    drafts = [
        {
            draft.slot: draft
            for draft in drafting.drafts(
                parsed.reports, profile, row.received_at, visits_of, read=parsed.findings
            )
        }
        for profile in (old, new)
    ]
    found = []
    for slot in dict.fromkeys((*drafts[0], *drafts[1])):
        one, other = drafts[0].get(slot), drafts[1].get(slot)
        if _says(one) != _says(other):
            told = other or one
            assert told is not None  # noqa: S101 - the slot came from one of them
            difference = Difference(row.id, told.place, told.order_code, _state(one), _state(other))
            found.append((slot, difference))
    return found


def _state(draft: Draft | None) -> str:
    if draft is None:
        return ""
    return f"held:{draft.held_reason.value}" if draft.held_reason else "ready"


def _says(draft: Draft | None) -> object:
    if draft is None:
        return None
    body = record_to_json(draft.record) if draft.record else None
    lines = [finding.place for finding in draft.findings] if body is None else []
    return _state(draft), body, lines


def _left(connection: Connection, receipt_id: int) -> frozenset[str]:
    rows = connection.execute(
        select(record.c.slot).where(
            record.c.receipt_id == receipt_id, record.c.state.not_in(sorted(_HERE))
        )
    )
    return frozenset(rows.scalars())


def _receipts(connection: Connection, sources: Sequence[str], since: datetime) -> Iterator[AnyRow]:
    after = 0
    while True:
        rows = connection.execute(
            select(receipt)
            .where(
                receipt.c.id > after,
                receipt.c.source_id.in_(sources),
                receipt.c.content == Content.REPORTS.value,
                receipt.c.received_at >= since,
            )
            .order_by(receipt.c.id)
            .limit(_PAGE)
        ).all()
        yield from rows
        if len(rows) < _PAGE:
            return
        after = rows[-1].id
