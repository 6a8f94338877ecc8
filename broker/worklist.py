"""From what waits in the store to groups that a person can work off."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection

from broker.finding_json import findings_from_json
from broker.states import HeldReason, RecordState
from broker.store.choices import candidates_of
from broker.store.open_work import (
    WHAT_STOPS,
    ranges_sent,
    records_in_order,
    sources_of,
    visits_of_card_events,
)
from broker.store.reach_faults import faults_in_reach
from broker.store.reading import beyond_reach
from broker.store.rows import AnyRow
from mapping.causes import Cause, Fault, group_id_of, group_of
from mapping.finding import Finding, Severity
from mapping.profile import SourceProfile
from mapping.proposals import Known, RangeKey, can_be_proposed, propose
from mapping.record import record_from_json
from mapping.visit import Visit

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """One cause and the records that wait for it, the most urgent first, each once. ``due_at`` is
    the stored number of the first."""

    group_id: str
    due_at: int | None
    record_ids: tuple[int, ...]


def open_groups(
    connection: Connection, institutions: frozenset[str] | None = None
) -> tuple[OpenGroup, ...]:
    """All groups, the most urgent first, then the most frequent. Reads no record that names its
    errors itself: a hundred thousand take less than a second. ``institutions`` are those whose
    records are seen, None all."""
    groups: dict[str, _Waiting] = {}
    known: dict[tuple[str, ...], _Waiting] = {}
    for fault in faults_in_reach(connection, institutions):
        record_id, due_at, code, tag, lab_code, subject, value = fault
        said = fault[2:]
        waiting = known.get(said)
        if waiting is None:
            name = group_id_of(code, tag, lab_code, subject, value) if code else ""
            waiting = known[said] = groups.setdefault(name, _Waiting(due_at, []))
        waiting.record_ids.append(record_id)
    whole = groups.pop("", _Waiting(None, [])).record_ids
    for row in records_in_order(connection, whole, WHAT_STOPS):
        due = round(row.due_at.timestamp() * 1_000_000) if row.due_at else None
        for finding in blocking_findings(row):
            name = group_of(_fault(row, finding))
            groups.setdefault(name, _Waiting(due, [])).record_ids.append(row.id)
    found = (
        OpenGroup(name, each.due_at, tuple(dict.fromkeys(each.record_ids)))
        for name, each in groups.items()
    )
    return tuple(sorted(found, key=_urgency))


def open_causes(
    connection: Connection,
    profiles: Mapping[str, SourceProfile],
    today: date,
    groups: Sequence[OpenGroup] | None = None,
    looked_at: int | None = None,
) -> tuple[Cause, ...]:
    """What waits, with what would mend it. ``groups`` are those to look into, by default all;
    ``looked_at`` is how many records of each are read, by default all. ``today`` is the Taipei
    day."""
    look = _Look(connection, profiles, today)
    listed = open_groups(connection) if groups is None else groups
    wanted = [(group, number) for group in listed for number in group.record_ids[:looked_at]]
    found: dict[str, list[Fault]] = {}
    # A fix is proposed by what the laboratory sent before for anybody.
    with beyond_reach(connection):
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            rows = look.at([number for _, number in part])
            for (group, _), row in zip(part, rows, strict=True):
                found.setdefault(group.group_id, []).extend(look.faults(row, group.group_id))
    return tuple(
        Cause(group.group_id, tuple(found[group.group_id]), group.record_ids)
        for group in listed
        if found.get(group.group_id)
    )


def find_cause(
    connection: Connection,
    profiles: Mapping[str, SourceProfile],
    today: date,
    group_id: str,
    institutions: frozenset[str] | None = None,
) -> Cause | None:
    """One group, as far as ``institutions`` see it (None: whole); None where none of that name
    waits."""
    waiting = open_groups(connection, institutions)
    groups = [each for each in waiting if each.group_id == group_id]
    return next(iter(open_causes(connection, profiles, today, groups)), None)


class _Waiting(NamedTuple):
    due_at: int | None
    record_ids: list[int]


def _urgency(group: OpenGroup) -> tuple[bool, int, int]:
    return group.due_at is None, group.due_at or 0, -len(group.record_ids)


class _Look:
    """Looks each thing up once for all records that need it."""

    def __init__(
        self, connection: Connection, profiles: Mapping[str, SourceProfile], today: date
    ) -> None:
        self._connection = connection
        self._profiles = profiles
        self._today = today
        self._sources: Mapping[int, str] = {}
        self._visits: Mapping[int, tuple[Visit, ...]] = {}
        self._ranges: dict[tuple[str, str], Mapping[RangeKey, Mapping[tuple[str, str], str]]] = {}

    def at(self, ids: Sequence[int]) -> Sequence[AnyRow]:
        """The records of ``ids``; of these, and no others, :meth:`faults` tells until it is asked
        again."""
        rows = list(records_in_order(self._connection, ids))
        told = [row for row in rows if row.body]
        visits = {row.visit_id for row in told if row.visit_id is not None}
        self._sources = sources_of(self._connection, told)
        self._visits = visits_of_card_events(self._connection, visits)
        return rows

    def faults(self, row: AnyRow, group_id: str) -> Iterator[Fault]:
        """Each fault of one record in that group, with what would mend it."""
        faults = [_fault(row, finding) for finding in blocking_findings(row)]
        # Whatever the database made of an odd value, a record that waits is always shown.
        found = [fault for fault in faults if group_of(fault) == group_id] or faults
        if not row.body or not any(can_be_proposed(fault.finding.code) for fault in found):
            yield from found
            return
        record, known = record_from_json(json.loads(row.body)), self._known(row)
        for fault in found:
            yield replace(fault, proposal=propose(fault.finding, record, known))

    def _known(self, row: AnyRow) -> Known:
        def ranges(key: RangeKey) -> Mapping[tuple[str, str], str]:
            place = (row.lab_code, key[0])
            if place not in self._ranges:
                self._ranges[place] = ranges_sent(self._connection, *place)
            return self._ranges[place].get(key, {})

        return Known(
            on=self._today,
            visits=self._visits.get(row.visit_id, ()),
            profile=self._profiles.get(self._sources[row.id]),
            profiles=tuple(self._profiles.values()),
            ranges=ranges,
        )


def _fault(row: AnyRow, finding: Finding) -> Fault:
    return Fault(
        record_id=row.id,
        finding=finding,
        lab_code=row.lab_code,
        order_code=row.order_code,
        place=row.place,
        due_at=row.due_at,
        candidates=_candidates(row),
    )


def _candidates(row: AnyRow) -> tuple[Mapping[str, Any], ...]:
    if row.state != RecordState.HELD.value or row.held_reason != HeldReason.UNMATCHED.value:
        return ()
    found: Any = candidates_of(row).get("visits", ())
    return tuple(found)


def blocking_findings(row: AnyRow) -> tuple[Finding, ...]:
    """What keeps a held or rejected record from going out."""
    findings = findings_from_json(row.findings)
    errors = tuple(each for each in findings if each.severity is Severity.ERROR)
    if errors:
        return errors
    if row.state == RecordState.REJECTED.value:
        codes = row.verdict_code.split(",")
        return tuple(Finding("package-refused", parameters=(("nhi_code", code),)) for code in codes)
    said = tuple(each for each in findings if each.code == "held-beside")
    return said or (Finding("held-for-another", place=row.place),)
