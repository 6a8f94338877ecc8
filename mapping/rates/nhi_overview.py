"""NHI's own figure as its overview says it, and why ours differs, day by day.

Source: seed 000, 未上傳案件日報表查詢作業, tab 上傳概況: for each day of visits IC卡上傳件數(A) and
檢驗(查)上傳件數(B), both quantities (總量), made of IC-card data on the day 資料擷取日期.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from mapping.errors import Language
from mapping.moment import TAIPEI
from mapping.rates.counted_order import CountedOrder, Part, RateName, part_in
from mapping.rates.rate import Rate

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class OverviewDay:
    """One day of visits as NHI counts it. ``own`` and ``commissioned`` part ``uploaded``."""

    visit_on: date
    due: Decimal
    uploaded: Decimal
    own: Decimal = _NOTHING
    commissioned: Decimal = _NOTHING


@dataclass(frozen=True, slots=True)
class NhiOverview:
    """``data_on`` is 資料擷取日期. Days without visits may be left out of ``days``."""

    institution_code: str
    from_on: date
    until_on: date
    data_on: date
    days: tuple[OverviewDay, ...]

    def rate(self, first: date, last: date) -> Rate | None:
        """NHI's figure of the visits from ``first`` to ``last``; None where it tells of none."""
        days = [day for day in self.days if first <= day.visit_on <= last]
        if not days:
            return None
        return Rate(
            RateName.NHI,
            sum((day.uploaded for day in days), _NOTHING),
            sum((day.due for day in days), _NOTHING),
            self.data_on,
            sum((day.own for day in days), _NOTHING),
            sum((day.commissioned for day in days), _NOTHING),
        )


class GapCause(StrEnum):
    """Why our count of a day is another than NHI's."""

    NEWER = "newer"
    NOT_TIED = "not_tied"
    UPLOADED_ELSEWHERE = "uploaded_elsewhere"
    CARD_DATA_NOT_AT_NHI = "card_data_not_at_nhi"
    CARD_DATA_NOT_HERE = "card_data_not_here"


_TEXTS: Mapping[GapCause, tuple[str, str]] = {
    GapCause.NEWER: ("uploaded after NHI's data date", "於健保署資料擷取日期之後上傳"),
    GapCause.NOT_TIED: (
        "uploaded by our books, not counted by NHI: among these orders",
        "本系統已上傳，健保署未計：在下列醫令之中",
    ),
    GapCause.UPLOADED_ELSEWHERE: (
        "counted by NHI as uploaded, not by our books",
        "健保署計為已上傳，本系統無上傳紀錄",
    ),
    GapCause.CARD_DATA_NOT_AT_NHI: (
        "in the card data here, not in NHI's: among these orders",
        "本系統有 IC 卡資料，健保署未計：在下列醫令之中",
    ),
    GapCause.CARD_DATA_NOT_HERE: (
        "in NHI's card data, which never came here",
        "健保署有 IC 卡資料，本系統未收到",
    ),
}


@dataclass(frozen=True, slots=True)
class Gap:
    """``uploaded`` and ``due`` say by how much ours are larger than NHI's on a day for a cause;
    over all causes of a day they add up. ``orders`` are those that it is, or is among."""

    visit_on: date
    cause: GapCause
    uploaded: Decimal
    due: Decimal
    orders: tuple[CountedOrder, ...] = ()

    def text(self, language: Language) -> str:
        return _TEXTS[self.cause][language == "zh"]


def gaps(
    overview: NhiOverview, orders: Iterable[CountedOrder], first: date, last: date
) -> tuple[Gap, ...]:
    """Why our IC-card count differs from NHI's, for the visits from ``first`` to ``last`` that the
    overview covers; empty where both count alike."""
    begin, end = max(first, overview.from_on), min(last, overview.until_on)
    ours: dict[date, list[CountedOrder]] = defaultdict(list)
    for order in orders:
        counted = part_in(RateName.IC_CARD, order, overview.data_on) is not Part.LEFT_OUT
        if counted and begin <= order.visit_on <= end:
            ours[order.visit_on].append(order)
    theirs = {day.visit_on: day for day in overview.days if begin <= day.visit_on <= end}
    found: list[Gap] = []
    for visit_on in sorted({*ours, *theirs}):
        told = theirs.get(visit_on, OverviewDay(visit_on, _NOTHING, _NOTHING))
        found += _of_day(told, ours.get(visit_on, []), overview.data_on)
    return tuple(found)


def _of_day(told: OverviewDay, orders: list[CountedOrder], data_on: date) -> Iterable[Gap]:
    day = told.visit_on
    missing = _quantity(orders) - told.due
    if missing > 0:
        yield Gap(day, GapCause.CARD_DATA_NOT_AT_NHI, _NOTHING, missing, tuple(orders))
    elif missing < 0:
        yield Gap(day, GapCause.CARD_DATA_NOT_HERE, _NOTHING, missing)
    uploaded = [
        order for order in orders if part_in(RateName.IC_CARD, order, data_on) is Part.UPLOADED
    ]
    newer = tuple(order for order in uploaded if _confirmed_after(order, data_on))
    if newer:
        yield Gap(day, GapCause.NEWER, _quantity(newer), _NOTHING, newer)
    older = tuple(order for order in uploaded if not _confirmed_after(order, data_on))
    more = _quantity(older) - told.uploaded
    if more > 0:
        yield Gap(day, GapCause.NOT_TIED, more, _NOTHING, older)
    elif more < 0:
        yield Gap(day, GapCause.UPLOADED_ELSEWHERE, more, _NOTHING)


def _confirmed_after(order: CountedOrder, data_on: date) -> bool:
    at = order.confirmed_at
    return at is not None and at.astimezone(TAIPEI).date() > data_on


def _quantity(orders: Iterable[CountedOrder]) -> Decimal:
    return sum((order.quantity for order in orders), _NOTHING)
