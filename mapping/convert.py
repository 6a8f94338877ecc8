"""One lab order and the clinic's visit become one upload record (``hdata`` with its ``rdata``).

Every field says where its value came from. What nobody said is left out and the rules before
upload say so; what had to be assumed is marked ``assumed:`` and comes with a warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mapping.agreements import find_agreement
from mapping.codes import OrderResult
from mapping.convert_header import build_header
from mapping.convert_rows import build_rows
from mapping.finding import Finding
from mapping.profile import Agreement, SourceProfile
from mapping.record import Field, UploadRecord, replace_header
from mapping.report import LabReport
from mapping.rocdate import roc_datetime
from mapping.visit import Order, Visit

__all__ = ["Conversion", "convert", "find_agreement", "stamp_upload_time"]


@dataclass(frozen=True, slots=True)
class Conversion:
    """The record, and what was assumed or could not be written. Errors among the findings mean
    that the record must not go out as it is. ``record.rows`` is empty when no line is final."""

    record: UploadRecord
    findings: tuple[Finding, ...] = ()


def convert(
    report: LabReport,
    order_result: OrderResult,
    visit: Visit,
    visit_order: Order,
    agreement: Agreement,
    profile: SourceProfile,
    received_at: datetime,
) -> Conversion:
    """Build the record of ``order_result``, without h16 (it is stamped at sealing).

    ``received_at`` is when the report reached us (aware); it becomes r14 where the clinic uploads
    (實際收到報告日期時間, SPEC114 p. 14). Values keep every character of the lab's, apart from
    the full-width and Big5 rules of :mod:`mapping.big5`. Never raises on data.
    """
    findings: list[Finding] = []
    header = build_header(report, order_result, visit, visit_order, agreement, profile, findings)
    report_type = header["h1"].value
    rows = build_rows(report, order_result, report_type, agreement, profile, received_at, findings)
    return Conversion(UploadRecord(header, rows), tuple(findings))


def stamp_upload_time(record: UploadRecord, at: datetime) -> UploadRecord:
    """``record`` with h16 (上傳日期時間) set to ``at``, an aware datetime."""
    return replace_header(record, {"h16": Field(roc_datetime(at), "seal")})
