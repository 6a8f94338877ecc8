"""How each source does: its rhythm and silence, what it brings and what is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from broker.access.roles import Permission
from broker.store.source_scores import SourceScore
from broker.web.api.operation import Answer, Call, Operation, instant
from broker.web.api.shapes import INSTANT, NUMBER, TEXT, TRUTH, every, or_null, told
from broker.web.console.desk import DESK
from broker.web.console.sources import scores_of
from mapping.profile import SourceProfile


async def sources(call: Call) -> Answer:
    """The silent ones first."""
    desk = call.request.app[DESK]
    figures = await scores_of(call.request)
    return {
        "counted_at": instant(figures.at),
        "items": [_score(each, desk.profiles[each.source_id]) for each in figures.value],
    }


def _score(each: SourceScore, profile: SourceProfile) -> dict[str, Any]:
    return {
        "source": each.source_id,
        "lab_code": profile.lab_code,
        "clinic_code": profile.clinic_code,
        "last_at": instant(each.last_at),
        "days": list(each.days),
        "receipts": each.receipts,
        "records": each.records,
        "unmapped": each.unmapped,
        "unmatched": each.unmatched,
        "invalid": each.invalid,
        "late": each.late,
        "unreadable": each.unreadable,
        "usual_gap_minutes": _minutes(each.usual_gap),
        "silent_minutes": _minutes(each.silent_for),
        "turnaround_minutes": _minutes(each.turnaround),
        "is_silent": each.is_silent,
    }


def _minutes(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds() // 60)


OPERATIONS = (
    Operation(
        "GET",
        "/sources",
        "listSources",
        "Each source's last fourteen days, the silent ones first",
        Permission.SEE_SOURCES,
        sources,
        answers=told(
            counted_at=INSTANT,
            items=every(
                told(
                    source=TEXT,
                    lab_code=TEXT,
                    clinic_code=TEXT,
                    last_at=INSTANT,
                    days=every(NUMBER),
                    receipts=NUMBER,
                    records=NUMBER,
                    unmapped=NUMBER,
                    unmatched=NUMBER,
                    invalid=NUMBER,
                    late=NUMBER,
                    unreadable=NUMBER,
                    usual_gap_minutes=or_null(NUMBER),
                    silent_minutes=or_null(NUMBER),
                    turnaround_minutes=or_null(NUMBER),
                    is_silent=TRUTH,
                )
            ),
        ),
    ),
)
