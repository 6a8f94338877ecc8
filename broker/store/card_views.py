"""Which node sees which card: agents may be connected to some of the nodes only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Connection, delete, insert, select, type_coerce

from broker.store.dialect import database_now
from broker.store.node_tables import card_view, node

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class CardView:
    """What one node knows of an institution's card. ``reason`` says why it cannot sign;
    ``valid_until`` is the end of the last certificate that was seen."""

    institution_code: str
    is_ready: bool
    has_agent: bool
    reason: str = ""
    valid_until: datetime | None = None


def tell_card_views(connection: Connection, holder: str, views: Sequence[CardView]) -> None:
    """They take the place of what this node told before; what nodes told that are no more goes."""
    known = select(node.c.holder)
    connection.execute(
        delete(card_view).where(
            (card_view.c.holder == holder) | card_view.c.holder.not_in(known.scalar_subquery())
        )
    )
    if views:
        rows = [
            {
                "institution_code": each.institution_code,
                "holder": holder,
                "is_ready": each.is_ready,
                "has_agent": each.has_agent,
                "reason": each.reason,
                "valid_until": each.valid_until,
            }
            for each in views
        ]
        connection.execute(insert(card_view), rows)


def living_card_views(
    connection: Connection, silent: timedelta
) -> Mapping[str, Sequence[CardView]]:
    """By institution, what those nodes tell that were seen within ``silent``."""
    alive = type_coerce(node.c.seen_at, BigInteger) > (
        type_coerce(database_now(), BigInteger) - silent // _MICROSECOND
    )
    found: dict[str, list[CardView]] = defaultdict(list)
    for row in connection.execute(
        select(card_view).join(node, node.c.holder == card_view.c.holder).where(alive)
    ):
        view = CardView(
            row.institution_code, row.is_ready, row.has_agent, row.reason, row.valid_until
        )
        found[row.institution_code].append(view)
    return found
