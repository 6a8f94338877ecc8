"""Subscriptions of clinics' systems. Every query for one of them names its source first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from adapters.ports.subscriptions import SubscriptionStatus
from broker.delivery.agreement import OPEN_STATES, DeliveryState
from broker.report_index import IndexedReport
from broker.store.delivery_tables import outgoing, subscription
from broker.store.rows import AnyRow

KIND = "fhir-subscription"
"""Of deliveries for a subscription."""
OFF = "subscription-off"
"""Why what was queued for one that has ended is not sent."""
_MOST_FAILURES = 3
_PREFIX = "subscription-"
_LONGEST_ERROR = 200


def destination_of(subscription_id: int) -> str:
    """What its deliveries name as destination."""
    return f"{_PREFIX}{subscription_id}"


def subscription_count(connection: Connection, source_id: str) -> int:
    """How many a source has."""
    return connection.execute(select(func.count()).where(_own(source_id), _is_there())).scalar_one()


def add_subscription(
    connection: Connection, source_id: str, values: Mapping[str, Any], now: datetime
) -> AnyRow:
    """A new one; ``values`` are the columns that are the asker's."""
    made = connection.execute(
        insert(subscription).values(
            **values, source_id=source_id, version=1, made_at=now, updated_at=now
        )
    )
    found = made.inserted_primary_key
    assert found is not None  # noqa: S101 - an insert of one row has a key
    return _by_id(connection, int(found[0]))


def replace_subscription(
    connection: Connection,
    source_id: str,
    subscription_id: int,
    values: Mapping[str, Any],
    version: int | None,
    now: datetime,
) -> AnyRow | None:
    """The next version; None where there is none, or another than ``version`` stands."""
    row = find_subscription(connection, source_id, subscription_id)
    if row is None or version not in (None, row.version):
        return None
    connection.execute(
        update(subscription)
        .where(subscription.c.id == subscription_id)
        .values(**values, version=row.version + 1, updated_at=now, failures=0, error="")
    )
    if values["status"] == SubscriptionStatus.OFF:
        _drop_queued(connection, subscription_id, source_id, now)
    elif (row.payload, row.type_name) != (values["payload"], values["type_name"]):
        # What was made for a try before is in the form of the version before.
        connection.execute(update(outgoing).where(_queued(subscription_id)).values(body=None))
    return _by_id(connection, subscription_id)


def remove_subscription(
    connection: Connection, source_id: str, subscription_id: int, now: datetime
) -> bool:
    """Ended for good by its owner, its secrets and patient forgotten; what is queued is not
    sent."""
    row = find_subscription(connection, source_id, subscription_id)
    if row is None:
        return False
    connection.execute(
        update(subscription)
        .where(subscription.c.id == subscription_id)
        .values(
            status=SubscriptionStatus.OFF,
            criteria=row.type_name,
            national_id="",
            chart_number="",
            headers=None,
            header_names="",
            removed_at=now,
        )
    )
    _drop_queued(connection, subscription_id, source_id, now)
    return True


def find_subscription(
    connection: Connection, source_id: str, subscription_id: int
) -> AnyRow | None:
    """One of the source; another's is none."""
    return connection.execute(
        select(subscription).where(
            _own(source_id), _is_there(), subscription.c.id == subscription_id
        )
    ).one_or_none()


def subscriptions_of(connection: Connection, source_id: str) -> list[AnyRow]:
    """All of a source, the oldest first."""
    return list(
        connection.execute(
            select(subscription).where(_own(source_id), _is_there()).order_by(subscription.c.id)
        )
    )


def working_subscriptions(
    connection: Connection, now: datetime, sources: Collection[str] | None = None
) -> list[AnyRow]:
    """Those for which something is to be sent: not off, not at their end."""
    statement = select(subscription).where(
        _is_there(),
        subscription.c.status != SubscriptionStatus.OFF.value,
        or_(subscription.c.end_at.is_(None), subscription.c.end_at > now),
    )
    if sources is not None:
        statement = statement.where(subscription.c.source_id.in_(sorted(sources)))
    return list(connection.execute(statement.order_by(subscription.c.id)))


def wants(row: AnyRow, report: IndexedReport) -> bool:
    """Whether a report meets the criteria; whose it may be is judged apart."""
    return (not row.national_id or row.national_id == report.national_id) and (
        not row.chart_number or row.chart_number == report.chart_number
    )


def note_try(connection: Connection, subscription_id: int, fault: str, now: datetime) -> None:
    """What came of a try: ``fault`` is ``""`` where it was taken. One that was ended stays so."""
    row = _by_id(connection, subscription_id)
    failures = row.failures + 1 if fault else 0
    status = row.status
    if not fault:
        status = SubscriptionStatus.ACTIVE.value
    elif failures >= _MOST_FAILURES:
        status = SubscriptionStatus.ERROR.value
    connection.execute(
        update(subscription)
        .where(
            subscription.c.id == subscription_id,
            subscription.c.status != SubscriptionStatus.OFF.value,
        )
        .values(
            status=status,
            failures=failures,
            error=fault[:_LONGEST_ERROR],
            **({"updated_at": now} if status != row.status else {}),
        )
    )


def end_subscription(
    connection: Connection, subscription_id: int, reason: str, now: datetime
) -> None:
    """The other side, or its end, has ended it. What is queued is refused, for a person."""
    connection.execute(
        update(subscription)
        .where(subscription.c.id == subscription_id)
        .values(status=SubscriptionStatus.OFF, error=reason, updated_at=now)
    )
    _refuse_queued(connection, subscription_id, now)


def _drop_queued(connection: Connection, subscription_id: int, by: str, now: datetime) -> None:
    """Its owner wants it no more: no alarm tells of what is not sent."""
    _refuse_queued(connection, subscription_id, now, settled_at=now, settled_by=by)


def _refuse_queued(
    connection: Connection, subscription_id: int, now: datetime, **more: object
) -> None:
    connection.execute(
        update(outgoing)
        .where(_queued(subscription_id))
        .values(state=DeliveryState.REFUSED.value, error_code=OFF, ended_at=now, **more)
    )


def _queued(subscription_id: int) -> ColumnElement[bool]:
    return and_(
        outgoing.c.destination == destination_of(subscription_id),
        outgoing.c.kind == KIND,
        outgoing.c.state.in_([state.value for state in OPEN_STATES]),
    )


def _by_id(connection: Connection, subscription_id: int) -> AnyRow:
    return connection.execute(
        select(subscription).where(subscription.c.id == subscription_id)
    ).one()


def _own(source_id: str) -> ColumnElement[bool]:
    return subscription.c.source_id == source_id


def _is_there() -> ColumnElement[bool]:
    return subscription.c.removed_at.is_(None)
