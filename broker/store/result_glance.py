"""What a list shows of a report that is told of by its receipt and number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select, true

from broker.store.reach import record_in_reach, unindexed
from broker.store.report_tables import lab_report
from broker.store.schema import record

Place = tuple[int, int]
"""Id of the receipt, number of the report in it."""


@dataclass(frozen=True, slots=True)
class Glance:
    """``records`` are ``(id, order code)`` of what is uploaded of the report."""

    national_id: str = ""
    chart_number: str = ""
    records: tuple[tuple[int, str], ...] = ()


def glances_of(
    connection: Connection, institutions: frozenset[str] | None, places: Iterable[Place]
) -> dict[Place, Glance]:
    """Of each report that these institutions (None: everywhere) may see."""
    wanted = sorted(set(places))
    if not wanted:
        return {}
    codes = sorted((institutions or frozenset()) - {""})
    reports = connection.execute(
        select(lab_report).where(
            # Not by pairs: SQLite would read all reports.
            lab_report.c.receipt_id.in_({receipt_id for receipt_id, _ in wanted}),
            true()
            if institutions is None
            else or_(
                *(
                    unindexed(column).in_(codes)
                    for column in (
                        lab_report.c.clinic_code,
                        lab_report.c.lab_code,
                        lab_report.c.source_id,
                    )
                )
            ),
        )
    ).all()
    found: dict[Place, list[tuple[int, str]]] = {place: [] for place in wanted}
    for row in connection.execute(
        select(record.c.id, record.c.receipt_id, record.c.slot, record.c.order_code)
        .where(
            record.c.receipt_id.in_({receipt_id for receipt_id, _ in wanted}),
            record_in_reach(institutions),
        )
        .order_by(record.c.id)
    ):
        number, _, _ = row.slot.partition("/")
        if number.isdigit() and (row.receipt_id, int(number)) in found:
            found[row.receipt_id, int(number)].append((row.id, row.order_code))
    people = {(row.receipt_id, row.number): (row.national_id, row.chart_number) for row in reports}
    return {place: Glance(*people.get(place, ("", "")), tuple(found[place])) for place in wanted}
