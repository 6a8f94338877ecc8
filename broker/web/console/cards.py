"""Cards: for each institution, how it uploads, what it signs with, and what waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from broker.access.roles import Permission
from broker.config.settings import InstitutionSettings
from broker.store.package_list import last_confirmed, waiting_for_sending
from broker.web.console.actions import order
from broker.web.console.desk import DESK
from broker.web.console.rendering import render
from broker.web.identity import person_of, requires


@dataclass(frozen=True, slots=True)
class CardView:
    """``card`` is what the card desk tells of an institution's card; None where none is used."""

    institution: InstitutionSettings
    is_open: bool
    opens_at: datetime | None
    waiting: int
    due_at: datetime | None
    confirmed_at: datetime | None
    card: dict[str, Any] | None


@requires(Permission.SEE_CARDS)
async def show_cards(request: web.Request) -> web.Response:
    """One sheet an institution of the person's."""
    views, agents = await card_views(request)
    return render(request, "cards.html", "cards", views=views, agents=agents)


async def card_views(request: web.Request) -> tuple[list[CardView], list[dict[str, Any]]]:
    """Each institution of the person's, and the connected agents for who sees all of them."""
    desk, person = request.app[DESK], person_of(request)
    known = [each for each in desk.settings.institutions if person.sees(each.code)]
    told: dict[str, Any] = {"institutions": [], "agents": []}
    if "cards" in desk.orders:
        told = await order(request, "cards", {})
    cards = {each["institution"]: each for each in told["institutions"]}
    now, hours = desk.clock(), desk.settings.hours
    codes = [each.code for each in known]
    waiting, confirmed = await desk.read(
        lambda c: (waiting_for_sending(c, codes), last_confirmed(c, codes))
    )
    views = []
    for each in known:
        open_now = hours[each.code].is_open(now)
        number, due = waiting.get(each.code, (0, None))
        views.append(
            CardView(
                each,
                open_now,
                None if open_now else hours[each.code].next_open(now),
                number,
                due,
                confirmed.get(each.code),
                cards.get(each.code),
            )
        )
    return views, told["agents"] if person.everywhere else []
