"""A rate with its name, formula and data date; tallies of orders by any cut."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeVar

from mapping.errors import Language
from mapping.rates.counted_order import (
    CARD_DATA_LAG,
    CountedOrder,
    NhiList,
    Part,
    RateName,
    part_in,
)

_NAMES: Mapping[RateName, tuple[str, str]] = {
    RateName.WITHIN_24H: ("24-hour rate", "24 小時內上傳率"),
    RateName.WHOLE_MONTH: ("whole-month rate", "全月上傳率"),
    RateName.IC_CARD: ("IC-card based rate", "IC 卡上傳率"),
    RateName.NHI: ("NHI's own figure", "健保署數據"),
}
_FORMULAS: Mapping[RateName, tuple[str, str]] = {
    RateName.WITHIN_24H: (
        "quantity accepted, with its receipt confirmed within 24 hours / quantity due",
        "24 小時內上傳且檢核正確之醫令總量 ÷ 應上傳醫令總量",
    ),
    RateName.WHOLE_MONTH: (
        "quantity accepted at any time / quantity due",
        "總上傳醫令總量 ÷ 應上傳醫令總量",
    ),
    RateName.IC_CARD: (
        "quantity uploaded (B) / quantity in the IC-card data (A), visits up to two days ago",
        "檢驗(查)上傳件數(B) ÷ IC 卡上傳件數(A)，就診日至前二日",
    ),
    RateName.NHI: (
        "as NHI says: IC-card quantity that its list of cases not uploaded does not name, or its "
        "overview's uploaded quantity (B) / IC-card quantity of its days (A)",
        "健保署：未列於未上傳案件明細之 IC 卡醫令總量，"
        "或日報表上傳件數(B) ÷ 該區間 IC 卡醫令總量(A)",
    ),
}
_HUNDREDTH = Decimal("0.01")


def rate_title(name: RateName, language: Language) -> str:
    """The name of a rate as people read it."""
    return _NAMES[name][language == "zh"]


def rate_formula(name: RateName, language: Language) -> str:
    """How a rate is made, to stand beside it wherever it is shown (peers-and-needs S-15)."""
    return _FORMULAS[name][language == "zh"]


def percent_of(
    uploaded: Decimal | int, due: Decimal | int, step: Decimal = _HUNDREDTH
) -> Decimal | None:
    """A percentage rounded half up to ``step``, as NHI prints it; None where nothing is due."""
    if not due:
        return None
    return (Decimal(100) * uploaded / due).quantize(step, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Rate:
    """``uploaded`` and ``due`` are quantities (總量). ``own`` and ``commissioned`` part
    ``uploaded`` by who uploaded; ``opted_out`` stands apart. ``data_on`` is the day up to which
    the figure knows."""

    name: RateName
    uploaded: Decimal
    due: Decimal
    data_on: date
    own: Decimal = Decimal(0)
    commissioned: Decimal = Decimal(0)
    opted_out: Decimal = Decimal(0)

    @property
    def percent(self) -> Decimal | None:
        """With two decimals; None where nothing is due."""
        return percent_of(self.uploaded, self.due)

    @property
    def missing(self) -> Decimal:
        return self.due - self.uploaded

    def title(self, language: Language) -> str:
        return rate_title(self.name, language)

    def formula(self, language: Language) -> str:
        return rate_formula(self.name, language)


def rate_of(
    name: RateName, orders: Iterable[CountedOrder], data_on: date, nhi: NhiList | None = None
) -> Rate:
    """One rate of ``orders`` as of ``data_on``."""
    uploaded = due = own = commissioned = opted_out = Decimal(0)
    for order in orders:
        if order.progress == "opted_out":
            opted_out += order.quantity
        part = part_in(name, order, data_on, nhi)
        if part is Part.LEFT_OUT:
            continue
        due += order.quantity
        if part is Part.UPLOADED:
            uploaded += order.quantity
            if order.own_upload is False:
                commissioned += order.quantity
            elif order.own_upload:
                own += order.quantity
    return Rate(name, uploaded, due, knows_until(name, data_on, nhi), own, commissioned, opted_out)


def knows_until(name: RateName, data_on: date, nhi: NhiList | None = None) -> date:
    """The data date to print beside a rate."""
    if name is RateName.IC_CARD:
        return data_on - CARD_DATA_LAG
    if name is RateName.NHI and nhi is not None:
        return nhi.data_on
    return data_on


Key = TypeVar("Key", bound=Hashable)


def rates_by(
    key: Callable[[CountedOrder], Key],
    name: RateName,
    orders: Iterable[CountedOrder],
    data_on: date,
    nhi: NhiList | None = None,
) -> dict[Key, Rate]:
    """One rate, cut by ``key``. The parts add up to the whole."""
    parts: dict[Key, list[CountedOrder]] = {}
    for order in orders:
        parts.setdefault(key(order), []).append(order)
    return {each: rate_of(name, part, data_on, nhi) for each, part in parts.items()}
