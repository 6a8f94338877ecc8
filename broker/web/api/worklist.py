"""The worklist: what waits for a person by cause, one fix for all of a cause, and opt-outs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from broker.access.roles import Permission
from broker.store.choices import open_tasks
from broker.store.open_work import kept_reports
from broker.store.overview import quarantined_receipts
from broker.store.rows import AnyRow
from broker.web.api.operation import Answer, Call, Operation, instant, not_found, page, paged
from broker.web.api.shapes import (
    INSTANT,
    NUMBER,
    TEXT,
    TRUTH,
    choice,
    every,
    or_null,
    page_of,
    shape,
    text,
    told,
)
from broker.web.console.actions import Subject, audit, name_of, order
from broker.web.console.desk import DESK
from broker.web.console.rendering import language_of
from broker.web.console.source_reach import sources_of
from broker.web.console.worklist import Card, Example, kept_cards
from broker.web.identity import person_of
from broker.worklist import OpenGroup, open_groups

_OTHERS = 200


async def worklist(call: Call) -> Answer:
    """The most urgent first. Texts are in the language of the account."""
    desk, person = call.request.app[DESK], person_of(call.request)
    after = call.query.get("after", "")

    def look(connection: Connection) -> tuple[tuple[OpenGroup, ...], bool]:
        groups = open_groups(connection, person.reach)
        names = [group.group_id for group in groups]
        start = names.index(after) + 1 if after in names else 0
        end = start + call.limit
        return groups[start:end], len(groups) > end

    groups, more = await desk.read(look)
    language = language_of(person)
    cards = await kept_cards(call.request, groups, language)
    return page(
        [_cause(card) for card in cards],
        groups[-1].group_id if more and groups else None,
    )


async def others(call: Call) -> Answer:
    """What waits without being a record, the first 200 of each."""
    desk, person = call.request.app[DESK], person_of(call.request)
    whole_store, mine = person.everywhere, sources_of(person, desk)

    def look(connection: Connection) -> dict[str, Any]:
        tasks = open_tasks(connection, person.reach, _OTHERS)
        unread = quarantined_receipts(connection, None if whole_store else mine, _OTHERS)
        reports = list(kept_reports(connection))[:_OTHERS] if whole_store else []
        return {
            "tasks": [
                {
                    "record": row.id,
                    "task": row.task,
                    "order_code": row.order_code,
                    "clinic_code": row.clinic_code,
                    "state": row.state,
                    "package": row.package_id,
                }
                for row in tasks
            ],
            "unreadable": [_receipt(row) for row in unread],
            "check_reports": [_receipt(row) for row in reports],
        }

    return await desk.read(look)


async def fix(call: Call) -> Answer:
    """Mend all records of a cause that the caller sees."""
    person, group = person_of(call.request), call.path["group"]
    reach = None if person.reach is None else sorted(person.reach)
    body = {**call.body, "group_id": group, "by": name_of(call.request), "institutions": reach}
    done = await order(call.request, "fix", body)
    (way,) = call.body
    detail = {
        "way": "set" if way == "settings" else way,
        "ready": str(done["ready"]),
        "held": str(done["held"]),
    }
    await audit(call.request, "fix", Subject("cause", group), detail)
    return {name: done[name] for name in ("ready", "held", "left")}


async def opt_out(call: Call) -> Answer:
    """Keep an order out of the upload, as the patient wished, or take that back."""
    person, asked = person_of(call.request), call.body
    if not person.sees(asked["institution_code"]):
        raise not_found()
    done = await order(call.request, "opt-out", {**asked, "by": name_of(call.request)})
    subject = Subject("institution", asked["institution_code"], asked["institution_code"])
    await audit(call.request, "opt-out", subject, {"order_code": asked["order_code"]})
    return done


def _cause(card: Card) -> dict[str, Any]:
    cause, first = card.cause, card.first
    proposal = card.proposal
    return {
        "group": cause.group_id,
        "kind": card.kind,
        "code": first.finding.code,
        "field": first.finding.field,
        "title": card.title,
        "remedy": card.remedy,
        "records": card.records,
        "due_at": instant(cause.due_at),
        "order_code": first.order_code,
        "lab_code": first.lab_code,
        "may_set": card.may_set,
        "is_rejected": card.rejected,
        "proposed": card.proposed,
        "proposal": None
        if proposal is None
        else {
            "evidence": proposal.evidence.value,
            "source": proposal.source,
            "may_be_accepted": proposal.may_be_accepted,
            "fields": [each.tag for each in proposal.changes],
        },
        "examples": [_example(each) for each in card.examples],
    }


def _example(example: Example) -> dict[str, Any]:
    field = example.field
    return {
        "record": example.record_id,
        "place": example.place,
        "state": example.state,
        "value": field.value if field is not None else example.value,
        "origin": field.origin if field is not None else "",
    }


def _receipt(row: AnyRow) -> dict[str, Any]:
    return {
        "receipt": row.id,
        "source": row.source_id,
        "name": row.name,
        "error_code": row.error_code,
        "problem": row.error_text,
    }


_SETTINGS = {
    "type": "object",
    "additionalProperties": text(4000),
    "minProperties": 1,
    "description": 'Field and its new value, as `{"h7": "0002"}`.',
}
_SAID = {"type": "boolean", "enum": [True]}
_FIX = shape({"accept": _SAID, "again": _SAID, "settings": _SETTINGS}, at_least=1, at_most=1)


_P = Permission
_UNREAD = every(told(receipt=NUMBER, source=TEXT, name=TEXT, error_code=TEXT, problem=TEXT))
OPERATIONS = (
    Operation(
        "GET",
        "/worklist",
        "listCauses",
        "What waits for a person, by cause, with what would mend it",
        _P.SEE_WORK,
        worklist,
        query=paged(by_number=False),
        answers=page_of(
            group=TEXT,
            kind=choice("mend", "map", "match", "look", "again"),
            code=TEXT,
            field=TEXT,
            title=TEXT,
            remedy=TEXT,
            records=NUMBER,
            due_at=INSTANT,
            order_code=TEXT,
            lab_code=TEXT,
            may_set=TRUTH,
            is_rejected=TRUTH,
            proposed=NUMBER,
            proposal=or_null(
                told(evidence=TEXT, source=TEXT, may_be_accepted=TRUTH, fields=every(TEXT))
            ),
            examples=every(told(record=NUMBER, place=TEXT, state=TEXT, value=TEXT, origin=TEXT)),
        ),
    ),
    Operation(
        "GET",
        "/worklist/others",
        "listOthers",
        "Tasks about records that had left, receipts that could not be read",
        _P.SEE_WORK,
        others,
        answers=told(
            tasks=every(
                told(
                    record=NUMBER,
                    task=TEXT,
                    order_code=TEXT,
                    clinic_code=TEXT,
                    state=TEXT,
                    package=or_null(NUMBER),
                )
            ),
            unreadable=_UNREAD,
            check_reports=_UNREAD,
        ),
    ),
    Operation(
        "POST",
        "/worklist/{group}/fix",
        "fixCause",
        "Put all records of a cause right: take the proposal, send again, or set fields",
        _P.FIX_RECORD,
        fix,
        path_parts={"group": text(8, pattern="[0-9a-f]{8}")},
        body=_FIX,
        answers=told(ready=NUMBER, held=NUMBER, left=NUMBER),
    ),
    Operation(
        "POST",
        "/opt-outs",
        "optOut",
        "Keep an order out of the upload, as the patient wished; `opted_out` false takes it back",
        _P.FIX_RECORD,
        opt_out,
        body=shape(
            {
                "institution_code": text(10, pattern="[0-9A-Z]{10}"),
                "national_id": text(10, pattern="[0-9A-Za-z]{10}"),
                "visit_on": text(10, pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}"),
                "order_code": text(12, pattern="[0-9A-Za-z]{1,12}"),
                "opted_out": {"type": "boolean"},
            },
            "institution_code",
            "national_id",
            "visit_on",
            "order_code",
        ),
        answers=told(orders=NUMBER, on_their_way=NUMBER),
    ),
)
