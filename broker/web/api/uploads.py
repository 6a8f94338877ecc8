"""Packages, what a person says of one, and check reports that a person brings."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Connection

from broker.access.roles import Permission
from broker.states import PackageState, ReceiptState
from broker.store.check_reports import institutions_of
from broker.store.hand_uploads import may_be_told
from broker.store.package_list import WholePackage, list_packages, open_packages, whole_package
from broker.store.reading import beyond_reach
from broker.store.rows import AnyRow
from broker.web.api.operation import Answer, Call, Operation, instant, listing, not_found, paged
from broker.web.api.shapes import (
    DAY,
    INSTANT,
    NUMBER,
    TEXT,
    TRUTH,
    choice,
    every,
    page_of,
    shape,
    text,
    told,
    whole,
)
from broker.web.console.actions import Subject, audit, name_of, order
from broker.web.console.desk import DESK
from broker.web.identity import person_of

_LOOKS = 40
_LOOK_SECONDS = 0.1


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


async def open_ones(call: Call) -> Answer:
    """How many packages stand where something is still to come."""
    desk, person = call.request.app[DESK], person_of(call.request)
    counts = await desk.read(lambda c: open_packages(c, person.reach))
    return {"states": counts}


async def show_package(call: Call) -> Answer:
    found = await _whole(call)
    return {
        **_package(found.row),
        "may_be_told": may_be_told(found.row.state),
        "records": [
            {
                "id": each.id,
                "position": each.position,
                "order_code": each.order_code,
                "clinic_code": each.clinic_code,
                "state": each.state,
                "verdict": each.verdict,
                "verdict_code": each.verdict_code,
            }
            for each in found.records
        ],
        "verdicts": found.verdicts,
        "attempts": [
            {
                "kind": each.kind,
                "started_at": instant(each.started_at),
                "ended_at": instant(each.ended_at),
                "outcome": each.outcome,
                "error_code": each.error_code,
            }
            for each in found.attempts
        ],
    }


async def settle(call: Call) -> Answer:
    """A person's word: it was uploaded, or it was not."""
    found = await _whole(call)
    body = {**call.body, "package": found.row.stem, "by": name_of(call.request)}
    await order(call.request, "uploaded", body)
    subject = Subject("package", str(found.row.id), found.row.institution_code)
    word = "uploaded" if call.body.get("uploaded", True) else "absent"
    await audit(call.request, "settle", subject, {"word": word})
    return {"package": found.row.id}


async def take_check_report(call: Call) -> Answer:
    """The text or ZIP that NHI gave; a ZIP is opened with the password of the settings. A report
    that speaks of packages of others is not taken."""
    desk, person = call.request.app[DESK], person_of(call.request)
    raw, name = call.body, call.query.get("name", "")

    def whose(connection: Connection) -> frozenset[str]:
        reports = desk.open_report(raw, name)
        with beyond_reach(connection):
            return institutions_of(connection, reports)

    institutions = await desk.read(whose)
    if not person.everywhere and not (institutions and all(map(person.sees, institutions))):
        raise not_found()
    done = await desk.orders["check-report"](raw, {"name": name})
    number = done["receipt_id"]
    only = next(iter(institutions)) if len(institutions) == 1 else ""
    await audit(call.request, "bring-check-report", Subject("receipt", str(number), only))
    return {"receipt": number, **await _progress(call, number)}


async def _progress(call: Call, number: int) -> dict[str, Any]:
    """How the receipt stands once it was read, or after some seconds."""
    look = call.request.app[DESK].orders["visits-progress"]
    for _ in range(_LOOKS):
        found = await look(b"", {"receipt_id": str(number)})
        if found["state"] != ReceiptState.STORED.value:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    return {"state": found["state"], "problem": found["error_text"]}


async def _whole(call: Call) -> WholePackage:
    desk, person = call.request.app[DESK], person_of(call.request)
    found = await desk.read(lambda c: whole_package(c, person.reach, call.path["package"]))
    if found is None:
        raise not_found()
    return found


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


_P = Permission
_OF = {"package": whole(1)}
_PACKAGE = {
    "id": NUMBER,
    "stem": TEXT,
    "institution_code": TEXT,
    "upload_on": DAY,
    "state": TEXT,
    "record_count": NUMBER,
    "sealed_at": INSTANT,
    "confirmed_at": INSTANT,
    "checked_at": INSTANT,
    "receipt_number": TEXT,
    "error_code": TEXT,
}
_COUNTS = {"type": "object", "additionalProperties": NUMBER}
OPERATIONS = (
    Operation(
        "GET",
        "/packages",
        "listPackages",
        "Packages, the newest first",
        _P.SEE_UPLOADS,
        packages,
        query=paged({"state": choice(*PackageState)}),
        answers=page_of(**_PACKAGE),
    ),
    Operation(
        "GET",
        "/packages/open",
        "countOpenPackages",
        "How many packages stand where something is still to come",
        _P.SEE_UPLOADS,
        open_ones,
        answers=told(states=_COUNTS),
    ),
    Operation(
        "GET",
        "/packages/{package}",
        "showPackage",
        "One package with its records, attempts and verdicts",
        _P.SEE_UPLOADS,
        show_package,
        path_parts=_OF,
        answers=told(
            **_PACKAGE,
            may_be_told=TRUTH,
            records=every(
                told(
                    id=NUMBER,
                    position=NUMBER,
                    order_code=TEXT,
                    clinic_code=TEXT,
                    state=TEXT,
                    verdict=TEXT,
                    verdict_code=TEXT,
                )
            ),
            verdicts=_COUNTS,
            attempts=every(
                told(
                    kind=TEXT,
                    started_at=INSTANT,
                    ended_at=INSTANT,
                    outcome=TEXT,
                    error_code=TEXT,
                )
            ),
        ),
    ),
    Operation(
        "POST",
        "/packages/{package}/settle",
        "settlePackage",
        "Say that a package was uploaded by hand, or that it was not",
        _P.SETTLE,
        settle,
        path_parts=_OF,
        body=shape(
            {
                "uploaded": {"type": "boolean"},
                "receipt_number": text(13, pattern="([0-9]{13})?"),
                "uploaded_at": text(40, pattern=r"[0-9T:+ .Z-]*"),
            }
        ),
        answers=told(package=NUMBER),
    ),
    Operation(
        "POST",
        "/check-reports",
        "bringCheckReport",
        "Bring a check report of one's own packages (text or ZIP); `state` is `stored` where it "
        "has not been read yet",
        _P.SETTLE,
        take_check_report,
        query={"name": text(100, pattern=r"[^\x00/\\]*", about="The name of its file.")},
        body={"type": "string", "format": "binary"},
        takes="application/octet-stream",
        answers=told(receipt=NUMBER, state=TEXT, problem=TEXT),
    ),
)
