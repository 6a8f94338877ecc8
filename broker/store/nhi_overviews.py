"""NHI's own figures, as its overviews of periods say them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Connection, delete, insert, select

from broker.store.nhi_overview_tables import nhi_overview
from broker.store.rows import AnyRow
from mapping.rates.nhi_overview import NhiOverview, OverviewDay


def store_overview(connection: Connection, overview: NhiOverview, now: datetime) -> None:
    """Keep an overview; one of the same institution, days and data date takes its place."""
    key = {
        "institution_code": overview.institution_code,
        "from_on": overview.from_on,
        "until_on": overview.until_on,
        "data_on": overview.data_on,
    }
    table = nhi_overview
    connection.execute(
        delete(table).where(*(table.c[name] == value for name, value in key.items()))
    )
    days = [
        [str(each) for each in (day.visit_on, day.due, day.uploaded, day.own, day.commissioned)]
        for day in overview.days
    ]
    connection.execute(insert(table).values(**key, taken_at=now, days=json.dumps(days)))


def newest_overview(
    connection: Connection, institutions: frozenset[str] | None, first: date, last: date
) -> NhiOverview | None:
    """The overview with the newest data of days between ``first`` and ``last``. None unless
    ``institutions`` is one institution: overviews of several are of several days."""
    if institutions is None or len(institutions) != 1:
        return None
    (institution,) = institutions
    table = nhi_overview
    row = connection.execute(
        select(table)
        .where(
            table.c.institution_code == institution,
            table.c.from_on <= last,
            table.c.until_on >= first,
        )
        .order_by(table.c.data_on.desc(), table.c.taken_at.desc())
        .limit(1)
    ).first()
    return None if row is None else _overview(row)


def overviews_of(
    connection: Connection, institutions: frozenset[str] | None, count: int
) -> Sequence[NhiOverview]:
    """What was imported for ``institutions`` (None: everywhere), the newest data first."""
    query = select(nhi_overview)
    if institutions is not None:
        query = query.where(nhi_overview.c.institution_code.in_(sorted(institutions)))
    query = query.order_by(nhi_overview.c.data_on.desc(), nhi_overview.c.taken_at.desc()).limit(
        count
    )
    return [_overview(row) for row in connection.execute(query)]


def _overview(row: AnyRow) -> NhiOverview:
    days = tuple(
        OverviewDay(date.fromisoformat(day), *map(Decimal, counts))
        for day, *counts in json.loads(row.days)
    )
    return NhiOverview(row.institution_code, row.from_on, row.until_on, row.data_on, days)
