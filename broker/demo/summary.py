"""What became of it, in a table that a clinic would understand and as one JSON object."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine

from broker.demo.words import held_word
from broker.finding_json import findings_from_json
from broker.rates.standing import percent_of, plain_number, standings
from broker.states import RecordState
from broker.store.overview import (
    living_records,
    quarantined_receipts,
    receipt_counts,
    record_counts,
)
from broker.store.rows import AnyRow
from mapping.catalogue.tables import order_code
from mapping.errors import Language
from mapping.finding import Finding, Severity, finding_texts
from mapping.moment import TAIPEI

_LOOKS_BACK = timedelta(days=92)
_STATES = {
    "accepted": ("accepted by NHI", "檢核正確"),
    "rejected": ("rejected by NHI", "檢核錯誤"),
    "held": ("held", "暫停"),
    "checking": ("being checked", "檢核中"),
    "ready": ("ready", "待上傳"),
    "sealed": ("packed", "已封裝"),
    "inflight": ("being sent", "傳送中"),
    "unknown": ("unknown, being asked", "待查"),
}


@dataclass(frozen=True, slots=True)
class Summary:
    numbers: dict[str, Any]
    rows: tuple[tuple[str, str, str, str], ...]
    """Order code, its official name, state, why."""


def summarize(reader: Engine, language: Language) -> Summary:
    """The living results of a store, its counts and the clinics' rates."""
    chinese = language == "zh"
    with reader.connect() as connection:
        records = living_records(connection)
        receipts = receipt_counts(connection)
        states = record_counts(connection)
        today = datetime.now(TAIPEI).date()
        rates = standings(connection, today - _LOOKS_BACK, today)
        quarantined = quarantined_receipts(connection)
    rows = []
    held: Counter[str] = Counter()
    on_time = uploaded = 0
    for row in records:
        why = ""
        if row.state == RecordState.HELD.value:
            held[row.held_reason] += 1
            findings = findings_from_json(row.findings)
            first = next((f for f in findings if f.severity is Severity.ERROR), None)
            first = first or next(iter(findings), None)
            why = held_word(row.held_reason, language)
            why += f": {first.message(language)}" if first else ""
        elif row.verdict_code:
            why = f"NHI {row.verdict_code} ({row.verdict_fields}): " + " ".join(
                _in_words(code, row).message(language)
                for code in row.verdict_code.split(",")
                if code in finding_texts()
            )
        if row.confirmed_at is not None:
            uploaded += 1
            on_time += row.confirmed_at <= row.due_at
        known = order_code(row.order_code)
        state = _STATES.get(row.state, (row.state, row.state))[chinese]
        if row.version > 1:
            state += " (更正)" if chinese else " (corrected)"
        rows.append((row.order_code or "-", known.name_zh if known else "", state, why))
    due = sum((rate.due for rate in rates), Decimal(0))
    percent = percent_of(sum((rate.on_time for rate in rates), Decimal(0)), due)
    numbers: dict[str, Any] = {
        "received": sum(receipts.values()),
        "quarantined": len(quarantined),
        "results": len(records),
        "held": sum(held.values()),
        "held_reasons": dict(sorted(held.items())),
        "uploaded": uploaded,
        "accepted": states.get(RecordState.ACCEPTED.value, 0),
        "rejected": states.get(RecordState.REJECTED.value, 0),
        "on_time": on_time,
        "due": plain_number(due),
        "rate": None if percent is None else float(percent),
        "quarantine_reasons": dict(sorted(Counter(row.error_code for row in quarantined).items())),
    }
    return Summary(numbers, tuple(rows))


def _in_words(code: str, row: AnyRow) -> Finding:
    """The gateway's code as a finding, with the value where it is no patient's."""
    value = row.order_code if row.verdict_fields == "h15" else "…"
    return Finding(code, row.verdict_fields, row.place, value)


def render(summary: Summary, language: Language) -> str:
    """The table and the lines under it."""
    chinese = language == "zh"
    titles = ("醫令", "項目", "狀態", "原因") if chinese else ("order", "name", "state", "why")
    lines = _table([titles, *summary.rows])
    n = summary.numbers
    rate = "-" if n["rate"] is None else f"{n['rate']} %"
    if chinese:
        lines += [
            "",
            f"收件 {n['received']}　結果 {n['results']}　24 小時內上傳 {n['on_time']}"
            f"　檢核正確 {n['accepted']}　檢核錯誤 {n['rejected']}　暫停 {n['held']}",
            f"24 小時上傳率（依健保卡醫令 {n['due']} 筆）：{rate}",
        ]
    else:
        lines += [
            "",
            f"received {n['received']}, results {n['results']}, uploaded within 24 h "
            f"{n['on_time']}, accepted {n['accepted']}, rejected {n['rejected']}, "
            f"held {n['held']}",
            f"24-hour rate (of {n['due']} orders on the IC card): {rate}",
        ]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Sequence[str]], widest: int = 30) -> list[str]:
    columns = [
        min(widest, max(_width(row[index]) for row in rows)) for index in range(len(rows[0]) - 1)
    ]
    lines = []
    for row in rows:
        cells = [padded(cell, width) for cell, width in zip(row[:-1], columns, strict=True)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    lines.insert(1, "  ".join("-" * width for width in columns) + "  " + "-" * 20)
    return lines


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def padded(text: str, width: int) -> str:
    """``text`` cut or filled to ``width`` columns of a terminal; a Chinese letter takes two."""
    if _width(text) <= width:
        return text + " " * (width - _width(text))
    while _width(text) > width - 2:
        text = text[:-1]
    return padded(text + "…", width)
