"""What laboratories' own codes mean: those that wait, with what speaks for a meaning, what changed
in how they are sent, what people decided and what the settings say."""

from __future__ import annotations

from hashlib import blake2s
from typing import Any

from sqlalchemy import Connection

from broker.access.roles import Permission
from broker.store.code_maps import CodeDecision, standing_decisions
from broker.store.line_habits import ChangedHabit, changed_habits
from broker.store.reading import beyond_reach
from broker.unmapped_codes import UnmappedCode, gather_evidence, unmapped_codes
from broker.web.api.operation import Answer, Call, Operation, instant, not_found, page, paged
from broker.web.api.shapes import (
    INSTANT,
    NUMBER,
    TEXT,
    every,
    or_null,
    page_of,
    shape,
    text,
    told,
    whole,
)
from broker.web.console.actions import Subject, audit, name_of, order
from broker.web.console.desk import DESK
from broker.web.console.source_reach import sees_source, sources_of
from broker.web.identity import person_of
from mapping.code_suggestions import Suggestion, suggest_codes


async def unmapped(call: Call) -> Answer:
    """The most urgent first."""
    desk, person = call.request.app[DESK], person_of(call.request)
    found = await desk.read(lambda c: unmapped_codes(c, sources_of(person, desk)))
    names = [_id_of(each) for each in found]
    after = call.query.get("after", "")
    start = names.index(after) + 1 if after in names else 0
    end = start + call.limit
    more = names[end - 1] if len(found) > end else None
    return page([_waiting(each) for each in found[start:end]], more)


async def show_unmapped(call: Call) -> Answer:
    """What its results say of it, and what it may mean, the likeliest first; for a person to
    decide."""
    desk, person = call.request.app[DESK], person_of(call.request)

    def look(connection: Connection) -> dict[str, Any] | None:
        for each in unmapped_codes(connection, sources_of(person, desk)):
            if _id_of(each) == call.path["waiting"]:
                # What speaks for a meaning is what others decided too, and what clinics ordered.
                with beyond_reach(connection):
                    evidence = gather_evidence(connection, each, desk.profiles, desk.readers)
                return {
                    **_waiting(each),
                    "names": list(evidence.names),
                    "units": list(evidence.units),
                    "ranges": list(evidence.ranges),
                    "specimens": list(evidence.specimens),
                    "suggestions": [_suggestion(one) for one in suggest_codes(evidence)],
                }
        return None

    found = await desk.read(look)
    if found is None:
        raise not_found()
    return found


async def changed(call: Call) -> Answer:
    """Units that hold results, ranges that were flagged."""
    desk, person = call.request.app[DESK], person_of(call.request)
    found = await desk.read(lambda c: changed_habits(c, sources_of(person, desk)))
    return {"items": [_changed(each) for each in found]}


async def decisions(call: Call) -> Answer:
    """Those that hold, the newest first."""
    desk, person = call.request.app[DESK], person_of(call.request)
    before = call.query.get("after")
    found = sorted(
        (
            each
            for each in await desk.read(standing_decisions)
            if sees_source(person, desk, each.source_id)
            and (before is None or each.version < before)
        ),
        key=lambda each: -each.version,
    )
    shown = found[: call.limit]
    more = shown[-1].version if len(found) > call.limit else None
    return page([_decision(each) for each in shown], more)


async def in_settings(call: Call) -> Answer:
    """What the settings file says; it is changed there."""
    desk, person = call.request.app[DESK], person_of(call.request)
    return {
        "items": [
            {
                "source": source,
                "code": code,
                "order_code": link.order_code,
                "item": link.item_number,
            }
            for source in sources_of(person, desk)
            if source in desk.settings.profiles
            for code, link in sorted(desk.settings.profiles[source].codes.items())
        ]
    }


async def decide_code(call: Call) -> Answer:
    """Say what a local code means; what waited for it is read again."""
    desk, person, asked = call.request.app[DESK], person_of(call.request), call.body
    if not sees_source(person, desk, asked["source"]):
        raise not_found()
    plain = {
        "specimen": "",
        "unit": "",
        "method": "",
        "order_code": "",
        "item": None,
        "withdrawn": False,
        "name": "",
        "reason": "",
        **asked,
        "by": name_of(call.request),
    }
    done = await order(call.request, "codes", [plain])
    subject = Subject("source", asked["source"])
    await audit(call.request, "decide-code", subject, {"order_code": plain["order_code"]})
    return {"version": done["version"], "requeued": done["requeued"]}


async def confirm_code(call: Call) -> Answer:
    """Say that a changed unit, or changed ranges, of a code are right."""
    desk, person, asked = call.request.app[DESK], person_of(call.request), call.body
    if not sees_source(person, desk, asked["source"]):
        raise not_found()
    body = {
        "source_id": asked["source"],
        "code": asked["code"],
        "unit": asked.get("unit", ""),
        "keep": asked.get("keep", False),
        "by": name_of(call.request),
    }
    done = await order(call.request, "codes-confirm", body)
    await audit(call.request, "confirm-code", Subject("source", asked["source"]))
    return {"confirmed": done["confirmed"], "requeued": done["requeued"]}


def _id_of(code: UnmappedCode) -> str:
    """Of a source and its code, which may be any text."""
    plain = f"{code.source_id}\0{code.code}".encode("utf-8", "surrogatepass")
    return blake2s(plain, digest_size=8).hexdigest()


def _waiting(code: UnmappedCode) -> dict[str, Any]:
    return {
        "id": _id_of(code),
        "source": code.source_id,
        "code": code.code,
        "name": code.name,
        "results": code.count,
        "order_code": code.order_code,
        "due_at": instant(code.due_at),
    }


def _suggestion(each: Suggestion) -> dict[str, Any]:
    return {
        "order_code": each.order_code,
        "item": each.item_number,
        "name": each.name,
        "percent": round(100 * each.score),
        "reasons": [
            {"kind": reason.kind, "detail": reason.detail, "speaks_for": reason.weight > 0}
            for reason in each.reasons
        ],
        "identical": each.identical,
    }


def _changed(each: ChangedHabit) -> dict[str, Any]:
    return {
        "source": each.habit.source_id,
        "code": each.habit.code,
        "specimen": each.habit.specimen,
        "kind": each.habit.kind.value,
        "group": each.habit.group,
        "before": list(each.before),
        "after": each.habit.value,
        "seen_at": instant(each.seen_at),
        "receipt": each.receipt_id,
    }


def _decision(each: CodeDecision) -> dict[str, Any]:
    return {
        "version": each.version,
        "source": each.source_id,
        "code": each.local.code,
        "specimen": each.local.specimen,
        "unit": each.local.unit,
        "method": each.local.method,
        "order_code": each.order_code,
        "item": each.item_number,
        "name": each.name,
        "reason": each.reason,
        "decided_by": each.decided_by,
        "decided_at": instant(each.decided_at),
    }


_P = Permission
_ITEM = or_null(NUMBER)
_WAITING = {
    "id": TEXT,
    "source": TEXT,
    "code": TEXT,
    "name": TEXT,
    "results": NUMBER,
    "order_code": TEXT,
    "due_at": INSTANT,
}
_REASON = told(kind=TEXT, detail=TEXT, speaks_for={"type": "boolean"})
OPERATIONS = (
    Operation(
        "GET",
        "/codes/unmapped",
        "listUnmapped",
        "Codes that results wait for, the most urgent first",
        _P.SEE_SOURCES,
        unmapped,
        query=paged(by_number=False),
        answers=page_of(**_WAITING),
    ),
    Operation(
        "GET",
        "/codes/unmapped/{waiting}",
        "showUnmapped",
        "One code that waits: what its results say of it, and what it may mean",
        _P.SEE_SOURCES,
        show_unmapped,
        path_parts={"waiting": text(16, pattern="[0-9a-f]{16}")},
        answers=told(
            **_WAITING,
            names=every(TEXT),
            units=every(TEXT),
            ranges=every(TEXT),
            specimens=every(TEXT),
            suggestions=every(
                told(
                    order_code=TEXT,
                    item=_ITEM,
                    name=TEXT,
                    percent=NUMBER,
                    reasons=every(_REASON),
                    identical=TEXT,
                )
            ),
        ),
    ),
    Operation(
        "GET",
        "/codes/changed",
        "listChangedCodes",
        "Units and ranges that are not as they were before",
        _P.SEE_SOURCES,
        changed,
        answers=told(
            items=every(
                told(
                    source=TEXT,
                    code=TEXT,
                    specimen=TEXT,
                    kind=TEXT,
                    group=TEXT,
                    before=every(TEXT),
                    after=TEXT,
                    seen_at=INSTANT,
                    receipt=NUMBER,
                )
            )
        ),
    ),
    Operation(
        "GET",
        "/codes/decisions",
        "listDecisions",
        "What local codes mean, by people's decisions, the newest first",
        _P.SEE_SOURCES,
        decisions,
        query=paged(),
        answers=page_of(
            version=NUMBER,
            source=TEXT,
            code=TEXT,
            specimen=TEXT,
            unit=TEXT,
            method=TEXT,
            order_code=TEXT,
            item=_ITEM,
            name=TEXT,
            reason=TEXT,
            decided_by=TEXT,
            decided_at=INSTANT,
        ),
    ),
    Operation(
        "GET",
        "/codes/settings",
        "listCodesOfSettings",
        "What local codes mean, by the settings file",
        _P.SEE_SOURCES,
        in_settings,
        answers=told(items=every(told(source=TEXT, code=TEXT, order_code=TEXT, item=_ITEM))),
    ),
    Operation(
        "POST",
        "/codes/decisions",
        "decideCode",
        "Link a local code; an empty `order_code` says that it is never uploaded",
        _P.DECIDE_CODE,
        decide_code,
        body=shape(
            {
                "source": text(100, shortest=1),
                "code": text(100, shortest=1),
                "specimen": text(100),
                "unit": text(50),
                "method": text(100),
                "order_code": text(12, pattern="[0-9A-Z]*"),
                "item": whole(1, 999),
                "withdrawn": {"type": "boolean"},
                "name": text(100),
                "reason": text(200),
            },
            "source",
            "code",
            "order_code",
        ),
        answers=told(version=NUMBER, requeued=NUMBER),
    ),
    Operation(
        "POST",
        "/codes/confirmations",
        "confirmCode",
        "Say that a changed unit, or changed ranges, of a code are right",
        _P.DECIDE_CODE,
        confirm_code,
        body=shape(
            {
                "source": text(100, shortest=1),
                "code": text(100, shortest=1),
                "unit": text(50),
                "keep": {"type": "boolean"},
            },
            "source",
            "code",
        ),
        answers=told(confirmed=NUMBER, requeued=NUMBER),
    ),
)
