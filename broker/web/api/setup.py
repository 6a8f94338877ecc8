"""How the broker is set up: its cards, and what each setting is and where it came from.

A PIN is typed at the reader's own computer (``labbroker card-agent``), never here: neither the
console nor the API takes one.
"""

from __future__ import annotations

import os
from typing import Any

from broker.access.roles import Permission
from broker.config.origins import setting_origins
from broker.web.api.operation import Answer, Call, Operation, instant
from broker.web.api.shapes import INSTANT, NUMBER, TEXT, TRUTH, every, or_null, told
from broker.web.console.cards import CardView, card_views
from broker.web.console.desk import DESK


async def cards(call: Call) -> Answer:
    """Of the caller's institutions; agents only for who sees every institution."""
    views, agents = await card_views(call.request)
    return {"items": [_card(each) for each in views], "agents": [_agent(each) for each in agents]}


async def settings(call: Call) -> Answer:
    """Secrets are never told."""
    desk = call.request.app[DESK]
    file = desk.settings.file
    found = await desk.read(lambda _: setting_origins(file, os.environ))
    only_set = call.query.get("set", False)
    return {
        "file": None if file is None else str(file),
        "items": [
            {
                "path": each.path,
                "value": each.value,
                "place": each.place,
                "where": each.where,
                "meaning": each.meaning,
            }
            for each in found
            if not only_set or each.place != "default"
        ],
    }


def _card(view: CardView) -> dict[str, Any]:
    return {
        "institution_code": view.institution.code,
        "channel": view.institution.channel,
        "credential": view.institution.credential_kind.value,
        "is_open": view.is_open,
        "opens_at": instant(view.opens_at),
        "waiting": view.waiting,
        "due_at": instant(view.due_at),
        "confirmed_at": instant(view.confirmed_at),
        "card": None if view.card is None else _state(view.card),
    }


def _state(card: dict[str, Any]) -> dict[str, Any]:
    return {name: card[name] for name in _STATE}


def _agent(agent: dict[str, Any]) -> dict[str, Any]:
    return {
        "agent": agent["agent"],
        "version": agent["version"],
        "readers": [{name: each[name] for name in _READER} for each in agent["readers"]],
        "cards": [_state(each) for each in agent["cards"]],
    }


_STATE = {
    "name": TEXT,
    "agent": TEXT,
    "institution": TEXT,
    "condition": TEXT,
    "reason": TEXT,
    "label": TEXT,
    "serial": TEXT,
    "tries": TEXT,
    "wrong_entries": NUMBER,
    "keypad": TRUTH,
    "subject": TEXT,
    "environment": TEXT,
    "valid_until": TEXT,
    "days_left": or_null(NUMBER),
}
_READER = {"name": TEXT, "has_card": TRUTH, "mute": TRUTH}
OPERATIONS = (
    Operation(
        "GET",
        "/cards",
        "listCards",
        "How each institution signs and sends, its card, and what waits for it",
        Permission.SEE_CARDS,
        cards,
        answers=told(
            items=every(
                told(
                    institution_code=TEXT,
                    channel=TEXT,
                    credential=TEXT,
                    is_open=TRUTH,
                    opens_at=INSTANT,
                    waiting=NUMBER,
                    due_at=INSTANT,
                    confirmed_at=INSTANT,
                    card=or_null(told(**_STATE)),
                )
            ),
            agents=every(
                told(
                    agent=TEXT,
                    version=TEXT,
                    readers=every(told(**_READER)),
                    cards=every(told(**_STATE)),
                )
            ),
        ),
    ),
    Operation(
        "GET",
        "/settings",
        "listSettings",
        "Every setting, and where its value came from",
        Permission.SEE_SETTINGS,
        settings,
        query={"set": {"type": "boolean", "description": "Only those that somebody has set."}},
        answers=told(
            file=or_null(TEXT),
            items=every(
                told(
                    path=TEXT,
                    value=TEXT,
                    place={"type": "string", "enum": ["environment", "file", "default"]},
                    where=TEXT,
                    meaning=TEXT,
                )
            ),
        ),
    ),
)
