"""From the checks to the report: which orders stand, and the two texts that say so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from broker.sandbox.checks import Fault, check_document
from broker.sandbox.ledger import TakenPackage
from broker.sandbox.printing import (
    PrintedLayout,
    PrintedRecord,
    correct_records,
    error_records,
    print_report,
)
from broker.sandbox.reception import PackageName
from broker.sandbox.settings import SandboxSettings
from broker.sandbox.upload_document import UnreadableDocument, UploadedOrder, read_document


def judge(
    document: bytes,
    name: PackageName,
    settings: SandboxSettings,
    standing_upload: Callable[[tuple[str, ...]], str],
) -> tuple[list[tuple[UploadedOrder, bool]], str]:
    """Each order with whether it is accepted, and the outcome to keep, as JSON.

    ``standing_upload`` tells the upload time (h16) of an order's accepted version, or ``""``: a
    correction must be newer (SPEC114 table 7), else it is a repetition (25).
    """
    try:
        orders = read_document(document)
    except UnreadableDocument as reason:
        return [], json.dumps({"institution": name.institution, "note": str(reason)})
    faults = check_document(orders, name.institution, name.upload_day, settings)
    for order, found in zip(orders, faults, strict=True):
        standing = standing_upload(order.key)
        if standing and order.header.get("h16", "") <= standing and not found:
            found.append(Fault(0, "h15", "25"))
    errors = [
        _plain(record)
        for order, found in zip(orders, faults, strict=True)
        for record in error_records(order, found)
    ]
    correct = [
        _plain(record)
        for order, found in zip(orders, faults, strict=True)
        if not found
        for record in correct_records(order)
    ]
    judged = [(order, not found) for order, found in zip(orders, faults, strict=True)]
    return judged, json.dumps({"errors": errors, "correct": correct}, ensure_ascii=False)


def print_verdict(taken: TakenPackage, layout: PrintedLayout | None = None) -> dict[str, bytes]:
    """The reports of a package by entry name, in CP950: of errors, of correct records, or both.

    A file that could not be read at all gives one record with code 02 that holds nothing but the
    institution, and the reason as the last line.
    """
    outcome = json.loads(taken.outcome)
    upload_day = taken.name[10:17]
    base = f"{taken.institution}-{upload_day}-5-{taken.receipt_number}-7"
    if "note" in outcome:
        errors = [PrintedRecord({"h2": outcome["institution"]}, frozenset(("h1",)), "02")]
        correct = []
    else:
        errors = [_printed(plain) for plain in outcome["errors"]]
        correct = [_printed(plain) for plain in outcome["correct"]]
    reports = {}
    for records, is_correct, ending in (
        (errors, False, "assaychk.txt"),
        (correct, True, "correct.assaychk.txt"),
    ):
        if records:
            text = print_report(
                taken.institution,
                upload_day,
                taken.receipt_number,
                records,
                is_correct,
                layout,
                outcome.get("note", ""),
            )
            reports[f"{base}.{ending}"] = text.encode("cp950")
    return reports


def _plain(record: PrintedRecord) -> dict[str, Any]:
    return {
        "values": dict(record.values),
        "flagged": sorted(record.flagged),
        "code": record.error_code,
    }


def _printed(plain: dict[str, Any]) -> PrintedRecord:
    return PrintedRecord(plain["values"], frozenset(plain["flagged"]), plain["code"])
