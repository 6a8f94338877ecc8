"""Sources: each sender's rhythm and silence, and its scorecard of the last two weeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from broker.access.roles import Permission
from broker.store.source_scores import SourceScore, source_scores
from broker.web.console.desk import DESK
from broker.web.console.kept import Figures, Kept
from broker.web.console.rendering import render
from broker.web.console.source_reach import sources_of
from broker.web.identity import person_of, requires
from mapping.profile import SourceProfile

_WIDTH, _HEIGHT, _STEP = 168, 36, 12
SCORES = web.AppKey("scores", Kept[list[SourceScore]])


@dataclass(frozen=True, slots=True)
class Spark:
    """A bar a day: x, y, height."""

    bars: tuple[tuple[float, float, float], ...]
    width: int = _WIDTH
    height: int = _HEIGHT


@requires(Permission.SEE_SOURCES)
async def show_sources(request: web.Request) -> web.Response:
    """All sources that the person sees, the silent ones first."""
    desk = request.app[DESK]
    figures = await scores_of(request)
    cards: list[tuple[SourceScore, SourceProfile, Spark]] = [
        (each, desk.profiles[each.source_id], spark(each.days)) for each in figures.value
    ]
    return render(request, "sources.html", "sources", cards=cards, counted_at=figures.at)


async def scores_of(request: web.Request) -> Figures[list[SourceScore]]:
    """Of all sources that the person sees, the silent ones first."""
    desk, person = request.app[DESK], person_of(request)
    now, names = desk.clock(), sources_of(person, desk)
    figures = await request.app[SCORES].of(
        tuple(names), lambda: desk.read(lambda c: source_scores(c, names, now))
    )
    scores = list(figures.value)
    scores.sort(key=lambda each: (not each.is_silent, -each.receipts, each.source_id))
    return Figures(scores, figures.at)


def spark(days: Sequence[int]) -> Spark:
    """The last days as small bars."""
    top = max(1, *days)
    bars = []
    for number, value in enumerate(days):
        height = round((_HEIGHT - 2) * value / top, 1) if value else 1.0
        bars.append((float(number * _STEP), round(_HEIGHT - height, 1), height))
    return Spark(tuple(bars))
