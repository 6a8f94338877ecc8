"""Today: what is due, at risk and missed, how the last day went, the alarms; and who calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from broker.access.masking import masked_id
from broker.access.roles import Permission
from broker.store.alarms import open_alarms
from broker.store.critical import critical_count
from broker.store.due_work import day_flow, due_counts, most_urgent, recent_alarms
from broker.store.outbox import unread_count
from broker.store.person_language import set_language
from broker.store.rows import AnyRow
from broker.web.api.operation import Answer, Call, Operation, instant
from broker.web.api.shapes import INSTANT, NUMBER, TEXT, choice, every, or_null, shape, told
from broker.web.console.desk import DESK
from broker.web.identity import Guard, person_of

_URGENT = 12
_CLOSED_ALARMS = 50
_ALARMS_SINCE = timedelta(hours=24)


async def me(call: Call) -> Answer:
    person = person_of(call.request)
    return {
        "login": person.login,
        "name": person.name,
        "role": person.role.value,
        "institutions": None if person.everywhere else sorted(person.institutions),
        "language": person.language,
        "permissions": sorted(each.value for each in Permission if person.may(each)),
    }


async def speak(call: Call) -> Answer:
    """Of the console's pages, for all later sessions too."""
    person_id, language = person_of(call.request).person_id, call.body["language"]
    await call.request.app[DESK].write(lambda c: set_language(c, person_id, language))
    return {"language": language}


async def today(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    now, reach = desk.clock(), person.reach

    def look(connection: Connection) -> dict[str, Any]:
        counts = due_counts(connection, reach, now, desk.warn)
        may_receive = person.may(Permission.RECEIVE_RESULTS)
        return {
            "as_of": instant(now),
            "missed": counts.missed,
            "at_risk": counts.at_risk,
            "calm": counts.calm,
            "waiting": counts.waiting,
            "critical": critical_count(connection, reach),
            "unread": unread_count(connection, reach) if may_receive else None,
            "urgent": [_urgent(row) for row in most_urgent(connection, reach, _URGENT)],
            "alarms": [
                _alarm(row)
                for row in recent_alarms(connection, reach, now - _ALARMS_SINCE, _CLOSED_ALARMS)
            ],
            "flow": [
                {
                    "start": instant(hour.start),
                    "arrived": hour.arrived,
                    "confirmed": hour.confirmed,
                }
                for hour in day_flow(connection, reach, now)
            ],
        }

    return await desk.read(look)


async def alarms(call: Call) -> Answer:
    """For the institutions that the caller sees."""
    desk, person = call.request.app[DESK], person_of(call.request)
    rows = await desk.read(open_alarms)
    return {"items": [_alarm(row) for row in rows if person.sees(row.institution_code)]}


def _urgent(row: AnyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "order_code": row.order_code,
        "clinic_code": row.clinic_code,
        "lab_code": row.lab_code,
        "state": row.state,
        "held_reason": row.held_reason,
        "patient": masked_id(row.national_id),
        "due_at": instant(row.due_at),
    }


def _alarm(row: AnyRow) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "institution_code": row.institution_code,
        "reason": row.reason,
        "records": row.records,
        "due_at": instant(row.due_at),
        "opened_at": instant(row.opened_at),
        "closed_at": instant(row.closed_at),
    }


_URGENT_SHAPE = {
    "id": NUMBER,
    "order_code": TEXT,
    "clinic_code": TEXT,
    "lab_code": TEXT,
    "state": TEXT,
    "held_reason": TEXT,
    "patient": TEXT,
    "due_at": INSTANT,
}
_ALARM_SHAPE = {
    "kind": TEXT,
    "institution_code": TEXT,
    "reason": TEXT,
    "records": NUMBER,
    "due_at": INSTANT,
    "opened_at": INSTANT,
    "closed_at": INSTANT,
}
OPERATIONS = (
    Operation(
        "GET",
        "/me",
        "showMe",
        "Who calls, and what they may",
        Guard.SIGNED_IN,
        me,
        answers=told(
            login=TEXT,
            name=TEXT,
            role=TEXT,
            institutions=or_null(every(TEXT)),
            language=TEXT,
            permissions=every(TEXT),
        ),
    ),
    Operation(
        "POST",
        "/me/language",
        "speak",
        "In which language the caller's pages are",
        Guard.SIGNED_IN,
        speak,
        body=shape({"language": choice("zh", "en")}, "language"),
        answers=told(language=TEXT),
    ),
    Operation(
        "GET",
        "/today",
        "showToday",
        "What is due, at risk and missed, the last 24 hours, the alarms of a day",
        Permission.SEE_WORK,
        today,
        answers=told(
            as_of=INSTANT,
            missed=NUMBER,
            at_risk=NUMBER,
            calm=NUMBER,
            waiting=NUMBER,
            critical=NUMBER,
            unread=or_null(NUMBER),
            urgent=every(told(**_URGENT_SHAPE)),
            alarms=every(told(**_ALARM_SHAPE)),
            flow=every(told(start=INSTANT, arrived=NUMBER, confirmed=NUMBER)),
        ),
    ),
    Operation(
        "GET",
        "/alarms",
        "listAlarms",
        "What may come late, or is late, and is open",
        Permission.SEE_WORK,
        alarms,
        answers=told(items=every(told(**_ALARM_SHAPE))),
    ),
)
