"""One row, or a few, of an institution in every table whose rows belong to institutions."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Table, insert

from broker.store.access_tables import audit_event
from broker.store.code_tables import waiting_code
from broker.store.delivery_tables import (
    alarm_notice,
    critical_result,
    delivery_attempt,
    outgoing,
)
from broker.store.nhi_overview_tables import nhi_overview
from broker.store.node_tables import package_file
from broker.store.rate_tables import rate_order
from broker.store.report_tables import lab_report
from broker.store.schema import (
    alarm,
    attempt,
    choice,
    file_serial,
    package,
    package_record,
    receipt,
    record,
    visit,
    visit_order,
)
from broker.store.unuploaded_tables import unuploaded_list, unuploaded_row

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)


def add_rows(
    connection: Connection, number: int, clinic: str, uploader: str, lab: str, source: str
) -> None:
    """All rows of one clinic; every id is ``number``. Its results come from ``source``, as words
    of ``lab``, and ``uploader`` sends them to NHI."""
    parties = {"clinic_code": clinic, "lab_code": lab}
    here = {"receipt_id": number}
    values: dict[Table, dict[str, Any]] = {
        receipt: {
            "source_id": source, "door": "mllp", "media": "hl7v2", "control_id": "1", "name": "",
            "sha256": bytes(32), "identity": number.to_bytes(16, "big"), "received_at": NOW,
            "state": "parsed", "acknowledgement": "delivered", "raw": clinic.encode(),
        },
        lab_report: {
            **here, **parties, "number": 1, "source_id": source, "national_id": "",
            "chart_number": "", "identity": b"", "stored_at": NOW,
        },
        visit: {
            **here, "institution_code": clinic, "national_id": "", "card_at": NOW,
            "visit_type": "01", "visit_serial": "0001", "visit_on": TODAY, "birth_on": TODAY,
            "body": "{}",
        },
        visit_order: {
            "visit_id": number, "order_code": "08011C", "placer_order_number": "", "wanted": True,
            "institution_code": clinic,
        },
        file_serial: {"institution_code": uploader, "upload_on": TODAY, "last_serial": 1},
        package: {
            "stem": str(number), "institution_code": uploader, "upload_on": TODAY,
            "state": "sealed", "record_count": 1, "sha256": "", "sealed_at": NOW,
        },
        record: {
            **here, **parties, "slot": "1", "place": "", "order_identity": str(number),
            "version": 1, "state": "held", "held_reason": "invalid", "uploader_code": uploader,
            "visit_id": number, "package_id": number,
        },
        choice: {
            **here, "of_receipt_id": number, "slot": "1", "order_identity": str(number),
            "collected_on": "", "visit_id": number, "institution_code": clinic,
        },
        package_record: {
            "package_id": number, "record_id": number, "position": 1, "active": True,
            "institution_code": uploader, "clinic_code": clinic,
        },
        package_file: {"package_id": number, "institution_code": uploader, "raw": b""},
        attempt: {
            "package_id": number, "institution_code": uploader, "kind": "send", "started_at": NOW,
        },
        alarm: {
            "kind": "missed", "institution_code": clinic, "reason": "", "records": 1,
            "opened_at": NOW, "changed_at": NOW,
        },
        alarm_notice: {
            "alarm_id": number, "institution_code": clinic, "target": "", "event": "opened",
            "told_at": NOW,
        },
        waiting_code: {**here, "place": "", "source_id": source, "code": "x", "name": ""},
        outgoing: {
            **here, **parties, "destination": clinic, "kind": "inbox", "number": 1,
            "state": "queued", "queued_at": NOW,
        },
        delivery_attempt: {"outgoing_id": number, "clinic_code": clinic, "started_at": NOW},
        critical_result: {
            **here, **parties, "number": 1, "line": 1, "said": b"", "source_id": source,
            "reason": "flag", "found_at": NOW,
        },
        rate_order: {
            "institution_code": clinic, "visit_on": TODAY, "visit_id": number,
            "order_code": "08011C", "paired_code": "08011C", "due": 1000, "opted_out": 0,
            "provider_id": "", "arrived_at": NOW,
        },
        unuploaded_list: {"institution_code": clinic, "sha256": bytes(32), "taken_at": NOW},
        unuploaded_row: {
            "list_id": number, "institution_code": clinic, "position": 1, "national_id": "",
            "card_on": TODAY, "card_at": "",
            "visit_type": "01", "visit_serial": "0001", "order_code": "08011C", "quantity": "1",
            "card_mark": "", "incomplete": "",
        },
        nhi_overview: {
            "institution_code": clinic, "from_on": TODAY, "until_on": TODAY, "data_on": TODAY,
            "taken_at": NOW, "days": "[]",
        },
        audit_event: {
            "number": number, "at": NOW, "person": "x", "action": "show", "kind": "record",
            "subject": str(number), "institution": "", "detail": "{}", "previous": b"",
            "digest": b"",
        },
    }  # fmt: skip
    for table, row in values.items():
        if "id" in table.c:
            row["id"] = number
        connection.execute(insert(table).values(row))
