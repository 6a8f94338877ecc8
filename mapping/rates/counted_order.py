"""An order as the rates count it, and its part in each of the four rates.

Sources: seed 000 (未上傳案件日報表, remarks 1-7; 上傳率=總上傳筆數/申報應上傳筆數; results of a
commissioned laboratory count for the ordering clinic: letter 健保醫字第1120660331號), decisions 16
and 17.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from mapping.unuploaded import IMAGE_ONLY_CODES

CARD_DATA_LAG = timedelta(days=2)
"""The newest day that NHI's IC-card figures know (seed 000, 查詢方式-1: 系統日期-2日)."""


class RateName(StrEnum):
    """The four rates, never mixed."""

    WITHIN_24H = "within_24h"
    WHOLE_MONTH = "whole_month"
    IC_CARD = "ic_card"
    NHI = "nhi"


class Progress(StrEnum):
    """How far an order has come, the furthest first."""

    ON_TIME = "on_time"
    """Accepted; its first receipt was confirmed within 24 hours of the clock's start."""
    LATE = "late"
    """Accepted, confirmed later."""
    ON_THE_WAY = "on_the_way"
    READY = "ready"
    REJECTED = "rejected"
    HELD = "held"
    NO_RESULT = "no_result"
    OPTED_OUT = "opted_out"


UPLOADED = (Progress.ON_TIME, Progress.LATE)


class Part(StrEnum):
    """What an order is to one rate."""

    UPLOADED = "uploaded"
    MISSING = "missing"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class CountedOrder:
    """One order code at one card event. ``quantity`` is 總量 (A77): what is counted, not lines.

    ``own_upload``: the clinic itself uploaded (自行上傳), False: a laboratory did (交付上傳), None:
    nobody yet. ``handed_over``: the card data says that another institution does it (h26).
    """

    institution_code: str
    visit_id: int
    visit_on: date
    order_code: str
    quantity: Decimal
    progress: Progress
    provider_id: str = ""
    lab_code: str = ""
    handed_over: bool | None = None
    own_upload: bool | None = None
    due_at: datetime | None = None
    confirmed_at: datetime | None = None
    held_reason: str = ""
    record_id: int | None = None

    @property
    def key(self) -> OrderKey:
        return self.visit_id, self.order_code


OrderKey = tuple[int, str]


@dataclass(frozen=True, slots=True)
class NhiList:
    """What NHI's list of cases not uploaded says of our orders: its days, and those it names."""

    from_on: date
    until_on: date
    data_on: date
    listed: Set[OrderKey]


def part_in(name: RateName, order: CountedOrder, data_on: date, nhi: NhiList | None = None) -> Part:
    """The part of ``order`` in a rate as of ``data_on`` (the Taipei day on which it is asked).

    * ``within_24h``, ``whole_month``: all orders of the month but those opted out.
    * ``ic_card``: as NHI's report counts: days up to two before ``data_on``, opted-out orders too
      since the card data names them, never the ten codes that have no report.
    * ``nhi``: the days of NHI's own list; what it names is missing, the rest uploaded.
    """
    if order.order_code in IMAGE_ONLY_CODES:
        return Part.LEFT_OUT
    if name is RateName.NHI:
        if nhi is None or not nhi.from_on <= order.visit_on <= nhi.until_on:
            return Part.LEFT_OUT
        return Part.MISSING if order.key in nhi.listed else Part.UPLOADED
    if name is RateName.IC_CARD:
        if order.visit_on > data_on - CARD_DATA_LAG:
            return Part.LEFT_OUT
        return Part.UPLOADED if order.progress in UPLOADED else Part.MISSING
    if order.progress is Progress.OPTED_OUT:
        return Part.LEFT_OUT
    if order.progress is Progress.ON_TIME:
        return Part.UPLOADED
    late_counts = name is RateName.WHOLE_MONTH and order.progress is Progress.LATE
    return Part.UPLOADED if late_counts else Part.MISSING
