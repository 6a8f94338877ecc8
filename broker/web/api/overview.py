"""Packages, codes, rates, sources, the audit trail: what the other pages of the console show."""

from __future__ import annotations

from typing import Any

from broker.access.person import Person
from broker.access.roles import Permission
from broker.rates.month import Month, rates_of
from broker.states import PackageState
from broker.store.audit_list import list_events
from broker.store.code_maps import CodeDecision, standing_decisions
from broker.store.package_list import list_packages, whole_package
from broker.store.rows import AnyRow
from broker.store.source_scores import source_scores
from broker.unmapped_codes import unmapped_codes
from broker.web.api.operation import Answer, Call, Operation, instant, listing, not_found, paged
from broker.web.api.shapes import choice, shape, text, whole
from broker.web.console.actions import Subject, audit, name_of, order
from broker.web.console.desk import DESK, Desk
from broker.web.identity import Guard, person_of


async def me(call: Call) -> Answer:
    person = person_of(call.request)
    return {
        "login": person.login,
        "name": person.name,
        "role": person.role.value,
        "institutions": None if person.everywhere else sorted(person.institutions),
        "permissions": sorted(each.value for each in Permission if person.may(each)),
    }


async def packages(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    rows = await desk.read(
        lambda c: list_packages(
            c,
            person.reach,
            call.limit,
            state=call.query.get("state", ""),
            before=call.query.get("after", 0),
        )
    )
    return listing(list(rows), call.limit, _package)


async def show_package(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    whole_one = await desk.read(lambda c: whole_package(c, person.reach, call.path["package"]))
    if whole_one is None:
        raise not_found()
    return {
        **_package(whole_one.row),
        "records": [each.id for each in whole_one.records],
        "verdicts": whole_one.verdicts,
    }


async def settle(call: Call) -> Answer:
    """A person's word: it was uploaded, or it was not."""
    desk, person = call.request.app[DESK], person_of(call.request)
    found = await desk.read(lambda c: whole_package(c, person.reach, call.path["package"]))
    if found is None:
        raise not_found()
    body = {**call.body, "package": found.row.stem, "by": name_of(call.request)}
    await order(call.request, "uploaded", body)
    subject = Subject("package", str(found.row.id), found.row.institution_code)
    word = "uploaded" if call.body.get("uploaded", True) else "absent"
    await audit(call.request, "settle", subject, {"word": word})
    return {"package": found.row.id}


async def unmapped(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    found = await desk.read(unmapped_codes)
    return {
        "items": [
            {
                "source": each.source_id,
                "code": each.code,
                "name": each.name,
                "results": each.count,
                "order_code": each.order_code,
                "due_at": instant(each.due_at),
            }
            for each in found
            if _sees(person, desk, each.source_id)
        ]
    }


async def decisions(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    found = await desk.read(standing_decisions)
    return {"items": [_decision(each) for each in found if _sees(person, desk, each.source_id)]}


async def decide_code(call: Call) -> Answer:
    """Say what a local code means; what waited for it is read again."""
    desk, person, asked = call.request.app[DESK], person_of(call.request), call.body
    if not _sees(person, desk, asked["source"]):
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
    told = await order(call.request, "codes", [plain])
    subject = Subject("source", asked["source"])
    await audit(call.request, "decide-code", subject, {"order_code": plain["order_code"]})
    return {"version": told["version"], "requeued": told["requeued"]}


async def confirm_code(call: Call) -> Answer:
    """Say that a changed unit, or changed ranges, of a code are right."""
    desk, person, asked = call.request.app[DESK], person_of(call.request), call.body
    if not _sees(person, desk, asked["source"]):
        raise not_found()
    body = {
        "source_id": asked["source"],
        "code": asked["code"],
        "unit": asked.get("unit", ""),
        "keep": asked.get("keep", False),
        "by": name_of(call.request),
    }
    told = await order(call.request, "codes-confirm", body)
    await audit(call.request, "confirm-code", Subject("source", asked["source"]))
    return {"confirmed": told["confirmed"], "requeued": told["requeued"]}


async def rates(call: Call) -> Answer:
    """The four rates of a month of what the caller sees, or of one clinic of it."""
    desk, person = call.request.app[DESK], person_of(call.request)
    clinic = call.query.get("institution")
    if clinic is not None and not person.sees(clinic):
        raise not_found()
    reach = person.reach if clinic is None else frozenset({clinic})
    asked = call.query.get("month", f"{desk.today:%Y-%m}")
    month = Month(int(asked[:4]), int(asked[5:]))
    found = await desk.read(lambda c: rates_of(c, reach, month, desk.clock()))
    tier = found.tier()
    return {
        "month": asked,
        "data_on": found.data_on.isoformat(),
        "rates": {
            name.value: {
                "uploaded": str(rate.uploaded),
                "due": str(rate.due),
                "percent": None if rate.percent is None else str(rate.percent),
                "formula": rate.formula("en"),
                "data_on": rate.data_on.isoformat(),
            }
            for name, rate in found.rates.items()
        },
        "points": None if tier is None else str(tier.points),
    }


async def sources(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    mine = [each for each in sorted(desk.profiles) if _sees(person, desk, each)]
    found = await desk.read(lambda c: source_scores(c, mine, desk.clock()))
    return {
        "items": [
            {
                "source": each.source_id,
                "last_at": instant(each.last_at),
                "receipts": each.receipts,
                "records": each.records,
                "unmapped": each.unmapped,
                "unmatched": each.unmatched,
                "invalid": each.invalid,
                "late": each.late,
                "unreadable": each.unreadable,
                "is_silent": each.is_silent,
            }
            for each in found
        ]
    }


async def audit_trail(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    rows = await desk.read(
        lambda c: list_events(
            c,
            person.reach,
            call.limit,
            person=call.query.get("person", ""),
            kind=call.query.get("kind", ""),
            subject=call.query.get("subject", ""),
            before=call.query.get("after", 0),
        )
    )
    return listing(list(rows), call.limit, _event, "number")


def _package(row: AnyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "stem": row.stem,
        "institution_code": row.institution_code,
        "upload_on": row.upload_on.isoformat(),
        "state": row.state,
        "record_count": row.record_count,
        "sealed_at": instant(row.sealed_at),
        "confirmed_at": instant(row.confirmed_at),
        "checked_at": instant(row.checked_at),
        "receipt_number": row.receipt_number,
        "error_code": row.error_code,
    }


def _decision(each: CodeDecision) -> dict[str, Any]:
    return {
        "source": each.source_id,
        "code": each.local.code,
        "specimen": each.local.specimen,
        "unit": each.local.unit,
        "method": each.local.method,
        "order_code": each.order_code,
        "item": each.item_number,
        "name": each.name,
        "reason": each.reason,
    }


def _event(row: AnyRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "at": instant(row.at),
        "person": row.person,
        "action": row.action,
        "kind": row.kind,
        "subject": row.subject,
        "institution": row.institution,
        "detail": row.detail,
    }


def _sees(person: Person, desk: Desk, source_id: str) -> bool:
    profile = desk.profiles.get(source_id)
    if profile is None:
        return False
    return person.sees(source_id) or bool(profile.lab_code and person.sees(profile.lab_code))


_PAGE = {
    "type": "object",
    "required": ["items", "next"],
    "properties": {"items": {"type": "array"}, "next": {"type": ["string", "null"]}},
}
_P = Permission
_WORD = text(60, pattern=r"[A-Za-z0-9_.@-]*")
OPERATIONS = (
    Operation("GET", "/me", "showMe", "Who calls, and what they may", Guard.SIGNED_IN, me),
    Operation(
        "GET",
        "/packages",
        "listPackages",
        "Packages, the newest first",
        _P.SEE_UPLOADS,
        packages,
        query=paged({"state": choice(*PackageState)}),
        answers=_PAGE,
    ),
    Operation(
        "GET",
        "/packages/{package}",
        "showPackage",
        "One package with its records",
        _P.SEE_UPLOADS,
        show_package,
        path_parts={"package": whole(1)},
    ),
    Operation(
        "POST",
        "/packages/{package}/settle",
        "settlePackage",
        "Say that a package was uploaded by hand, or that it was not",
        _P.SETTLE,
        settle,
        path_parts={"package": whole(1)},
        body=shape(
            {
                "uploaded": {"type": "boolean"},
                "receipt_number": text(13, pattern="([0-9]{13})?"),
                "uploaded_at": text(40, pattern=r"[0-9T:+ .Z-]*"),
            }
        ),
    ),
    Operation(
        "GET",
        "/codes/unmapped",
        "listUnmapped",
        "Codes that results wait for",
        _P.SEE_WORK,
        unmapped,
    ),
    Operation(
        "GET",
        "/codes/decisions",
        "listDecisions",
        "What local codes mean, by people's decisions",
        _P.SEE_WORK,
        decisions,
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
    ),
    Operation(
        "GET",
        "/rates",
        "showRates",
        "The four rates of a month, with formula and data date",
        _P.SEE_RATES,
        rates,
        query={
            "month": text(7, pattern="(19|20)[0-9]{2}-(0[1-9]|1[0-2])"),
            "institution": text(10, pattern="[0-9A-Z]{10}"),
        },
    ),
    Operation(
        "GET",
        "/sources",
        "listSources",
        "Each source's last fourteen days",
        _P.SEE_SOURCES,
        sources,
    ),
    Operation(
        "GET",
        "/audit",
        "listAudit",
        "Who saw and did what, the newest first",
        _P.SEE_AUDIT,
        audit_trail,
        query=paged({"person": _WORD, "kind": _WORD, "subject": _WORD}),
        answers=_PAGE,
    ),
)
