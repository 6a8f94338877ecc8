"""Rates: the four of a month with formula and data date, the outlook, and why two differ."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from broker.access.roles import Permission
from broker.rates.board import Board, board_of
from broker.rates.month import Month, MonthRates, rates_of
from broker.web.console.desk import DESK, Desk
from broker.web.console.rendering import language_of, not_there, render
from broker.web.identity import person_of, requires
from mapping.errors import LabbrokerError
from mapping.moment import TAIPEI
from mapping.rates.counted_order import UPLOADED, Progress, RateName
from mapping.rates.cuts import Cut, cut_rates, cut_title
from mapping.rates.groups import Groups

_KEPT_FOR = timedelta(seconds=60)
_KEPT = 64
_ROWS = 300
_CUTS = (Cut.DAY, Cut.CATEGORY, Cut.ORDER_CODE, Cut.LAB)


@dataclass(frozen=True, slots=True)
class _Kept:
    board: Board
    at: datetime


class Boards:
    """The boards of late. Reading all orders of a month takes its time, so one is made at once for
    all who ask, and kept for a minute."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[frozenset[str] | None, Month], _Kept] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def of(self, desk: Desk, reach: frozenset[str] | None, month: Month) -> Board:
        """The board of ``reach`` for ``month``, at most a minute old."""
        key = (reach, month)
        async with self._one_at_a_time:
            now = desk.clock()
            kept = self._known.get(key)
            if kept is None or not kept.at <= now < kept.at + _KEPT_FOR:
                closed = desk.settings.holidays
                board = await desk.read(lambda c: board_of(c, reach, month, now, closed=closed))
                kept = self._known[key] = _Kept(board, now)
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return kept.board


BOARDS = web.AppKey("boards", Boards)


@requires(Permission.SEE_RATES)
async def show_rates(request: web.Request) -> web.Response:
    """The board of all that the person sees."""
    desk, person = request.app[DESK], person_of(request)
    month = _month(request, desk)
    board = await request.app[BOARDS].of(desk, person.reach, month)
    return render(
        request,
        "rates.html",
        "rates",
        board=board,
        month=month,
        before=_step(month, -1),
        after=_step(month, 1),
        whole=board.everywhere,
        clinics=sorted(board.clinics, key=lambda row: (row.whole_month.percent or 0, row.key))[
            :_ROWS
        ],
    )


@requires(Permission.SEE_RATES)
async def show_clinic_rates(request: web.Request) -> web.Response:
    """One clinic: its rates, the cuts of them, and each difference down to the orders."""
    desk, person = request.app[DESK], person_of(request)
    clinic = request.match_info["clinic"]
    if not person.sees(clinic):
        raise not_there(request)
    month, now = _month(request, desk), desk.clock()
    rates = await desk.read(lambda c: rates_of(c, frozenset({clinic}), month, now))
    cut = next((each for each in _CUTS if each.value == request.query.get("cut")), Cut.DAY)
    language = language_of(person)
    return render(
        request,
        "clinic_rates.html",
        "rates",
        clinic=clinic,
        month=month,
        before=_step(month, -1),
        after=_step(month, 1),
        rates=[rates.rates[name] for name in RateName if name in rates.rates],
        tier=rates.tier(),
        differences=_differences(rates),
        cut=cut,
        cuts=[(each, cut_title(each, language)) for each in _CUTS],
        cut_rows=[
            (row.label(cut, language, Groups()), row.rates)
            for row in cut_rates(
                rates.orders, cut, (RateName.WITHIN_24H, RateName.WHOLE_MONTH), rates.data_on
            )[:_ROWS]
        ],
        missing=[
            order
            for order in rates.orders
            if order.progress not in UPLOADED and order.progress is not Progress.OPTED_OUT
        ][:_ROWS],
    )


def _differences(rates: MonthRates) -> list[tuple[RateName, RateName, Any]]:
    pairs = (
        (RateName.WITHIN_24H, RateName.WHOLE_MONTH),
        (RateName.WHOLE_MONTH, RateName.IC_CARD),
        (RateName.IC_CARD, RateName.NHI),
    )
    return [
        (first, second, rates.difference(first, second))
        for first, second in pairs
        if first in rates.rates and second in rates.rates
    ]


def _month(request: web.Request, desk: Desk) -> Month:
    today = desk.clock().astimezone(TAIPEI).date()
    try:
        return Month.parse(request.query.get("month", "") or f"{today:%Y-%m}")
    except LabbrokerError:
        return Month.of(today)


def _step(month: Month, months: int) -> Month:
    number = month.year * 12 + month.number - 1 + months
    return Month(number // 12, number % 12 + 1)
