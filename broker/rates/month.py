"""The rates of a month, as people ask for them: with their orders, so that any cut, difference,
forecast and list of what to do comes from the same numbers.

Every function takes the institutions that the person may see (None: everywhere). What is read is
read once; use it inside one snapshot of the store.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from broker.store.nhi_overviews import newest_overview
from broker.store.rate_lists import nhi_list_of
from broker.store.rate_orders import counted_orders
from mapping.errors import LabbrokerError
from mapping.moment import TAIPEI
from mapping.rates.counted_order import CountedOrder, NhiList, RateName
from mapping.rates.differences import Difference, differences
from mapping.rates.nhi_overview import Gap, NhiOverview, gaps
from mapping.rates.rate import Rate, rate_of
from mapping.rates.score import Tier, TierTable, tier_table_on


class MonthUnreadable(LabbrokerError):
    code = "month-unreadable"
    en = ("{month} is no month.", "Write it as 2026-11 or, in ROC years, 115/11.")
    zh = ("{month} 不是月份。", "請以 2026-11 或民國 115/11 表示。")


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month; ``str`` gives ``2026-11``."""

    year: int
    number: int

    @classmethod
    def of(cls, day: date) -> Month:
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """``2026-11`` or ``115/11`` (ROC). Raises :class:`MonthUnreadable`."""
        year, sign, number = text.strip().replace("/", "-").partition("-")
        if not (sign and year.isascii() and year.isdigit() and number.isascii()):
            raise MonthUnreadable(month=text[:20])
        if not number.isdigit() or not 1 <= int(number) <= 12 or len(year) > 4:
            raise MonthUnreadable(month=text[:20])
        western = int(year) + (1911 if len(year) < 4 else 0)
        if not 1911 < western < 9999:
            raise MonthUnreadable(month=text[:20])
        return cls(western, int(number))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def first(self) -> date:
        return date(self.year, self.number, 1)

    @property
    def last(self) -> date:
        return date(self.year, self.number, calendar.monthrange(self.year, self.number)[1])

    @property
    def quarter(self) -> tuple[date, date]:
        """First and last day of the quarter that the month is in."""
        begin = 3 * ((self.number - 1) // 3) + 1
        return date(self.year, begin, 1), Month(self.year, begin + 2).last


@dataclass(frozen=True, slots=True)
class MonthRates:
    """``rates`` has an entry for each rate that is known; NHI's own figure only with something of
    NHI's: what its list of cases not uploaded (``nhi``) leaves, else what its overview of the
    clinic says (``overview``). Either covers its own days, which need not be the whole month.
    """

    month: Month
    asked_at: datetime
    data_on: date
    rates: Mapping[RateName, Rate]
    orders: Sequence[CountedOrder]
    nhi: NhiList | None
    tiers: TierTable | None
    overview: NhiOverview | None = None

    @property
    def by_order(self) -> tuple[RateName, ...]:
        """The rates that are known order by order, to be cut and explained: of NHI's overview
        there are only sums."""
        return tuple(
            name for name in self.rates if name is not RateName.NHI or self.nhi is not None
        )

    def overview_gaps(self) -> tuple[Gap, ...]:
        """Why our count of each day differs from NHI's overview; empty without one."""
        if self.overview is None:
            return ()
        return gaps(self.overview, self.orders, self.month.first, self.month.last)

    def difference(self, first: RateName, second: RateName) -> tuple[Difference, ...]:
        """What must be added to the first rate to come to the second, by cause, with orders."""
        return differences(first, second, self.orders, self.data_on, self.nhi)

    def tier(self, name: RateName = RateName.WHOLE_MONTH) -> Tier | None:
        """The tier of a rate by the month's own table; None without a table or orders."""
        rate = self.rates.get(name)
        if rate is None or self.tiers is None:
            return None
        return self.tiers.tier_of(rate.uploaded, rate.due)


def rates_of(
    connection: Connection, institutions: frozenset[str] | None, month: Month, now: datetime
) -> MonthRates:
    """The four rates of all orders of the month at ``institutions`` (None: everywhere)."""
    data_on = now.astimezone(TAIPEI).date()
    orders = counted_orders(connection, institutions, month.first, month.last)
    nhi = nhi_list_of(connection, institutions, month.first, month.last)
    overview = newest_overview(connection, institutions, month.first, month.last)
    rates = {
        name: rate_of(name, orders, data_on, nhi)
        for name in RateName
        if name is not RateName.NHI or nhi is not None
    }
    told = overview.rate(month.first, month.last) if overview is not None else None
    if told is not None and nhi is None:
        rates[RateName.NHI] = told
    table = tier_table_on(month.last)
    return MonthRates(month, now, data_on, rates, orders, nhi, table, overview)
