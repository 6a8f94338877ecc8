"""Why two rates of the same orders differ, down to the orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from mapping.errors import Language
from mapping.rates.counted_order import (
    CARD_DATA_LAG,
    CountedOrder,
    NhiList,
    Part,
    Progress,
    RateName,
    part_in,
)


class Cause(StrEnum):
    """Why an order is not the same to two rates."""

    LATE = "late"
    OPTED_OUT = "opted_out"
    TOO_RECENT = "too_recent"
    OUTSIDE_LIST = "outside_list"
    ON_NHI_LIST = "on_nhi_list"
    NOT_ON_NHI_LIST = "not_on_nhi_list"


_TEXTS: Mapping[Cause, tuple[str, str]] = {
    Cause.LATE: ("uploaded, but after 24 hours", "已上傳，但超過 24 小時"),
    Cause.OPTED_OUT: ("not uploaded at the patient's wish", "依病人意願不上傳"),
    Cause.TOO_RECENT: (
        "of the last two days, which NHI's card data does not know yet",
        "最近二日就診，健保署 IC 卡資料尚未納入",
    ),
    Cause.OUTSIDE_LIST: ("on a day that NHI's list does not cover", "不在健保署明細的就診區間內"),
    Cause.ON_NHI_LIST: (
        "uploaded by our books, still on NHI's list",
        "本系統已上傳，健保署仍列為未上傳",
    ),
    Cause.NOT_ON_NHI_LIST: (
        "not counted as uploaded here, but not on NHI's list",
        "本系統未計為已上傳，健保署未列為未上傳",
    ),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """``uploaded`` and ``due`` say by how much the second rate's two numbers are larger than the
    first's for this cause. Over all causes they add up to the whole difference."""

    cause: Cause
    uploaded: Decimal
    due: Decimal
    orders: tuple[CountedOrder, ...]

    def text(self, language: Language) -> str:
        return _TEXTS[self.cause][language == "zh"]


def differences(
    first: RateName,
    second: RateName,
    orders: Iterable[CountedOrder],
    data_on: date,
    nhi: NhiList | None = None,
) -> tuple[Difference, ...]:
    """What must be added to the first rate to come to the second, by cause; empty where both count
    all orders alike."""
    found: dict[Cause, list[CountedOrder]] = {}
    sums: dict[Cause, tuple[Decimal, Decimal]] = {}
    for order in orders:
        before = part_in(first, order, data_on, nhi)
        after = part_in(second, order, data_on, nhi)
        if before is after:
            continue
        cause = _cause(order, before, after, {first, second}, data_on, nhi)
        found.setdefault(cause, []).append(order)
        uploaded, due = sums.get(cause, (Decimal(0), Decimal(0)))
        sums[cause] = (
            uploaded + order.quantity * ((after is Part.UPLOADED) - (before is Part.UPLOADED)),
            due + order.quantity * ((after is not Part.LEFT_OUT) - (before is not Part.LEFT_OUT)),
        )
    return tuple(
        Difference(cause, *sums[cause], tuple(found[cause])) for cause in Cause if cause in found
    )


def _cause(
    order: CountedOrder,
    before: Part,
    after: Part,
    names: set[RateName],
    data_on: date,
    nhi: NhiList | None,
) -> Cause:
    if RateName.NHI in names:
        if nhi is None or not nhi.from_on <= order.visit_on <= nhi.until_on:
            return Cause.OUTSIDE_LIST
        if Part.LEFT_OUT not in (before, after):
            listed = order.key in nhi.listed
            return Cause.ON_NHI_LIST if listed else Cause.NOT_ON_NHI_LIST
    if RateName.IC_CARD in names and order.visit_on > data_on - CARD_DATA_LAG:
        return Cause.TOO_RECENT
    return Cause.OPTED_OUT if order.progress is Progress.OPTED_OUT else Cause.LATE
