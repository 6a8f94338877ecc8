"""From what waits in the store to groups that a person can work off."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date

from sqlalchemy import Connection

from broker.finding_json import findings_from_json
from broker.states import RecordState
from broker.store.open_work import ranges_sent, source_of, visits_of_card_event, waiting_records
from broker.store.rows import AnyRow
from mapping.causes import Cause, Fault, group_faults
from mapping.finding import Finding, Severity
from mapping.profile import SourceProfile
from mapping.proposals import Known, RangeKey, can_be_proposed, propose
from mapping.record import record_from_json
from mapping.visit import Visit


def open_causes(
    connection: Connection, profiles: Mapping[str, SourceProfile], today: date
) -> tuple[Cause, ...]:
    """Everything that waits for a person, grouped by cause, the most urgent first. ``today`` is
    the Taipei day."""
    look = _Look(connection, profiles, today)
    return group_faults(fault for row in waiting_records(connection) for fault in look.faults(row))


class _Look:
    """Looks each thing up once for all records that need it."""

    def __init__(
        self, connection: Connection, profiles: Mapping[str, SourceProfile], today: date
    ) -> None:
        self._connection = connection
        self._profiles = profiles
        self._today = today
        self._visits: dict[int | None, tuple[Visit, ...]] = {}
        self._ranges: dict[tuple[str, str], Mapping[RangeKey, Mapping[tuple[str, str], str]]] = {}

    def faults(self, row: AnyRow) -> Iterator[Fault]:
        """Each fault of one record with what would mend it."""
        findings = blocking_findings(row)
        record, known = None, None
        if row.body and any(can_be_proposed(finding.code) for finding in findings):
            record, known = record_from_json(json.loads(row.body)), self._known(row)
        for finding in findings:
            proposal = propose(finding, record, known) if record and known else None
            yield Fault(
                record_id=row.id,
                finding=finding,
                lab_code=row.lab_code,
                order_code=row.order_code,
                place=row.place,
                due_at=row.due_at,
                proposal=proposal,
            )

    def _known(self, row: AnyRow) -> Known:
        def ranges(key: RangeKey) -> Mapping[tuple[str, str], str]:
            place = (row.lab_code, key[0])
            if place not in self._ranges:
                self._ranges[place] = ranges_sent(self._connection, *place)
            return self._ranges[place].get(key, {})

        return Known(
            on=self._today,
            visits=self._visits_of(row.visit_id),
            profile=self._profiles.get(source_of(self._connection, row)),
            profiles=tuple(self._profiles.values()),
            ranges=ranges,
        )

    def _visits_of(self, visit_id: int | None) -> tuple[Visit, ...]:
        if visit_id not in self._visits:
            self._visits[visit_id] = visits_of_card_event(self._connection, visit_id)
        return self._visits[visit_id]


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
