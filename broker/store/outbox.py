"""The outbox: one row for each destination and word on a result, until it has arrived.

A row is written in the transaction that stores the report, so that nothing is lost between them
and nothing is there twice. Rows of one destination leave in the order of their ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, insert, select, true, union_all, update

from broker.delivery.agreement import (
    OPEN_STATES,
    Agreements,
    DeliveryKind,
    DeliveryState,
)
from broker.report_index import IndexedReport
from broker.store.delivery_tables import (
    IS_OPEN,
    IS_REFUSED,
    IS_UNREAD,
    IS_UNSETTLED,
    delivery_attempt,
    outgoing,
)
from broker.store.dialect import insert_new
from broker.store.reach import unindexed
from broker.store.rows import AnyRow
from broker.store.subscriptions import KIND as SUBSCRIPTION
from broker.store.subscriptions import destination_of, wants, working_subscriptions

_OPEN = [state.value for state in OPEN_STATES]
_LONGEST_ANSWER = 200
_LATELY = 10_000
"""So many of the last are looked through one by one in less time than a person notices."""
_NO = ("AR", "CR")
_NOT_NOW = ("http-408", "http-425", "http-429")


def enqueue(
    connection: Connection,
    receipt_id: int,
    reports: Iterable[IndexedReport],
    agreements: Agreements,
    now: datetime,
) -> int:
    """Queue the reports of a receipt for those who ordered them. Returns how many rows are new;
    the same receipt again adds none."""
    added = 0
    subscribed: dict[str, list[AnyRow]] = {}
    for each in reports:
        targets = [
            (agreement.name, agreement.kind.value)
            for agreement in agreements.of(
                each.clinic_code, each.lab_code, preliminary=each.is_preliminary
            )
        ]
        readers = agreements.readers_of(each.clinic_code)
        if readers:
            if each.clinic_code not in subscribed:
                subscribed[each.clinic_code] = working_subscriptions(connection, now, readers)
            targets += [
                (destination_of(row.id), SUBSCRIPTION)
                for row in subscribed[each.clinic_code]
                if wants(row, each)
            ]
        for destination, kind in targets:
            added += connection.execute(
                insert_new(connection, outgoing).on_conflict_do_nothing(),
                {
                    "destination": destination,
                    "kind": kind,
                    "clinic_code": each.clinic_code,
                    "lab_code": each.lab_code,
                    "receipt_id": receipt_id,
                    "number": each.number,
                    "state": DeliveryState.QUEUED.value,
                    "queued_at": now,
                },
            ).rowcount
    return added


def send_again(connection: Connection, outgoing_id: int, now: datetime, by: str = "") -> int | None:
    """A new row for what was sent, or refused, before; None where there is no such row, or it is
    on its way still. ``by`` asks for it: the refusal is settled with that."""
    row = connection.execute(select(outgoing).where(outgoing.c.id == outgoing_id)).one_or_none()
    if row is None or row.state in _OPEN:
        return None
    last = connection.execute(
        select(func.max(outgoing.c.again)).where(
            outgoing.c.destination == row.destination,
            outgoing.c.receipt_id == row.receipt_id,
            outgoing.c.number == row.number,
        )
    ).scalar_one()
    settle_refused(connection, outgoing_id, by, now)
    names = ("destination", "kind", "clinic_code", "lab_code", "receipt_id", "number")
    made = connection.execute(
        insert(outgoing).values(
            {name: getattr(row, name) for name in names}
            | {"again": last + 1, "state": DeliveryState.QUEUED.value, "queued_at": now}
        )
    )
    return int(made.inserted_primary_key[0])  # type: ignore[index]


def settle_refused(connection: Connection, outgoing_id: int, by: str, now: datetime) -> bool:
    """A person has seen to what was refused; it alarms nobody any more. False where it is not
    refused, or was settled before: who was first stays."""
    changed = connection.execute(
        update(outgoing)
        .where(outgoing.c.id == outgoing_id, IS_REFUSED)
        .values(settled_at=now, settled_by=by)
    )
    return changed.rowcount == 1


def first_open(
    connection: Connection, destination: str, without: Collection[int] = ()
) -> AnyRow | None:
    """The oldest row of a destination that has not arrived, ``without`` those of these ids."""
    statement = select(outgoing).where(outgoing.c.destination == destination, IS_OPEN)
    if without:
        statement = statement.where(outgoing.c.id.not_in(sorted(without)))
    return connection.execute(statement.order_by(outgoing.c.id).limit(1)).one_or_none()


def begin_attempt(
    connection: Connection, outgoing_id: int, name: str, body: bytes, now: datetime
) -> bool:
    """Note a try before its first byte leaves; the first one fixes what is sent. False where the
    row is not open any more."""
    row = connection.execute(
        select(outgoing.c.state, outgoing.c.clinic_code, outgoing.c.body).where(
            outgoing.c.id == outgoing_id
        )
    ).one_or_none()
    if row is None or row.state not in _OPEN:
        return False
    values: dict[str, object] = {
        "state": DeliveryState.SENT.value,
        "attempts": outgoing.c.attempts + 1,
        "sent_at": now,
    }
    if row.body is None:
        values |= {"body": body, "name": name, "sha256": hashlib.sha256(body).digest()}
    connection.execute(update(outgoing).where(outgoing.c.id == outgoing_id).values(values))
    connection.execute(
        insert(delivery_attempt).values(
            outgoing_id=outgoing_id, clinic_code=row.clinic_code, started_at=now
        )
    )
    return True


def end_attempt(
    connection: Connection,
    outgoing_id: int,
    state: DeliveryState,
    now: datetime,
    *,
    answer: str = "",
    error_code: str = "",
) -> None:
    """Note what came of the newest try. What has arrived, or was refused, stays so."""
    done = state in (DeliveryState.ACKNOWLEDGED, DeliveryState.REFUSED)
    changed = connection.execute(
        update(outgoing)
        .where(outgoing.c.id == outgoing_id, IS_OPEN)
        .values(
            state=state.value,
            answer=answer[:_LONGEST_ANSWER],
            error_code=error_code[:_LONGEST_ANSWER],
            **({"ended_at": now} if done else {}),
            **({"body": None} if state is DeliveryState.ACKNOWLEDGED else {}),
        )
    ).rowcount
    newest = (
        select(func.max(delivery_attempt.c.id))
        .where(delivery_attempt.c.outgoing_id == outgoing_id)
        .scalar_subquery()
    )
    if changed:
        connection.execute(
            update(delivery_attempt)
            .where(delivery_attempt.c.id == newest, delivery_attempt.c.ended_at.is_(None))
            .values(ended_at=now, outcome=state.value, error_code=error_code[:_LONGEST_ANSWER])
        )


def attempts_of(connection: Connection, outgoing_id: int) -> list[AnyRow]:
    """The tries of a row, oldest first."""
    return list(
        connection.execute(
            select(delivery_attempt)
            .where(delivery_attempt.c.outgoing_id == outgoing_id)
            .order_by(delivery_attempt.c.id)
        )
    )


def mark_read(
    connection: Connection,
    outgoing_id: int,
    institutions: frozenset[str] | None,
    by: str,
    now: datetime,
) -> AnyRow | None:
    """A person has read a result of the inbox. The row as it was, or None where there is none for
    these institutions; a second reading changes nothing."""
    found = inbox_row(connection, institutions, outgoing_id)
    if found is not None and found.state in _OPEN:
        end_attempt(connection, outgoing_id, DeliveryState.ACKNOWLEDGED, now, answer=by)
    return found


def inbox_of(
    connection: Connection,
    institutions: frozenset[str] | None,
    *,
    before: int | None = None,
    count: int = 50,
    unread: bool = False,
) -> list[AnyRow]:
    """What lies in the inboxes of these clinics (None: all), the newest first; ``before`` is the id
    of the last row that is known already. No patient's data; see :class:`broker.results`."""
    is_one = IS_UNREAD if unread else outgoing.c.kind == DeliveryKind.INBOX.value
    statement = select(outgoing).where(is_one)
    if institutions is not None:
        statement = statement.where(outgoing.c.clinic_code.in_(sorted(institutions - {""})))
    if before is not None:
        statement = statement.where(outgoing.c.id < before)
    return list(connection.execute(statement.order_by(outgoing.c.id.desc()).limit(count)))


def unread_count(connection: Connection, institutions: frozenset[str] | None) -> int:
    """How much of :func:`inbox_of` nobody has read."""
    # Without it SQLite may read through all that is to be sent.
    statement = (
        select(func.count())
        .select_from(outgoing)
        .with_hint(outgoing, "INDEXED BY outgoing_unread", "sqlite")
        .where(IS_UNREAD)
    )
    if institutions is not None:
        statement = statement.where(outgoing.c.clinic_code.in_(sorted(institutions - {""})))
    return connection.execute(statement).scalar_one()


def inbox_row(
    connection: Connection, institutions: frozenset[str] | None, outgoing_id: int
) -> AnyRow | None:
    """One result of an inbox; another's is none, and the laboratory that sent it has not got it:
    what it said that it had read, the clinic would not look for."""
    row = delivery_row(connection, institutions, outgoing_id)
    if row is None or row.kind != DeliveryKind.INBOX.value:
        return None
    return row if institutions is None or row.clinic_code in institutions else None


def delivery_row(
    connection: Connection, institutions: frozenset[str] | None, outgoing_id: int
) -> AnyRow | None:
    """One delivery of these clinics or laboratories; another's is none."""
    statement = select(outgoing).where(outgoing.c.id == outgoing_id)
    if institutions is not None:
        mine = sorted(institutions - {""})
        statement = statement.where(
            outgoing.c.clinic_code.in_(mine) | outgoing.c.lab_code.in_(mine)
        )
    return connection.execute(statement).one_or_none()


def deliveries_of(
    connection: Connection,
    institutions: frozenset[str] | None,
    *,
    receipt_id: int | None = None,
    state: DeliveryState | None = None,
    before: int | None = None,
    count: int = 50,
) -> list[AnyRow]:
    """Deliveries to these clinics, or of these laboratories (None: all), the newest first."""
    fits: list[ColumnElement[bool]] = []
    if institutions is not None:
        mine = sorted(institutions - {""})
        fits.append(
            unindexed(outgoing.c.clinic_code).in_(mine) | unindexed(outgoing.c.lab_code).in_(mine)
        )
    if state is not None:
        fits.append(unindexed(outgoing.c.state) == state.value)
    if before is not None:
        fits.append(outgoing.c.id < before)

    def newest(walk: ColumnElement[bool]) -> list[int]:
        wanted = select(outgoing.c.id).where(walk, *fits).order_by(outgoing.c.id.desc())
        return list(connection.execute(wanted.limit(count)).scalars())

    if receipt_id is not None:
        ids = newest(outgoing.c.receipt_id == receipt_id)
    elif state is not None and state is not DeliveryState.ACKNOWLEDGED:
        ids = newest(IS_UNSETTLED & (outgoing.c.state == state.value))
    elif institutions is None:
        ids = newest(true())
    else:
        top = connection.execute(select(func.max(outgoing.c.id))).scalar() or 0
        ids = newest(outgoing.c.id > min(top, (before or top)) - _LATELY)
        if len(ids) < count:
            ids = sorted({each for walk in _walks(mine) for each in newest(walk)}, reverse=True)
    wanted = select(outgoing).where(outgoing.c.id.in_(ids[:count]))
    return list(connection.execute(wanted.order_by(outgoing.c.id.desc())))


def _walks(mine: Sequence[str]) -> Iterator[ColumnElement[bool]]:
    """Each down one index from its newest end: the newest of all are among the newest of each."""
    for code in mine:
        for kind in DeliveryKind:
            yield (outgoing.c.clinic_code == code) & (outgoing.c.kind == kind.value)
        yield outgoing.c.lab_code == code


def delivery_counts(connection: Connection) -> dict[str, int]:
    """Deliveries by state, inboxes left out: those wait for a person who may not come."""
    rows = connection.execute(
        select(outgoing.c.state, func.count())
        .where(outgoing.c.kind != DeliveryKind.INBOX.value)
        .group_by(outgoing.c.state)
    )
    return {row[0]: row[1] for row in rows}


def oldest_undelivered_at(connection: Connection) -> datetime | None:
    """Since when the oldest one waits that should leave by itself."""
    found: datetime | None = connection.execute(
        select(func.min(outgoing.c.queued_at)).where(
            outgoing.c.kind != DeliveryKind.INBOX.value, IS_OPEN
        )
    ).scalar()
    return found


def refused_deliveries(connection: Connection) -> list[AnyRow]:
    """``destination``, ``clinic_code``, ``results`` and the oldest ``refused_at`` of what the other
    side has said no to, or could not be written, and nobody has seen to. With it counts what is
    tried again though the last answer was a no: ``AR``, ``CR``, an HTTP status of 400 to 499 but
    408, 425 and 429."""
    said_no = (outgoing.c.state == DeliveryState.FAILED.value) & (
        outgoing.c.error_code.in_(_NO)
        | (outgoing.c.error_code.startswith("http-4") & outgoing.c.error_code.not_in(_NOT_NOW))
    )
    names = (outgoing.c.destination, outgoing.c.clinic_code)
    # Two statements, each by its own index.
    parts = [
        select(*names, at).where(condition)
        for condition, at in (
            (IS_REFUSED, outgoing.c.ended_at.label("at")),
            (IS_UNSETTLED & said_no, outgoing.c.sent_at.label("at")),
        )
    ]
    each = union_all(*parts).subquery()
    count, first = func.count().label("results"), func.min(each.c.at).label("refused_at")
    return list(
        connection.execute(
            select(each.c.destination, each.c.clinic_code, count, first).group_by(
                each.c.destination, each.c.clinic_code
            )
        )
    )


def stuck_deliveries(connection: Connection, before: datetime) -> list[AnyRow]:
    """``destination``, ``clinic_code``, ``results`` and the oldest ``queued_at`` of what has not
    arrived though it was queued before then; inboxes wait for people and are not counted."""
    return list(
        connection.execute(
            select(
                outgoing.c.destination,
                outgoing.c.clinic_code,
                func.count().label("results"),
                func.min(outgoing.c.queued_at).label("queued_at"),
            )
            .where(
                IS_OPEN,
                outgoing.c.kind != DeliveryKind.INBOX.value,
                outgoing.c.queued_at < before,
            )
            .group_by(outgoing.c.destination, outgoing.c.clinic_code)
        )
    )
