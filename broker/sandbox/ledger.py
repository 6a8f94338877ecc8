"""The gateway's true book: each package, each order in it, and how often it came."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from broker.sandbox.calendar import roc_day, taipei_day
from broker.sandbox.upload_document import UploadedOrder

_SCHEMA = """
CREATE TABLE IF NOT EXISTS package (
    receipt_number TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    institution TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    confirmed_at TEXT NOT NULL,
    visible_at TEXT NOT NULL,
    due_at TEXT NOT NULL,
    outcome TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS package_name ON package (name);
CREATE TABLE IF NOT EXISTS upload (
    receipt_number TEXT NOT NULL REFERENCES package,
    position INTEGER NOT NULL,
    order_key TEXT NOT NULL,
    content TEXT NOT NULL,
    uploaded_at TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    PRIMARY KEY (receipt_number, position)
);
CREATE INDEX IF NOT EXISTS upload_order_key ON upload (order_key);
CREATE TABLE IF NOT EXISTS standing (
    order_key TEXT PRIMARY KEY,
    uploaded_at TEXT NOT NULL,
    receipt_number TEXT NOT NULL,
    header TEXT NOT NULL,
    rows TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS refusal (
    name TEXT NOT NULL, code TEXT NOT NULL, sha256 TEXT NOT NULL, refused_at TEXT NOT NULL
);
"""
_BY_NAME = "SELECT * FROM package WHERE name = ? ORDER BY receipt_number DESC LIMIT 1"
_BY_RECEIPT = "SELECT * FROM package WHERE receipt_number = ?"


@dataclass(frozen=True, slots=True)
class TakenPackage:
    """One row of ``package``. ``outcome`` is the content of the report, as JSON."""

    receipt_number: str
    name: str
    institution: str
    sha256: str
    confirmed_at: datetime
    visible_at: datetime
    due_at: datetime
    outcome: str


class Ledger:
    """One SQLite file in ``folder``; survives a restart. Safe to call from several threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._base = sqlite3.connect(
            folder / "gateway.sqlite3", check_same_thread=False, isolation_level=None
        )
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=NORMAL")
        self._base.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file; the ledger is not used after that."""
        with self._lock:
            self._base.close()

    def find_name(self, name: str) -> TakenPackage | None:
        """The newest package taken under ``name``."""
        return self._find(_BY_NAME, name)

    def find_receipt(self, receipt_number: str) -> TakenPackage | None:
        """The package with this receipt number."""
        return self._find(_BY_RECEIPT, receipt_number)

    def take(
        self,
        name: str,
        institution: str,
        sha256: str,
        orders: Sequence[tuple[UploadedOrder, bool]],
        outcome: str,
        confirmed_at: datetime,
        lag: timedelta,
        delay: timedelta,
        again: bool = False,
    ) -> TakenPackage | None:
        """Write package and orders in one transaction; None when ``name`` was taken before.

        Each order comes with whether the checks accept it. ``again`` takes a name twice.
        """
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                taken = self._take(
                    name, institution, sha256, orders, outcome, confirmed_at, lag, delay, again
                )
                self._base.execute("COMMIT")
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            return taken

    def standing_upload(self, key: tuple[str, ...]) -> str:
        """The upload time (h16) of the version that stands for ``key``, or ``""``."""
        with self._lock:
            row = self._base.execute(
                "SELECT uploaded_at FROM standing WHERE order_key = ?", (_key_text(key),)
            ).fetchone()
        return str(row[0]) if row else ""

    def note_refusal(self, name: str, code: str, sha256: str, at: datetime) -> None:
        """Remember a refusal, for the operator's view."""
        with self._lock:
            self._base.execute(
                "INSERT INTO refusal VALUES (?, ?, ?, ?)", (name, code, sha256, at.isoformat())
            )

    def summary(self) -> dict[str, Any]:
        """What arrived, as plain data; ``docs/reference/sandbox.md`` explains each entry."""
        with self._lock:
            packages = self._base.execute(
                "SELECT receipt_number, name, sha256, confirmed_at FROM package ORDER BY 1"
            ).fetchall()
            uploads = self._base.execute(
                "SELECT order_key, count(*), count(DISTINCT content), sum(accepted)"
                " FROM upload GROUP BY order_key ORDER BY order_key"
            ).fetchall()
            standing = self._base.execute(
                "SELECT order_key, uploaded_at, receipt_number, header, rows FROM standing"
                " ORDER BY order_key"
            ).fetchall()
            refusals = self._base.execute(
                "SELECT name, code FROM refusal ORDER BY rowid"
            ).fetchall()
        orders = [
            {
                "key": json.loads(key),
                "uploads": count,
                "duplicates": count - contents,
                "accepted_uploads": accepted,
            }
            for key, count, contents, accepted in uploads
        ]
        return {
            "packages": [
                {"receipt_number": number, "name": name, "sha256": sha256, "confirmed_at": at}
                for number, name, sha256, at in packages
            ],
            "orders": orders,
            "duplicates": sum(order["duplicates"] for order in orders),
            "suspected": _suspected([order["key"] for order in orders]),
            "accepted": [
                {
                    "key": json.loads(key),
                    "h16": at,
                    "receipt_number": number,
                    "header": json.loads(header),
                    "rows": json.loads(rows),
                }
                for key, at, number, header, rows in standing
            ],
            "refusals": [{"name": name, "code": code} for name, code in refusals],
        }

    def _find(self, question: str, value: str) -> TakenPackage | None:
        with self._lock:
            row = self._base.execute(question, (value,)).fetchone()
        if row is None:
            return None
        number, name, institution, sha256, confirmed, visible, due, outcome = row
        return TakenPackage(
            number,
            name,
            institution,
            sha256,
            datetime.fromisoformat(confirmed),
            datetime.fromisoformat(visible),
            datetime.fromisoformat(due),
            outcome,
        )

    def _take(
        self,
        name: str,
        institution: str,
        sha256: str,
        orders: Sequence[tuple[UploadedOrder, bool]],
        outcome: str,
        confirmed_at: datetime,
        lag: timedelta,
        delay: timedelta,
        again: bool,
    ) -> TakenPackage | None:
        known = self._base.execute("SELECT 1 FROM package WHERE name = ?", (name,)).fetchone()
        if known and not again:
            return None
        confirmed_at = confirmed_at.astimezone(UTC)
        day = roc_day(taipei_day(confirmed_at))
        (last,) = self._base.execute(
            "SELECT max(receipt_number) FROM package WHERE receipt_number LIKE ?", (day + "%",)
        ).fetchone()
        number = f"{day}{(int(last[7:]) if last else 0) + 1:06d}"
        visible_at, due_at = confirmed_at + lag, confirmed_at + delay
        times = (confirmed_at.isoformat(), visible_at.isoformat(), due_at.isoformat())
        self._base.execute(
            "INSERT INTO package VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, name, institution, sha256, *times, outcome),
        )
        for position, (order, accepted) in enumerate(orders, start=1):
            self._book(number, position, order, accepted)
        return TakenPackage(
            number, name, institution, sha256, confirmed_at, visible_at, due_at, outcome
        )

    def _book(self, number: str, position: int, order: UploadedOrder, accepted: bool) -> None:
        key, uploaded_at = _key_text(order.key), order.header.get("h16", "")
        content = hashlib.sha256(repr(order.content).encode("utf-8")).hexdigest()
        self._base.execute(
            "INSERT INTO upload VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, position, key, content, uploaded_at, accepted, len(order.rows)),
        )
        if accepted:
            self._base.execute(
                "INSERT INTO standing VALUES (?, ?, ?, ?, ?) ON CONFLICT (order_key) DO UPDATE SET"
                " uploaded_at = excluded.uploaded_at, receipt_number = excluded.receipt_number,"
                " header = excluded.header, rows = excluded.rows"
                " WHERE excluded.uploaded_at > standing.uploaded_at",
                (key, uploaded_at, number, _text(order.header), _text(order.rows)),
            )


def _suspected(keys: list[list[str]]) -> list[list[list[str]]]:
    """Groups of different keys that look like one order: same person, code and specimen day."""
    groups: dict[tuple[str, str, str], list[list[str]]] = {}
    for key in keys:
        groups.setdefault((key[8], key[10], key[11][:7]), []).append(key)
    return [group for group in groups.values() if len(group) > 1]


def _key_text(key: tuple[str, ...]) -> str:
    return _text(key)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
