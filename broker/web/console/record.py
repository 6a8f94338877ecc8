"""One record: its whole way on one page; the patient on request; replay, and the visit's choice."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from adapters.ports.intake import Media
from broker.access.roles import Permission
from broker.choices import DISMISSIBLE
from broker.finding_json import findings_from_json
from broker.replay_trial import ReplayLine, try_replay
from broker.states import HeldReason, RecordState
from broker.store.choices import candidates_of
from broker.store.reading import beyond_reach
from broker.store.record_way import RecordWay, find_record, receipt_in_reach, record_way
from broker.store.rows import AnyRow
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
from broker.web.console.looks import urgency
from broker.web.console.masking import decoded, lines, masked_bytes_of
from broker.web.console.provenance import (
    ShownField,
    code_in_words,
    field_name,
    shown_fields,
    shown_finding,
)
from broker.web.console.rendering import language_of, not_there, render
from broker.web.console.wording import say
from broker.web.identity import person_of, requires
from mapping.catalogue.tables import order_code
from mapping.errors import LabbrokerError, Language
from mapping.finding import Finding, Severity
from mapping.match_score import POINTS, Sign
from mapping.profile import SourceProfile
from mapping.proposals import row_number
from mapping.record import UploadRecord, record_from_json
from mapping.report import LabReport

_OF_NOTHING = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class ShownFinding:
    finding: Finding
    name: str
    field_name: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A visit that a person could mean. ``signs`` are words and points."""

    visit_id: int
    visit_on: str
    order_code: str
    score: int
    signs: tuple[tuple[str, int], ...]
    may_be_chosen: bool


@requires(Permission.SEE_WORK)
async def show_record(request: web.Request) -> web.Response:
    """The page, with the patient masked."""
    return await _page(request, notice=notice_of(request))


@requires(Permission.SEE_PATIENT)
async def show_patient(request: web.Request) -> web.Response:
    """The page with the patient, once; that it was shown stays in the audit trail."""
    row = await _require(request)
    await audit(request, "show-patient", Subject("record", str(row.id), row.clinic_code))
    return await _page(request, clear=True)


@requires(Permission.FIX_RECORD)
async def show_replay(request: web.Request) -> web.Response:
    """What reading the receipt again would change; nothing is changed by looking."""
    desk, row = request.app[DESK], await _require(request)
    person = person_of(request)
    language = language_of(person)

    def look(connection: Connection) -> tuple[ReplayLine, ...]:
        # Results are matched with visits that a laboratory does not see.
        with beyond_reach(connection):
            parts = (desk.profiles, desk.readers, desk.drafting)
            return try_replay(connection, row.receipt_id, *parts, person.reach)

    try:
        found = await desk.read(look)
    except LabbrokerError as error:
        return await _page(request, notice=refused(error, language))
    return render(request, "replay.html", "records", row=row, lines=found)


@requires(Permission.FIX_RECORD)
async def replay_record(request: web.Request) -> web.Response:
    """Read the receipt of the record again."""
    row = await _require(request)
    await request.app[DESK].replay(row.receipt_id)
    subject = Subject("record", str(row.id), row.clinic_code)
    await audit(request, "replay", subject, {"receipt": str(row.receipt_id)})
    raise done(f"/records/{row.id}", "replayed")


@requires(Permission.FIX_RECORD)
async def decide_record(request: web.Request) -> web.Response:
    """Choose the visit of a held result, or be done with it for a reason."""
    row, form = await _require(request), await form_of(request)
    language = language_of(person_of(request))
    body: dict[str, Any] = {"record_id": row.id, "by": name_of(request)}
    chosen = form.get("visit", "")
    if chosen.isascii() and chosen.isdigit():
        body["visit_id"] = int(chosen)
    elif not form.get("reason"):
        notice = Notice("bad", say(language, "layout.reason_needed"))
        return await _page(request, notice=notice)
    else:
        body["reason"] = form["reason"][:400]
    try:
        await order(request, "decide", body)
    except LabbrokerError as error:
        return await _page(request, notice=refused(error, language))
    subject = Subject("record", str(row.id), row.clinic_code)
    matched = "visit_id" in body
    await audit(request, "match" if matched else "dismiss", subject)
    raise done(f"/records/{row.id}", "matched" if matched else "dismissed")


async def _require(request: web.Request) -> AnyRow:
    """The record of the address. What is not in reach is not there."""
    record_id, reach = int(request.match_info["record"]), person_of(request).reach
    row = await request.app[DESK].read(lambda c: find_record(c, reach, record_id))
    if row is None:
        raise not_there(request)
    return row


async def _page(
    request: web.Request, *, clear: bool = False, notice: Notice | None = None
) -> web.Response:
    desk, person = request.app[DESK], person_of(request)
    record_id, language = int(request.match_info["record"]), language_of(person)

    def look(connection: Connection) -> dict[str, Any] | None:
        way = record_way(connection, person.reach, record_id)
        if way is None:
            return None
        # A file may hold what another clinic ordered.
        whole = clear and receipt_in_reach(connection, person.reach, way.receipt.id)
        return _values(way, desk, language, clear, whole)

    values = await desk.read(look)
    if values is None:
        raise not_there(request)
    return render(
        request, "record.html", "records", notice=notice, clear=clear, back=request.path, **values
    )


def _values(
    way: RecordWay, desk: Desk, language: Language, clear: bool, whole: bool
) -> dict[str, Any]:
    row, now = way.row, desk.clock()
    findings = findings_from_json(row.findings)
    known = order_code(row.order_code)
    raw = lines(decoded(way.receipt.raw) or "") if whole else masked_bytes_of(way)
    waits = row.confirmed_at is None and row.state != RecordState.SUPERSEDED.value
    return {
        "way": way,
        "row": row,
        "order_name": known.name_zh if known else "",
        "urgency": urgency(row.due_at if waits else None, now, desk.warn),
        "raw": raw,
        "size": len(way.receipt.raw),
        "is_erased": not way.receipt.raw and way.receipt.sha256 != _OF_NOTHING,
        "report": report_of_way(way, desk),
        "put_right_by": _put_right_by(way),
        "fields": _fields(row, findings, desk, language, clear),
        "findings": [_shown(each, desk, language) for each in findings],
        "verdicts": [
            (code, code_in_words(code, language)) for code in row.verdict_code.split(",") if code
        ],
        "candidates": _candidates(row, language),
        "may_match": row.state == RecordState.HELD.value
        and row.held_reason == HeldReason.UNMATCHED.value
        and not row.body,
        "may_dismiss": _may_dismiss(row, findings),
    }


def _put_right_by(way: RecordWay) -> str:
    """The name that a correction by hand was given under; ``""`` for what a sender sent."""
    if way.receipt.media != Media.CORRECTION.value or not way.receipt.raw:
        return ""
    return str(json.loads(way.receipt.raw).get("by", ""))


def report_of_way(way: RecordWay, desk: Desk) -> LabReport | None:
    """The report as it is read today; None where its bytes are none."""
    number, _, _ = way.row.slot.partition("/")
    reader = desk.readers.get(Media(way.receipt.media))
    if reader is None or not number.isdigit():
        return None
    profile = desk.profiles.get(way.receipt.source_id) or SourceProfile(way.receipt.source_id)
    try:
        reports = reader(way.receipt.raw, profile).reports
    except (LabbrokerError, ValueError):
        return None
    return reports[int(number) - 1] if 0 < int(number) <= len(reports) else None


def _fields(
    row: AnyRow, findings: tuple[Finding, ...], desk: Desk, language: Language, clear: bool
) -> list[list[ShownField]]:
    """The header, then each row."""
    if not row.body:
        return []
    record: UploadRecord = record_from_json(json.loads(row.body))
    faulty: dict[int, set[str]] = {}
    for each in findings:
        if each.severity is Severity.ERROR and each.field:
            faulty.setdefault(row_number(each.place), set()).add(each.field)
    return [
        shown_fields(part, desk.today, language, frozenset(faulty.get(number, ())), clear=clear)
        for number, part in enumerate((record.header, *record.rows))
    ]


def _shown(finding: Finding, desk: Desk, language: Language) -> ShownFinding:
    message, remedy = shown_finding(finding, language)
    name = field_name(finding.field, desk.today, language) if finding.field else ""
    return ShownFinding(finding, code_in_words(finding.code, language), name, message, remedy)


def _candidates(row: AnyRow, language: Language) -> tuple[Candidate, ...]:
    listed: Any = candidates_of(row).get("visits", ())
    return tuple(
        Candidate(
            each["visit"],
            each["visit_on"],
            each["order_code"],
            each["score"],
            tuple(
                (say(language, f"signs.{Sign(sign).value.replace('-', '_')}"), POINTS[Sign(sign)])
                for sign in each["signs"]
            ),
            each["order_code"] == row.order_code,
        )
        for each in listed
    )


def _may_dismiss(row: AnyRow, findings: tuple[Finding, ...]) -> bool:
    if row.task:
        return True
    if row.state != RecordState.HELD.value:
        return False
    errors = {each.code for each in findings if each.severity is Severity.ERROR}
    if row.body:
        return "results-disagree" in errors
    return row.held_reason == HeldReason.UNMATCHED.value or not errors.isdisjoint(DISMISSIBLE)
