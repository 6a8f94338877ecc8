"""NHI's overview of a period beside our own count of the same days."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from broker.rates.plain import gaps_to_json, overview_to_json, rate_to_json
from broker.store.rate_orders import counted_orders
from mapping.rates.counted_order import RateName
from mapping.rates.nhi_overview import Gap, NhiOverview, gaps
from mapping.rates.rate import Rate, rate_of


@dataclass(frozen=True, slots=True)
class ComparedOverview:
    """``theirs`` is NHI's figure, ``ours`` the IC-card rate of the same days as of NHI's data date;
    ``gaps`` tell of each day why they differ."""

    overview: NhiOverview
    theirs: Rate
    ours: Rate
    gaps: tuple[Gap, ...]


def compared(connection: Connection, overview: NhiOverview) -> ComparedOverview:
    """The overview beside what is known here now."""
    first, last = overview.from_on, overview.until_on
    institutions = frozenset({overview.institution_code})
    orders = counted_orders(connection, institutions, first, last)
    ours = rate_of(RateName.IC_CARD, orders, overview.data_on)
    theirs = overview.rate(first, last) or Rate(
        RateName.NHI, Decimal(0), Decimal(0), overview.data_on
    )
    return ComparedOverview(overview, theirs, ours, gaps(overview, orders, first, last))


def compared_to_json(found: ComparedOverview) -> dict[str, Any]:
    """Orders are named by visit and record, never by patient."""
    return {
        **overview_to_json(found.overview),
        "nhi": rate_to_json(found.theirs),
        "here": rate_to_json(found.ours),
        "gaps": gaps_to_json(found.gaps),
    }
