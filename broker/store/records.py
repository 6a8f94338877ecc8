"""What becomes of a draft: a record in the chain of versions of its order."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select, update

from broker.drafting import Draft
from broker.finding_json import findings_from_json, findings_to_json
from broker.states import (
    HeldReason,
    RecordState,
)
from broker.store.first_words import FirstWords
from broker.store.order_versions import (
    ON_ITS_WAY,
    Versions,
    find_versions,
    is_taken_back,
)
from broker.store.record_moves import move_records
from broker.store.rows import AnyRow
from broker.store.schema import record
from mapping.by_service import BY_SERVICE, rival_rows, stricter_findings
from mapping.corrections import carry_corrections
from mapping.finding import Finding, Severity
from mapping.match import MISMATCHES
from mapping.merge import merge_order, still_awaited, withdrawn_numbers
from mapping.record import UploadRecord, record_from_json, record_to_json
from mapping.same_order import covers

CheckRecord = Callable[[UploadRecord], tuple[Finding, ...]]


@dataclass(frozen=True, slots=True)
class StoredDrafts:
    ready: int = 0
    held: int = 0
    superseded: int = 0


def store_drafts(
    connection: Connection,
    receipt_id: int,
    drafts: Sequence[Draft],
    now: datetime,
    check: CheckRecord,
) -> StoredDrafts:
    """Write the drafts of one receipt, each into its chain. Running it again changes nothing that
    has left *held*."""
    ready = held = superseded = 0
    known = {
        row.slot: row
        for row in connection.execute(
            select(record.c.id, record.c.slot, record.c.state, record.c.held_reason).where(
                record.c.receipt_id == receipt_id
            )
        )
    }
    unmapped = any(
        row.held_reason == HeldReason.UNMAPPED.value and row.state == RecordState.HELD.value
        for row in known.values()
    )
    first_words = FirstWords(connection, drafts)
    for draft in drafts:
        row = known.pop(draft.slot, None)
        if row is not None and row.state != RecordState.HELD.value:
            # Lines that were unmapped when the rest of their order left are a version of it.
            named = [slot for slot in known if slot.startswith(f"{draft.slot}{_NEW_CODES}")]
            waiting = [slot for slot in named if known[slot].state == RecordState.HELD.value]
            slot = waiting[0] if waiting else f"{draft.slot}{_NEW_CODES}{len(named) + 1}"
            row = known.pop(slot, None)
            draft = replace(draft, slot=slot)
            first_words.write()
            if row is None and not (unmapped and _says_more(connection, receipt_id, draft)):
                continue
        state = _store_draft(connection, receipt_id, draft, row and row.id, now, check, first_words)
        ready += state is RecordState.READY
        held += state is RecordState.HELD
        superseded += state is RecordState.SUPERSEDED
    first_words.write()
    for row in known.values():
        if row.state == RecordState.HELD.value:
            move_records(connection, [row.id], RecordState.SUPERSEDED)
    return StoredDrafts(ready, held, superseded)


_NEW_CODES = "/codes"


def _says_more(connection: Connection, receipt_id: int, draft: Draft) -> bool:
    """Whether a version of the draft's order stands that lacks some of its rows. An order that was
    taken back must not come back because a code of it is known by now."""
    if draft.record is None:
        return False
    previous = find_versions(connection, draft, receipt_id, None).previous
    if previous is None:
        return False
    return not covers(record_from_json(json.loads(previous.body)), draft.record)


def _store_draft(
    connection: Connection,
    receipt_id: int,
    draft: Draft,
    row_id: int | None,
    now: datetime,
    check: CheckRecord,
    first_words: FirstWords,
) -> RecordState:
    told = draft
    versions = first_words.versions(draft, receipt_id, row_id)
    previous = versions.previous
    state = RecordState.HELD if draft.held_reason else RecordState.READY
    frozen = False
    confirmed_at = None
    taken_back = is_taken_back(draft, versions, receipt_id) if versions.withdrawals else False
    if versions.hindrance:
        draft, state = _hold_aside(connection, draft, versions), RecordState.HELD
    elif draft.cancelled:
        draft, state = _take_back(connection, draft, versions)
    elif draft.record is None:
        draft = _hold_beside(connection, draft, versions)
    elif taken_back is not False:
        draft, state = _after_withdrawal(connection, draft, versions, gone=bool(taken_back))
    elif previous is None:
        if draft.record is not None and not draft.record.rows:
            draft = _hold_beside(connection, _nothing_to_take_back(draft), versions)
    else:
        if previous.corrects_id is not None:
            draft = _keep_corrections(connection, draft, previous, check)
        frozen = _is_frozen(previous)
        confirmed_at = previous.confirmed_at if frozen else None
        if draft.record is not None and not draft.record.rows:
            draft, state = _withdraw(connection, draft, receipt_id, versions, check)
        else:
            said = _reported_of(draft)
            draft, state = _follow(draft, receipt_id, versions, check)
            if any(finding.code == "same-result-again" for finding in draft.findings):
                # What was said between the two is older than this, whenever it comes.
                _note_said_again(connection, previous, said)
        if draft.record is None:
            frozen, confirmed_at = False, None
    if draft.record is not None and state is not RecordState.SUPERSEDED:
        for row in versions.open:
            if row.body or row.held_reason == HeldReason.WAITING_FINAL.value:
                move_records(connection, [row.id], RecordState.SUPERSEDED)
                draft = _keep_clock(draft, row)
    awaited = _awaited(draft, versions) if draft.awaited or previous is not None else ""
    if state is RecordState.SUPERSEDED and previous is not None and previous.awaited:
        _note_given_up(connection, previous, draft)
    seeks = state is RecordState.HELD and draft.held_reason is HeldReason.UNMATCHED
    values = {
        "receipt_id": receipt_id,
        "slot": draft.slot,
        "place": draft.place,
        "order_identity": versions.identity,
        "version": versions.version + 1,
        "state": state.value,
        "held_reason": draft.held_reason.value if draft.held_reason else "",
        "uploader_code": draft.uploader_code,
        "clinic_code": draft.clinic_code,
        "lab_code": draft.lab_code,
        "order_code": draft.order_code,
        "national_id": draft.national_id,
        "visit_id": draft.visit_id,
        "clock_started_at": draft.clock_started_at,
        "due_at": draft.due_at,
        "ready_at": now if state is RecordState.READY else None,
        "confirmed_at": confirmed_at,
        "correction_key": first_words.digest(told, draft.record) if draft.record else "",
        "was_accepted": frozen,
        "birth_on": draft.birth_on if seeks else None,
        "placer_order_number": draft.placer_order_number if seeks else "",
        "candidates": draft.candidates,
        "awaited": awaited,
        "withdrawal": draft.withdrawal,
        "findings": findings_to_json(draft.findings),
        "body": _dump(draft.record),
    }
    first_words.store(row_id, values)
    return state


def _keep_corrections(
    connection: Connection, draft: Draft, previous: AnyRow, check: CheckRecord
) -> Draft:
    """What a person put right stays right when the laboratory says the same once more."""
    replaced: list[UploadRecord] = []
    corrects_id = previous.corrects_id
    while corrects_id is not None:
        row = connection.execute(
            select(record.c.body, record.c.corrects_id).where(record.c.id == corrects_id)
        ).one()
        replaced.append(record_from_json(json.loads(row.body)))
        corrects_id = row.corrects_id
    assert draft.record is not None  # noqa: S101 - by the caller
    fixed = record_from_json(json.loads(previous.body))
    told = carry_corrections(draft.record, fixed, replaced)
    if told == draft.record:
        return draft
    # The findings of the checks are made anew for what is carried.
    gone = set(check(draft.record))
    findings = tuple(each for each in draft.findings if each not in gone)
    return replace(draft, record=told, findings=findings)


def _is_frozen(previous: AnyRow) -> bool:
    """NHI has accepted some version, so its key stays."""
    return bool(previous.was_accepted) or previous.state == RecordState.ACCEPTED.value


def _hold_aside(connection: Connection, draft: Draft, versions: Versions) -> Draft:
    """A result that may be another one than it seems: held without touching what is known, but
    for what came with it and is as doubtful."""
    finding = _finding(versions.hindrance, draft)
    for row in versions.doubted:
        findings = (*findings_from_json(row.findings), replace(finding, place=row.place))
        move_records(
            connection,
            [row.id],
            RecordState.HELD,
            held_reason=HeldReason.INVALID.value,
            findings=findings_to_json(findings),
        )
    if versions.hindrance == "order-answered":
        # The visit is another's: this one waits for its own, like any other.
        candidates = draft.other_candidates() if draft.other_candidates else ""
        draft = replace(draft, visit_id=None, candidates=candidates)
        return _aside(draft, HeldReason.UNMATCHED, finding)
    return _aside(draft, HeldReason.INVALID, finding)


def _aside(draft: Draft, reason: HeldReason, finding: Finding) -> Draft:
    return replace(draft, record=None, held_reason=reason, findings=(*draft.findings, finding))


def _finding(
    code: str,
    draft: Draft,
    severity: Severity = Severity.ERROR,
    *parameters: tuple[str, str],
) -> Finding:
    parameters = (("order_code", draft.order_code), *parameters)
    return Finding(code, place=draft.place, severity=severity, parameters=parameters)


def _hold_beside(connection: Connection, draft: Draft, versions: Versions) -> Draft:
    """A word that cannot be used yet (no visit, no agreement, not final).

    It may say only a part of the order, so what was said before is not dropped for it: results
    without a visit wait side by side, and one that was ready waits with them - unless the word
    is about somebody else.
    """
    if draft.held_reason is HeldReason.WAITING_FINAL:
        return draft
    mismatch = any(finding.code in MISMATCHES for finding in draft.findings)
    for row in versions.open:
        if row.held_reason == HeldReason.WAITING_FINAL.value and not mismatch:
            move_records(connection, [row.id], RecordState.SUPERSEDED)
            draft = _keep_clock(draft, row)
        elif row.state == RecordState.READY.value and not mismatch:
            reason = draft.held_reason or HeldReason.INVALID
            later = _finding("held-beside", draft, Severity.WARNING)
            findings = (*findings_from_json(row.findings), replace(later, place=row.place))
            move_records(
                connection,
                [row.id],
                RecordState.HELD,
                held_reason=reason.value,
                findings=findings_to_json(findings),
            )
    return draft


def _take_back(
    connection: Connection, draft: Draft, versions: Versions
) -> tuple[Draft, RecordState]:
    """The whole order: what has not left is dropped, what has is for a person."""
    gone = [*versions.open, *versions.waiting]
    move_records(connection, [row.id for row in gone], RecordState.SUPERSEDED)
    cancelled = Finding("report-cancelled", place=draft.place)
    draft = replace(draft, record=None, findings=(cancelled,))
    previous = versions.previous
    if gone and (previous is None or (previous in versions.open and not _is_frozen(previous))):
        return replace(draft, held_reason=None), RecordState.SUPERSEDED
    return replace(draft, held_reason=HeldReason.INVALID), RecordState.HELD


def _after_withdrawal(
    connection: Connection, draft: Draft, versions: Versions, *, gone: bool
) -> tuple[Draft, RecordState]:
    """The laboratory took the result back before it came in, or perhaps did."""
    if gone:
        if versions.previous is None:
            # It has met what it took back, and nothing of it has left.
            held = [row for row in versions.withdrawals if row.state == RecordState.HELD.value]
            move_records(connection, [row.id for row in held], RecordState.SUPERSEDED)
        finding = _finding("withdrawn-before", draft, Severity.INFORMATION)
        return (
            replace(draft, record=None, held_reason=None, findings=(finding,)),
            RecordState.SUPERSEDED,
        )
    finding = _finding("perhaps-withdrawn", draft)
    return _aside(draft, HeldReason.INVALID, finding), RecordState.HELD


def _nothing_to_take_back(draft: Draft) -> Draft:
    """Lines are taken back of which nothing stands."""
    if draft.held_reason is HeldReason.WAITING_FINAL:
        finding = Finding("waiting-final", place=draft.place, severity=Severity.INFORMATION)
    else:
        finding = Finding("report-cancelled", place=draft.place)
    return replace(draft, record=None, findings=(*draft.findings, finding))


def _withdraw(
    connection: Connection,
    draft: Draft,
    receipt_id: int,
    versions: Versions,
    check: CheckRecord,
) -> tuple[Draft, RecordState]:
    """Lines are taken back and nothing is told beside."""
    previous, order = versions.previous, draft.order
    assert previous is not None and order is not None  # noqa: S101, PT018 - by the caller
    earlier = record_from_json(json.loads(previous.body))
    numbers = set(withdrawn_numbers(earlier, order))
    if earlier.rows and numbers.issuperset(row["r1"].value for row in earlier.rows):
        return _take_back(connection, draft, versions)
    if numbers:
        return _follow(draft, receipt_id, versions, check)
    if any(line.number_origin.startswith(("sequence", BY_SERVICE)) for line in order.withdrawn):
        unknown = _aside(draft, HeldReason.INVALID, _finding("withdrawn-line-unknown", draft))
        return _hold_beside(connection, unknown, versions), RecordState.HELD
    # They were never among what stands.
    return replace(draft, record=None, held_reason=None), RecordState.SUPERSEDED


def _follow(
    draft: Draft, receipt_id: int, versions: Versions, check: CheckRecord
) -> tuple[Draft, RecordState]:
    """A later word on an order that is known: the same, an older one, or a correction."""
    previous = versions.previous
    assert draft.record is not None and previous is not None  # noqa: S101, PT018 - by the caller
    before = RecordState(previous.state)
    waiting = replace(draft, held_reason=HeldReason.WAITING_VERDICT), RecordState.HELD
    if before in ON_ITS_WAY and versions.waiting:
        # Judged in their order, each against the one before it, when the verdict is there.
        return waiting
    earlier = record_from_json(json.loads(previous.body))
    told = draft.record
    withdrawn = withdrawn_numbers(earlier, draft.order) if draft.order else ()
    known = max(_reported(earlier), previous.said_again_at)
    if (_reported_of(draft) or known, receipt_id) < (known, previous.receipt_id):
        told, withdrawn = _only_new_rows(earlier, told), ()
        if not told.rows:
            finding = Finding("older-than-known", severity=Severity.INFORMATION)
            return replace(draft, held_reason=None, findings=(finding,)), RecordState.SUPERSEDED
    rivals = rival_rows(earlier, told)
    if rivals:
        finding = _finding("another-test", draft, Severity.ERROR, ("rows", ", ".join(rivals)))
        return _aside(draft, HeldReason.INVALID, finding), RecordState.HELD
    merged = merge_order(earlier, told, withdrawn)
    stands = before not in (RecordState.HELD, RecordState.REJECTED)
    if not _is_frozen(previous) and (versions.same_number or not stands):
        # NHI has accepted nothing of this order, so its key may still be put right.
        merged = UploadRecord(told.header, merged.rows)
    again = _says_the_same(earlier, merged) and before is not RecordState.REJECTED
    if again or (stands and not versions.same_number and covers(earlier, told)):
        finding = Finding("same-result-again", severity=Severity.INFORMATION)
        return replace(draft, held_reason=None, findings=(finding,)), RecordState.SUPERSEDED
    if before in ON_ITS_WAY:
        # What was sent may still be accepted or refused, and a correction must repeat its key.
        return waiting
    findings = draft.findings + stricter_findings(merged, check(merged))
    blocked = any(finding.severity is Severity.ERROR for finding in findings)
    reason = HeldReason.INVALID if blocked else None
    return (
        replace(draft, record=merged, findings=findings, held_reason=reason),
        RecordState.HELD if blocked else RecordState.READY,
    )


def _reported_of(draft: Draft) -> str:
    """When the word was said, 13 digits, or ``""`` where it does not tell."""
    told = _reported(draft.record) if draft.record is not None else ""
    return told or (draft.reported.ljust(13, "0") if draft.reported else "")


def _note_said_again(connection: Connection, previous: AnyRow, said: str) -> None:
    connection.execute(
        update(record)
        .where(record.c.id == previous.id, record.c.said_again_at < said)
        .values(said_again_at=said)
    )


def _awaited(draft: Draft, versions: Versions) -> str:
    """What of the order is still to come, by this word and by those before it."""
    names = set(draft.awaited)
    for row in (versions.previous, *versions.open):
        if row is not None and row.awaited:
            names.update(json.loads(row.awaited))
    return _names_text(still_awaited(names, draft.record, draft.order))


def _note_given_up(connection: Connection, previous: AnyRow, draft: Draft) -> None:
    """A word that says nothing new of what stands may say that the rest will not come."""
    left = _names_text(still_awaited(json.loads(previous.awaited), None, draft.order))
    if left != previous.awaited:
        connection.execute(update(record).where(record.c.id == previous.id).values(awaited=left))


def _names_text(names: frozenset[str]) -> str:
    return json.dumps(sorted(names), ensure_ascii=False) if names else ""


def _only_new_rows(earlier: UploadRecord, older: UploadRecord) -> UploadRecord:
    """Of a word that is older than what is known, the rows of which nothing is known yet."""
    numbers = {row["r1"].value for row in earlier.rows if "r1" in row}
    names = {row["r2"].value for row in earlier.rows if "r2" in row}
    rows = []
    for row in older.rows:
        counted = "r1" in row and row["r1"].origin == "sequence"
        known = (not counted and "r1" in row and row["r1"].value in numbers) or (
            "r2" in row and row["r2"].value in names
        )
        if not known and "r2" in row:
            rows.append(row)
    return UploadRecord(earlier.header, tuple(rows))


def _keep_clock(draft: Draft, previous: AnyRow) -> Draft:
    """Nothing of the order was uploaded yet, so the first result's clock keeps running."""
    if previous.due_at is None or draft.due_at is None or previous.due_at >= draft.due_at:
        return draft
    return replace(draft, clock_started_at=previous.clock_started_at, due_at=previous.due_at)


def _says_the_same(one: UploadRecord, other: UploadRecord) -> bool:
    """Equal in every value but the times that tell only when it was said."""

    def told(item: UploadRecord) -> list[list[tuple[str, str]]]:
        parts = [item.header, *item.rows]
        values = [
            sorted((tag, field.value) for tag, field in part.items() if tag not in _SAID)
            for part in parts
        ]
        return [values[0], *sorted(values[1:])]

    return told(one) == told(other)


_SAID = frozenset({"h16", "r10", "r14", "h21"})


def _reported(item: UploadRecord) -> str:
    """The newest r10, which sorts as text (same length classes: 11 or 13 digits)."""
    return max((row["r10"].value.ljust(13, "0") for row in item.rows if "r10" in row), default="")


def _dump(item: UploadRecord | None) -> str:
    return "" if item is None or not item.rows else _encode(record_to_json(item))


# ``json.dumps`` makes a new encoder for each call that is not plain.
_encode = json.JSONEncoder(ensure_ascii=False).encode
