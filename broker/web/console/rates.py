"""Rates: the four of a month with formula and data date, the outlook, and why two differ."""

from __future__ import annotations

from typing import Any, TypeAlias

from aiohttp import web
from sqlalchemy import Connection

from broker.access.roles import Permission
from broker.rates.board import Board, board_of, with_newer
from broker.rates.month import Month, MonthRates, rates_of
from broker.web.console.actions import Notice, notice_of, refused
from broker.web.console.desk import DESK, Desk
from broker.web.console.kept import Figures, Kept
from broker.web.console.rendering import language_of, not_there, render
from broker.web.identity import person_of, requires
from mapping.errors import LabbrokerError
from mapping.moment import TAIPEI
from mapping.rates.benchmarks import Benchmark, BenchmarkRow, benchmark
from mapping.rates.counted_order import UPLOADED, Progress, RateName
from mapping.rates.cuts import Cut, cut_rates, cut_title
from mapping.rates.groups import Groups

_ROWS = 300
_FEW = 3
"""Of as many institutions all is counted at each look."""
_CUTS = (Cut.DAY, Cut.CATEGORY, Cut.ORDER_CODE, Cut.LAB)


Shown: TypeAlias = tuple[Board, Groups, LabbrokerError | None]
BOARDS = web.AppKey("boards", Kept[Shown])
_BESIDE = ("division-24h-111q4", "city-month-111q4")
"""NHI's tables that are shown beside one's own rates."""


@requires(Permission.SEE_RATES)
async def show_rates(request: web.Request) -> web.Response:
    """The board of all that the person sees."""
    desk, person = request.app[DESK], person_of(request)
    month = _month(request, desk)
    reach, now, closed = person.reach, desk.clock(), desk.settings.holidays

    def look(connection: Connection) -> Shown:
        groups, problem = _groups(desk)
        return board_of(connection, reach, month, now, groups, closed), groups, problem

    if reach is not None and len(reach) <= _FEW:
        figures = Figures(await desk.read(look), now)
    else:
        figures = await request.app[BOARDS].of((reach, month), lambda: desk.read(look))
    board, groups, problem = figures.value
    language = language_of(person)
    return render(
        request,
        "rates.html",
        "rates",
        notice=refused(problem, language) if problem is not None else None,
        board=board,
        group_name=groups.name_of,
        beside=_beside([row.key for row in board.clinics]),
        counted_at=figures.at,
        month=month,
        before=_step(month, -1),
        after=_step(month, 1),
        whole=board.everywhere,
        clinics=sorted(board.clinics, key=lambda row: (row.whole_month.percent or 0, row.key))[
            :_ROWS
        ],
    )


@requires(Permission.SEE_RATES)
async def show_clinic_rates(request: web.Request, notice: Notice | None = None) -> web.Response:
    """One clinic: its rates, the cuts of them, and each difference down to the orders."""
    desk, person = request.app[DESK], person_of(request)
    clinic = request.match_info["clinic"]
    if not person.sees(clinic):
        raise not_there(request)
    month, now = _month(request, desk), desk.clock()
    rates = await desk.read(lambda c: rates_of(c, frozenset({clinic}), month, now))
    request.app[BOARDS].amend(
        (person.reach, month), lambda shown: (with_newer(shown[0], clinic, rates), *shown[1:])
    )
    cut = next((each for each in _CUTS if each.value == request.query.get("cut")), Cut.DAY)
    language = language_of(person)
    return render(
        request,
        "clinic_rates.html",
        "rates",
        notice=notice or notice_of(request),
        counted_at=now,
        overview=rates.overview,
        gaps=rates.overview_gaps()[:_ROWS],
        clinic=clinic,
        month=month,
        before=_step(month, -1),
        after=_step(month, 1),
        rates=[rates.rates[name] for name in RateName if name in rates.rates],
        tier=rates.tier(),
        beside=_beside([clinic]),
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


def _groups(desk: Desk) -> tuple[Groups, LabbrokerError | None]:
    """A list of groups that cannot be read takes nothing else from the page."""
    try:
        return desk.groups(), None
    except LabbrokerError as error:
        return Groups(), error


def _beside(clinics: list[str]) -> list[tuple[Benchmark, list[BenchmarkRow]]]:
    """What NHI published of the divisions and cities of these clinics."""
    found = []
    for table in map(benchmark, _BESIDE):
        keys = {row.key for row in map(table.row_for, clinics) if row is not None}
        rows = [row for row in table.rows if row.key in keys]
        if rows:
            found.append((table, rows))
    return found


def _differences(rates: MonthRates) -> list[tuple[RateName, RateName, Any]]:
    pairs = (
        (RateName.WITHIN_24H, RateName.WHOLE_MONTH),
        (RateName.WHOLE_MONTH, RateName.IC_CARD),
        (RateName.IC_CARD, RateName.NHI),
    )
    return [
        (first, second, rates.difference(first, second))
        for first, second in pairs
        if first in rates.by_order and second in rates.by_order
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
