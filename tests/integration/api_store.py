"""What the tests of the API put into a store, bring to it and read from its trail."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from sqlalchemy import select, update

from broker.demo.people import CLINIC
from broker.sandbox.printing import PrintedRecord, print_report
from broker.store.access_tables import audit_event
from broker.store.schema import (
    package,
    package_record,
    record,
    visit,
)
from broker.store.visit_json import visit_from_text, visit_to_text
from broker.store.visit_orders import write_orders
from mapping.convert import stamp_upload_time
from mapping.record import record_from_json
from mapping.rocdate import roc_date
from tests.console.running_console import RunningConsole
from tests.integration.test_api import ask


def order_what_nobody_answers(connection: Any) -> None:
    """Three more orders for each visit, each told twice."""
    for number, body in connection.execute(select(visit.c.id, visit.c.body)).all():
        known = visit_from_text(body)
        more = tuple(
            replace(known.orders[0], order_code=code, placer_order_number=placer)
            for code in ("09021C", "09022C", "09023C")
            for placer in ("", "twice")
        )
        item = replace(known, orders=known.orders + more)
        write_orders(connection, number, item, new=False)
        connection.execute(
            update(visit).where(visit.c.id == number).values(body=visit_to_text(item))
        )


def actions(console: RunningConsole, kind: str, subject: str) -> list[tuple[str, str]]:
    """Who did what, of one subject."""

    def look(connection: Any) -> list[tuple[str, str]]:
        rows = connection.execute(
            select(audit_event.c.person, audit_event.c.action)
            .where(audit_event.c.kind == kind, audit_event.c.subject == subject)
            .order_by(audit_event.c.number)
        )
        return [tuple(row) for row in rows]

    return console.write(look)


def a_report(console: RunningConsole, institution: str = CLINIC) -> tuple[int, bytes]:
    """A package that NHI has checked, and a report that says of its first record what it said."""

    def look(connection: Any) -> tuple[Any, dict[str, str]]:
        row = connection.execute(
            select(package).where(package.c.state == "checked").order_by(package.c.id)
        ).first()
        body = connection.execute(
            select(record.c.body)
            .join(package_record, package_record.c.record_id == record.c.id)
            .where(package_record.c.package_id == row.id, record.c.state == "accepted")
        ).scalar()
        said = stamp_upload_time(record_from_json(json.loads(body)), row.sealed_at)
        return row, {tag: each.value for tag, each in said.header.items()}

    row, values = console.write(look)
    printed = PrintedRecord({**values, "h2": institution})
    upload_on = roc_date(row.upload_on)
    text = print_report(institution, upload_on, row.receipt_number, (printed,), True)
    return row.id, text.encode("cp950")


def bring(console: RunningConsole, token: str, raw: bytes) -> tuple[int, Any, str]:
    return ask(
        console,
        token,
        "/check-reports?name=report.txt",
        raw=raw,
        media="application/octet-stream",
    )
