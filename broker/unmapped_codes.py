"""Codes that wait for a person, each once, and what is known that speaks for a meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from adapters.ports.intake import Media
from broker.code_maps import code_alone
from broker.store.code_maps import WaitingLine, standing_decisions, waiting_lines
from broker.store.line_habits import load_habits
from broker.store.schema import receipt
from broker.store.visits import find_visits
from mapping.agreements import parties_of
from mapping.code_suggestions import CodeEvidence, KnownLink
from mapping.codes import split_orders
from mapping.errors import LabbrokerError
from mapping.line_habits import Habit, HabitKind
from mapping.moment import TAIPEI
from mapping.parsed import Reader
from mapping.profile import SourceProfile
from mapping.report import LabReport, Observation

_SAMPLES = 20
_ORDERED_WITHIN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class UnmappedCode:
    """``count`` results of a source wait for ``code``; the earliest is due at ``due_at``.

    ``order_code`` is set where the order is known and only the row is not.
    """

    source_id: str
    code: str
    name: str
    count: int
    due_at: datetime | None
    order_code: str = ""
    receipt_ids: tuple[int, ...] = ()
    """Some of the receipts, the newest first."""


def unmapped_codes(
    connection: Connection, sources: Collection[str] | None = None
) -> list[UnmappedCode]:
    """Every code that results of ``sources`` (None: all) wait for, once, the most urgent first."""
    groups: dict[tuple[str, str], list[WaitingLine]] = {}
    for line in waiting_lines(connection, sources):
        groups.setdefault((line.source_id, line.code), []).append(line)
    return [_unmapped(source_id, code, lines) for (source_id, code), lines in groups.items()]


def _unmapped(source_id: str, code: str, lines: Sequence[WaitingLine]) -> UnmappedCode:
    receipts = sorted({line.receipt_id for line in lines}, reverse=True)
    dues = [line.due_at for line in lines if line.due_at is not None]
    orders = {dict(line.finding.parameters).get("order_code", "") for line in lines}
    return UnmappedCode(
        source_id,
        code,
        next((line.name for line in lines if line.name), ""),
        len(lines),
        min(dues, default=None),
        orders.pop() if len(orders) == 1 else "",
        tuple(receipts[:_SAMPLES]),
    )


def gather_evidence(
    connection: Connection,
    wanted: UnmappedCode,
    profiles: Mapping[str, SourceProfile],
    readers: Mapping[Media, Reader],
) -> CodeEvidence:
    """What the results themselves, the visits they belong to and the other maps say."""
    profile = profiles.get(wanted.source_id) or SourceProfile(wanted.source_id)
    names: dict[str, None] = dict.fromkeys([wanted.name] if wanted.name else ())
    units: Counter[str] = Counter()
    specimens: Counter[str] = Counter()
    ordered: Counter[str] = Counter()
    together: Counter[str] = Counter()
    ranges: dict[str, None] = {}
    values: dict[str, None] = {}
    methods: dict[str, None] = {}
    for report in _reports(connection, wanted, profile, readers):
        lines = [line for line in report.observations if _is_of(line, wanted.code)]
        if not lines:
            continue
        for line in lines:
            names |= dict.fromkeys(each.display for each in line.codings if each.display)
            units[line.unit] += 1
            ranges[line.reference.raw] = None
            values[line.value] = None
            methods[line.method] = None
        specimens[report.specimen.kind] += 1
        known = {order.order_code for order in split_orders(report, profile).orders}
        together.update(known)
        ordered.update(_ordered(connection, report, profile) - known)
    return CodeEvidence(
        code=wanted.code,
        names=tuple(names),
        order_code=wanted.order_code,
        lab_code=profile.lab_code,
        units=tuple(unit for unit, _ in units.most_common() if unit),
        ranges=tuple(text for text in ranges if text),
        values=tuple(text for text in values if text),
        methods=tuple(text for text in methods if text),
        specimens=tuple(kind for kind, _ in specimens.most_common() if kind),
        ordered=dict(ordered),
        together=frozenset(together),
        reports=sum(specimens.values()),
        known=tuple(_known_links(connection, wanted, profiles)),
    )


def _reports(
    connection: Connection,
    wanted: UnmappedCode,
    profile: SourceProfile,
    readers: Mapping[Media, Reader],
) -> Iterator[LabReport]:
    rows = connection.execute(select(receipt).where(receipt.c.id.in_(wanted.receipt_ids)))
    for row in rows.all():
        try:
            yield from readers[Media(row.media)](row.raw, profile).reports
        except (LabbrokerError, ValueError):
            # It was read once; what is wrong now is told where it is read again.
            continue


def _is_of(line: Observation, code: str) -> bool:
    return any((each.code or each.display) == code for each in line.codings)


def _ordered(connection: Connection, report: LabReport, profile: SourceProfile) -> set[str]:
    """Order codes of the person's visits shortly before the report."""
    clinic_code = parties_of(report, profile).clinic_code
    national_id = report.patient.national_id
    if not (clinic_code and national_id):
        return set()
    moment = report.specimen.collected_at or report.reported_at
    day = moment.at.astimezone(TAIPEI).date() if moment else None
    return {
        order.order_code
        for _, visit in find_visits(connection, clinic_code, national_id)
        if day is None or visit.visit_on <= day <= visit.visit_on + _ORDERED_WITHIN
        for order in visit.orders
    }


def _known_links(
    connection: Connection, wanted: UnmappedCode, profiles: Mapping[str, SourceProfile]
) -> Iterator[KnownLink]:
    """The links of all other sources, and the other links of this one."""
    habits: dict[tuple[str, str], list[Habit]] = {}
    for habit in load_habits(connection):
        habits.setdefault((habit.source_id, habit.code), []).append(habit)
    for link in _links(connection, wanted, profiles):
        sent = habits.get((link.source_id, link.code), [])
        units = [habit for habit in sent if habit.kind is HabitKind.UNIT and habit.known]
        specimens = {habit.specimen for habit in sent}
        yield replace(
            link,
            ranges=tuple(habit.value for habit in sent if habit.kind is HabitKind.RANGE),
            # Of several nobody could say which one was meant.
            sent_unit=units[0].value if len(units) == 1 else "",
            sent_specimen=specimens.pop() if len(specimens) == 1 else "",
        )


def _links(
    connection: Connection, wanted: UnmappedCode, profiles: Mapping[str, SourceProfile]
) -> Iterator[KnownLink]:
    for each in standing_decisions(connection):
        if each.source_id in profiles and each.order_code:
            yield KnownLink(
                source_id=each.source_id,
                lab_code=profiles[each.source_id].lab_code,
                code=code_alone(each.local.code),
                name=each.name,
                order_code=each.order_code,
                item_number=each.item_number,
                unit=each.local.unit,
                specimen=each.local.specimen,
                confirmed=each.source_id != wanted.source_id,
            )
    for source_id, profile in profiles.items():
        for name, link in profile.codes.items():
            if link.order_code:
                yield KnownLink(
                    source_id=source_id,
                    lab_code=profile.lab_code,
                    code=code_alone(name),
                    order_code=link.order_code,
                    item_number=link.item_number,
                )
