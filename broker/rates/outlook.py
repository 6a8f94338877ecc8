"""What the rates of a month and its quarter will be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from broker.rates.month import Month
from broker.store.rate_tallies import institution_kinds, kinds_together, tally_of
from mapping.moment import TAIPEI
from mapping.rates.completion import LEARNS_FROM, DayTally
from mapping.rates.forecast import Forecast, Forecaster
from mapping.rates.rate import percent_of
from mapping.rates.score import TierTable, tier_table_on


@dataclass(frozen=True, slots=True)
class Expected:
    """A period as it is expected to end; the rates are percent. ``score`` is of the whole-month
    rate; None without a tier table."""

    first: date
    last: date
    forecast: Forecast
    within_24h: Decimal
    whole_month: Decimal
    score: Decimal | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """``month`` and ``quarter`` are None where there is too little to learn from."""

    data_on: date
    month: Expected | None
    quarter: Expected | None


def outlook_of(
    connection: Connection,
    institutions: frozenset[str] | None,
    month: Month,
    now: datetime,
    closed: frozenset[date] = frozenset(),
) -> Outlook:
    """The end of the month and of its quarter for all of ``institutions`` together (None:
    everywhere). ``closed`` are days without visits, such as the ``holidays`` of the settings."""
    data_on = now.astimezone(TAIPEI).date()
    found = institution_kinds(
        connection, institutions, learns_since(month, data_on), (month.first, month.last), data_on
    )
    tally = tally_of(kinds_together(kinds for _, kinds in found))
    return expected_ends(tally.days, month, data_on, closed)


def learns_since(month: Month, data_on: date) -> date:
    """The first day that must be read for the quarter and for what there is to learn."""
    return min(month.quarter[0], data_on - timedelta(days=LEARNS_FROM))


def expected_ends(
    days: Mapping[date, DayTally], month: Month, data_on: date, closed: frozenset[date]
) -> Outlook:
    """The outlook of these days."""
    forecaster = Forecaster(days, data_on)
    table = tier_table_on(month.last)
    ends = [
        _expected(forecaster, first, last, closed, table)
        for first, last in ((month.first, month.last), month.quarter)
    ]
    return Outlook(data_on, *ends)


def _expected(
    forecaster: Forecaster,
    first: date,
    last: date,
    closed: frozenset[date],
    table: TierTable | None,
) -> Expected | None:
    found = forecaster.of(first, last, closed)
    if found is None:
        return None
    within_24h = percent_of(found.on_time, found.due)
    whole_month = percent_of(found.uploaded, found.due)
    if within_24h is None or whole_month is None:
        return None
    score = table.score(found.uploaded, found.due) if table is not None else None
    return Expected(first, last, found, within_24h, whole_month, score)
