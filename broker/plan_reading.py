"""The plan of a store as it stands: counted by group, and looked into only where a group is not of
one worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from broker.lateness import AHEAD
from broker.opening_hours import OpeningHours
from broker.store.engine import open_snapshot
from broker.store.paces import Paces
from broker.store.unconfirmed import Unconfirmed, count_unconfirmed, split_at
from broker.upload_plan import Leaving, PlanEntry, plan_uploads


def read_plan(
    reader: Engine,
    hours: Mapping[str, OpeningHours],
    now: datetime,
    *,
    parts_ahead: timedelta = AHEAD,
    press: timedelta = timedelta(),
) -> list[PlanEntry]:
    """What goes when. ``hours`` are those of the institutions that can upload; ``parts_ahead`` and
    ``press`` as the scheduler has them."""
    with open_snapshot(reader) as connection:
        leaving = Leaving(now, hours, Paces(connection, now).of, parts_ahead, press)
        return plan_uploads(_by_worth(connection, leaving), leaving)


def _by_worth(connection: Connection, leaving: Leaving) -> Iterator[Unconfirmed]:
    for group in count_unconfirmed(connection):
        yield from split_at(connection, group, leaving.way_of(group).edges(leaving.now))
