"""A person's word on a package: “I uploaded it”, or “I did not”, with name and time.

The word is kept as a receipt and with the package; it moves only a package that waits for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from adapters.ports.intake import Door, Media, Payload
from broker.states import PackageState
from broker.store.hand_uploads import find_package, may_be_told, record_absence, record_upload
from broker.store.rows import AnyRow
from mapping.errors import LabbrokerError
from mapping.moment import TAIPEI

# web收件序號: ROC date and six digits (printed on each check report).
_RECEIPT_NUMBER = re.compile(r"[0-9]{13}")
_LONGEST_NAME = 80


class NotAnUpload(LabbrokerError):
    code = "not-an-upload"
    en = ("{what}.", "See `labbroker uploaded --help`.")
    zh = ("{what}。", "請見 `labbroker uploaded --help`。")


class NoSuchPackage(LabbrokerError):
    code = "no-such-package"
    en = (
        "There is no package {name}.",
        "Its name is the file's: institution, date and serial, 20 characters.",
    )
    zh = ("查無上傳檔 {name}。", "名稱即檔名：醫事機構代碼、日期與流水號共 20 碼。")


class PackageNotWaiting(LabbrokerError):
    code = "package-not-waiting"
    en = (
        "Package {stem} does not wait for a person's word: it is {state}.",
        "Nothing was changed. If the portal shows otherwise, bring its check report with "
        "`labbroker verdict`.",
    )
    zh = (
        "上傳檔 {stem} 目前為 {state}，不需人工登錄。",
        "未做任何變更。若健保資訊網顯示不同，請以 `labbroker verdict` 匯入檢核報告。",
    )


@dataclass(frozen=True, slots=True)
class HandUpload:
    """``package`` is a stem or a number of ours. Without ``uploaded_at`` the time of the word
    counts."""

    package: str
    by: str
    uploaded: bool = True
    receipt_number: str = ""
    uploaded_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of :func:`read_hand_upload`."""
        at = self.uploaded_at.isoformat() if self.uploaded_at else ""
        return {
            "package": self.package,
            "by": self.by,
            "uploaded": self.uploaded,
            "receipt_number": self.receipt_number,
            "uploaded_at": at,
        }

    def payload(self, now: datetime) -> Payload:
        """The bytes of a receipt: the evidence of who said it and when."""
        raw = json.dumps({"hand_upload": self.to_json(), "at": now.isoformat()}, ensure_ascii=False)
        return Payload("", Door.COMMAND, Media.CORRECTION, raw.encode(), name="uploaded")


def read_hand_upload(plain: Mapping[str, Any]) -> HandUpload:
    """Checked values. Raises :class:`NotAnUpload`."""
    by = str(plain.get("by", "")).strip()
    if not by or len(by) > _LONGEST_NAME or not by.isprintable():
        raise NotAnUpload(what="--by NAME is needed: who says so")
    number = str(plain.get("receipt_number", "")).strip()
    if number and not _RECEIPT_NUMBER.fullmatch(number):
        raise NotAnUpload(what="--receipt-number has 13 digits")
    uploaded = plain.get("uploaded") is not False
    written = str(plain.get("uploaded_at", ""))
    try:
        at = datetime.fromisoformat(written) if written else None
    except ValueError:
        raise NotAnUpload(what="--at is written 2026-01-31T10:05") from None
    if at is not None and at.tzinfo is None:
        at = at.replace(tzinfo=TAIPEI)
    if not uploaded and (number or at):
        raise NotAnUpload(what="--not goes with neither --receipt-number nor --at")
    return HandUpload(str(plain.get("package", "")), by, uploaded, number, at)


def require_waiting(connection: Connection, word: HandUpload, now: datetime) -> AnyRow:
    """The package that is meant. Raises :class:`NoSuchPackage`, :class:`PackageNotWaiting`, or
    :class:`NotAnUpload` for a time or number that cannot be."""
    row = find_package(connection, word.package)
    if row is None:
        raise NoSuchPackage(name=word.package[:24] if word.package.isascii() else "?")
    if not may_be_told(row.state) or not (word.uploaded or row.state == PackageState.UNKNOWN.value):
        raise PackageNotWaiting(stem=row.stem, state=row.state)
    at = word.uploaded_at
    if at is not None and not row.sealed_at - timedelta(minutes=1) <= at <= now:
        raise NotAnUpload(what="--at lies before the file was made or in the future")
    return row


def apply_hand_upload(
    connection: Connection, word: HandUpload, receipt_id: int, now: datetime
) -> dict[str, Any]:
    """Move the package, with the word as evidence; raises as :func:`require_waiting`."""
    row = require_waiting(connection, word, now)
    evidence = {**word.to_json(), "said_at": now.isoformat(), "receipt_id": receipt_id}
    if word.uploaded:
        at = word.uploaded_at or now
        record_upload(connection, row.id, evidence, word.receipt_number, at, now)
    else:
        age = now.astimezone(TAIPEI).date() - row.upload_on
        fresh = timedelta(0) <= age <= timedelta(days=1)
        record_absence(connection, row.id, evidence, now, in_date=fresh)
    after = find_package(connection, row.stem)
    assert after is not None  # noqa: S101 - it was moved just now
    return {
        "package_id": row.id,
        "stem": row.stem,
        "state": after.state,
        "records": row.record_count,
    }
