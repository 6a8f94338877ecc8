"""Check reports that a person brings: opened with the passwords at hand, then applied.

A report moves records of whole packages, so only sources that are marked for it may bring one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import TypeAlias

from sqlalchemy import Connection

from adapters.ports.intake import Door
from broker.finding_json import plain_findings
from broker.reading_room import Refusal
from broker.states import ReceiptState
from broker.store.check_reports import ReportOutcome, apply_check_report
from broker.store.receipts import finish_receipt
from mapping.errors import LabbrokerError
from mapping.parsed import Content
from mapping.verdict import CheckReport

OpenVerdict: TypeAlias = Callable[[bytes, str, str], tuple[CheckReport, ...]]
"""``(raw, password, file name)`` → reports. Raises ``LabbrokerError``; its ``code`` is
``verdict-password-wrong`` where another password may open the file."""


class CheckReportNotExpected(LabbrokerError):
    code = "check-report-not-expected"
    en = (
        "Source {source} sent a check report and is not marked to bring any.",
        "If it may, set check_reports = true at the source and replay the receipt.",
    )
    zh = (
        "來源 {source} 送來檢核報告，但未設定為可提供檢核報告。",
        "若允許，請於該來源設定 check_reports = true 後重新處理。",
    )


class ReportFitsNoPackage(LabbrokerError):
    code = "report-fits-no-package"
    en = (
        "The check report fits no package that is known here; it is kept.",
        "Check its institution and upload day; if somebody uploaded by another program, nothing is "
        "to be done. Replay the receipt when the package is known.",
    )
    zh = (
        "檢核報告不屬於本系統的任何上傳檔；報告已保存。",
        "請核對機構代碼與上傳日期；若由其他程式上傳則無須處理，上傳檔可辨識後再重新處理此收件。",
    )


class CheckReports:
    """``sources`` may bring reports; ``passwords`` are read anew for each file; ``poll`` is how
    long after a report that leaves records untold the gateway is asked again."""

    def __init__(
        self,
        open_verdict: OpenVerdict,
        sources: Collection[str],
        passwords: Callable[[], Iterable[str]],
        poll: timedelta,
    ) -> None:
        self._open = open_verdict
        self._sources = sources
        self._passwords = passwords
        self._poll = poll

    def read(self, source_id: str, door: str, raw: bytes, name: str) -> tuple[CheckReport, ...]:
        """The reports of one receipt. Raises ``LabbrokerError``."""
        if door != Door.COMMAND.value and source_id not in self._sources:
            raise CheckReportNotExpected(source=source_id)
        refused: LabbrokerError | None = None
        for password in ("", *self._passwords()):
            try:
                return self._open(raw, password, name)
            except LabbrokerError as error:
                if error.code != "verdict-password-wrong":
                    raise
                refused = error
        assert refused is not None  # noqa: S101 - the empty password is always tried
        raise refused

    def store(
        self,
        connection: Connection,
        receipt_id: int,
        raw: bytes,
        reports: tuple[CheckReport, ...],
        now: datetime,
    ) -> ReportOutcome:
        """Apply the reports and finish their receipt: parsed, or quarantined with the reason
        where no package fits."""
        outcome = apply_check_report(connection, raw, reports, now, self._poll)
        reason = None if outcome.fits else ReportFitsNoPackage()
        finish_receipt(
            connection,
            receipt_id,
            ReceiptState.PARSED if outcome.fits else ReceiptState.QUARANTINED,
            content=Content.CHECK_REPORT.value,
            error_code=reason.code if reason else "",
            error_text=str(reason) if reason else "",
            error_texts=Refusal.of(reason).texts if reason else "",
            findings=plain_findings(outcome.findings),
        )
        return outcome
