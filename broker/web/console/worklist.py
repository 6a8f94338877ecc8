"""The worklist: what waits for a person, one card for each cause, one fix for all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from broker.access.person import Person
from broker.access.roles import Permission
from broker.states import HeldReason, RecordState
from broker.store.choices import get_records, open_tasks
from broker.store.open_work import kept_reports
from broker.store.overview import quarantined_receipts
from broker.store.rows import AnyRow
from broker.store.unread_files import why_unread
from broker.web.console.actions import (
    Notice,
    Subject,
    audit,
    done,
    form_of,
    name_of,
    notice_of,
    order,
    refused,
)
from broker.web.console.desk import DESK, Desk
from broker.web.console.kept import Kept
from broker.web.console.looks import masked_value, urgency
from broker.web.console.provenance import (
    ShownField,
    code_in_words,
    field_name,
    shown_field,
    shown_finding,
)
from broker.web.console.rendering import language_of, render
from broker.web.console.source_reach import sources_of
from broker.web.console.wording import say
from broker.web.identity import person_of, requires
from broker.worklist import OpenGroup, open_causes, open_groups
from mapping.catalogue.tables import order_code
from mapping.causes import Cause, Fault
from mapping.corrections import RESULTS
from mapping.errors import LabbrokerError, Language
from mapping.finding import Finding
from mapping.proposals import Proposal, row_number
from mapping.record import UploadRecord, record_from_json

PAGE = 12
_LOOKED_AT = 10
_LENGTH = "01"  # NHI's code for a value of a wrong length, an empty one too
_OTHERS = 50


@dataclass(frozen=True, slots=True)
class Example:
    """One record of a cause: ``field`` is the one that the finding is about."""

    record_id: int
    place: str
    field: ShownField | None
    value: str
    state: str


@dataclass(frozen=True, slots=True)
class Card:
    """One cause. ``kind`` is ``mend``, ``map`` (a local code), ``match`` (a visit) or ``again``
    (NHI said no and names no field)."""

    cause: Cause
    kind: str
    title: str
    remedy: str
    nhi_name: str
    field_name: str
    order_name: str
    urgency: str
    examples: tuple[Example, ...]
    proposal: Proposal | None
    proposed: int
    may_set: bool
    rejected: bool

    @property
    def first(self) -> Fault:
        return self.cause.first

    @property
    def records(self) -> int:
        return len(self.cause.record_ids)


CARDS = web.AppKey("cards", Kept[tuple[Card, ...]])


@requires(Permission.SEE_WORK)
async def show_worklist(request: web.Request, notice: Notice | None = None) -> web.Response:
    """A page of causes, and below them what waits without being a record."""
    desk, person = request.app[DESK], person_of(request)
    language = language_of(person)
    after = request.query.get("after", "")
    values, groups = await desk.read(lambda c: _look(c, desk, person, language, after))
    return render(
        request,
        "worklist.html",
        "worklist",
        notice=notice or notice_of(request),
        cards=await kept_cards(request, groups, language),
        **values,
    )


@requires(Permission.FIX_RECORD)
async def fix_cause(request: web.Request) -> web.Response:
    """Take the proposal, send again, or set one field, for all records of a cause in reach."""
    person, form = person_of(request), await form_of(request)
    group, way = request.match_info["group"], form.get("way", "")
    reach = None if person.reach is None else sorted(person.reach)
    body: dict[str, Any] = {"group_id": group, "by": name_of(request), "institutions": reach}
    if way == "set":
        body["settings"] = {form.get("field", ""): form.get("value", "")}
    else:
        body["again" if way == "again" else "accept"] = True
    try:
        told = await order(request, "fix", body)
    except LabbrokerError as error:
        return await show_worklist(request, notice=refused(error, language_of(person)))
    detail = {"way": way, "ready": str(told["ready"]), "held": str(told["held"])}
    await audit(request, "fix", Subject("cause", group), detail)
    raise done("/worklist", "fixed", ready=told["ready"], held=told["held"], left=told["left"])


def _look(
    connection: Connection, desk: Desk, person: Person, language: Language, after: str
) -> tuple[dict[str, Any], tuple[OpenGroup, ...]]:
    groups = open_groups(connection, person.reach)
    names = [group.group_id for group in groups]
    start = names.index(after) + 1 if after in names else 0
    shown = groups[start : start + PAGE]
    more = len(groups) > start + PAGE
    whole = person.everywhere
    reports = list(kept_reports(connection))[:_OTHERS] if whole else []
    apart = {row.id for row in reports}
    mine = None if whole else sources_of(person, desk)
    unreadable = quarantined_receipts(connection, mine, _OTHERS)
    values = {
        "group_count": len(groups),
        "record_count": len({number for group in groups for number in group.record_ids}),
        "more": f"/worklist?after={shown[-1].group_id}" if more else "",
        "after": after,
        "tasks": [
            (row, *shown_finding(_task(row), language))
            for row in open_tasks(connection, person.reach, _OTHERS)
        ],
        "reports": [(row, *why_unread(row, language)) for row in reports],
        "unreadable": [
            (row, *why_unread(row, language)) for row in unreadable if row.id not in apart
        ],
    }
    return values, shown


async def kept_cards(
    request: web.Request, groups: tuple[OpenGroup, ...], language: Language
) -> tuple[Card, ...]:
    """What would mend these groups takes reading what their laboratories sent before: kept for
    some seconds, as long as the same records wait."""
    desk = request.app[DESK]

    def look(connection: Connection) -> tuple[Card, ...]:
        causes = open_causes(connection, desk.profiles, desk.today, groups, _LOOKED_AT)
        return _cards(connection, desk, causes, language)

    figures = await request.app[CARDS].of((groups, language), lambda: desk.read(look))
    return figures.value


def _task(row: AnyRow) -> Finding:
    return Finding(row.task, place=row.place, parameters=(("order_code", row.order_code),))


def _cards(
    connection: Connection, desk: Desk, causes: Sequence[Cause], language: Language
) -> tuple[Card, ...]:
    ids = {fault.record_id for cause in causes for fault in cause.examples}
    rows = get_records(connection, ids)
    return tuple(_card(rows, desk, cause, language) for cause in causes)


def _card(rows: Mapping[int, AnyRow], desk: Desk, cause: Cause, language: Language) -> Card:
    finding = cause.first.finding
    examples = tuple(
        _example(fault, rows.get(fault.record_id), desk, language) for fault in cause.examples
    )
    message, remedy = shown_finding(finding, language)
    proposals = [fault.proposal for fault in cause.proposed if fault.proposal is not None]
    known = order_code(cause.first.order_code)
    several_results = finding.field in RESULTS and len(cause.record_ids) > 1
    first = rows.get(cause.first.record_id)
    kind = _kind(finding, first)
    name = field_name(finding.field, desk.today, language) if finding.field else ""
    if finding.code == _LENGTH and name and not finding.value:
        message = say(language, "worklist.left_empty", field=name, tag=finding.field)
    return Card(
        cause=cause,
        kind=kind,
        title=message,
        remedy=remedy,
        nhi_name=code_in_words(finding.code, language),
        field_name=name,
        order_name=known.name_zh if known else "",
        urgency=urgency(cause.due_at, desk.clock(), desk.warn),
        examples=examples,
        proposal=proposals[0] if proposals else None,
        proposed=len({fault.record_id for fault in cause.proposed}),
        may_set=kind == "mend" and bool(finding.field) and not several_results,
        rejected=first is not None and first.state == RecordState.REJECTED.value,
    )


def _kind(finding: Finding, row: AnyRow | None) -> str:
    if finding.code.startswith("unmapped-"):
        return "map"
    if row is not None and row.state == RecordState.HELD.value and not row.body:
        return "match" if row.held_reason == HeldReason.UNMATCHED.value else "look"
    return "mend" if finding.field else "again"


def _example(fault: Fault, row: AnyRow | None, desk: Desk, language: Language) -> Example:
    finding = fault.finding
    field = None
    if row is not None and row.body and finding.field:
        found = _field_of(record_from_json(json.loads(row.body)), finding)
        if found is not None:
            field = shown_field(finding.field, found, desk.today, language)
    return Example(
        fault.record_id,
        fault.place,
        field,
        masked_value(finding.field, finding.value),
        row.state if row is not None else "",
    )


def _field_of(record: UploadRecord, finding: Finding) -> Any:
    number = row_number(finding.place)
    if not number:
        return record.header.get(finding.field)
    return record.rows[number - 1].get(finding.field) if number <= len(record.rows) else None
