"""The versions of the laboratories' code maps, and the results that wait for a code."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select, true

from broker.finding_json import findings_from_json
from broker.states import RecordState
from broker.store.code_tables import code_decision, waiting_code
from broker.store.line_habits import changed_counts
from broker.store.receipts import replay_receipt
from broker.store.rows import AnyRow
from broker.store.schema import receipt, record
from mapping.code_map import LocalCode
from mapping.finding import Finding

_UNKNOWN = frozenset({"unmapped-code", "unmapped-item"})
UNKNOWN_ORDER = "hl7-order-code"
"""Finding of an order message: its code says no order; a parameter ``code`` names it."""


@dataclass(frozen=True, slots=True)
class CodeDecision:
    """What a person decided for one local code of a source. An empty ``order_code`` says that its
    lines are never uploaded; ``withdrawn`` takes back what was decided before."""

    source_id: str
    local: LocalCode
    order_code: str = ""
    item_number: int | None = None
    withdrawn: bool = False
    name: str = ""
    """Under which the laboratory sends the code."""
    decided_by: str = ""
    reason: str = ""
    decided_at: datetime = field(default=datetime(1970, 1, 1, tzinfo=UTC))
    version: int = 0
    """Given by the store."""


def add_decisions(connection: Connection, decisions: Sequence[CodeDecision], now: datetime) -> int:
    """Append decisions; the version of the last one."""
    version = 0
    for each in decisions:
        result = connection.execute(
            insert(code_decision).values(
                source_id=each.source_id,
                local_code=each.local.code,
                specimen=each.local.specimen,
                unit=each.local.unit,
                method=each.local.method,
                order_code=each.order_code,
                item_number=each.item_number,
                withdrawn=each.withdrawn,
                name=each.name,
                decided_by=each.decided_by,
                decided_at=now,
                reason=each.reason,
            )
        )
        version = int(result.inserted_primary_key[0])  # type: ignore[index]
    return version


def decision_history(
    connection: Connection, source_id: str = "", local_code: str = ""
) -> list[CodeDecision]:
    """All decisions, oldest first; of one source or one local code where given."""
    query = select(code_decision).order_by(code_decision.c.id)
    if source_id:
        query = query.where(code_decision.c.source_id == source_id)
    if local_code:
        query = query.where(code_decision.c.local_code == local_code)
    return [_decision(row) for row in connection.execute(query)]


def standing_decisions(connection: Connection) -> list[CodeDecision]:
    """The decisions that hold now."""
    return standing(decision_history(connection))


def standing(history: Sequence[CodeDecision]) -> list[CodeDecision]:
    """Of a history, the last word on each local code that was not taken back."""
    last = {(each.source_id, each.local.key()): each for each in history}
    return [each for each in last.values() if not each.withdrawn]


@dataclass(frozen=True, slots=True)
class WaitingLine:
    """One line that waits for a code, in a held record or in a clinic's order message; of the
    latter ``due_at`` is None."""

    receipt_id: int
    source_id: str
    due_at: datetime | None
    finding: Finding

    @property
    def code(self) -> str:
        """The local code, or the name of a line without one."""
        return dict(self.finding.parameters).get("code", "") or self.name

    @property
    def name(self) -> str:
        return dict(self.finding.parameters).get("name", "")


def store_waiting_codes(
    connection: Connection, receipt_id: int, source_id: str, findings: Sequence[Finding]
) -> None:
    """Note which codes of order messages nobody knows, of a receipt that was read just now; what
    was noted of it before goes."""
    connection.execute(delete(waiting_code).where(waiting_code.c.receipt_id == receipt_id))
    rows = []
    for finding in findings:
        told = dict(finding.parameters)
        if finding.code == UNKNOWN_ORDER and told.get("code"):
            rows.append(
                {
                    "receipt_id": receipt_id,
                    "place": finding.place,
                    "source_id": source_id,
                    "code": told["code"],
                    "name": told.get("name", ""),
                }
            )
    if rows:
        connection.execute(insert(waiting_code), rows)


def _waiting_orders(
    connection: Connection, sources: Collection[str] | None
) -> Iterator[WaitingLine]:
    rows = connection.execute(
        select(waiting_code)
        .where(true() if sources is None else waiting_code.c.source_id.in_(sources))
        .order_by(waiting_code.c.receipt_id, waiting_code.c.place)
    )
    for row in rows:
        parameters = (("code", row.code), ("name", row.name))
        finding = Finding(UNKNOWN_ORDER, "", row.place, row.code, parameters=parameters)
        yield WaitingLine(row.receipt_id, row.source_id, None, finding)


def waiting_lines(
    connection: Connection, sources: Collection[str] | None = None
) -> Iterator[WaitingLine]:
    """The lines of held results of ``sources`` (None: all) whose code or row nobody knows, the
    most urgent first; then the orders of clinics whose code nobody knows."""
    yield from _waiting_results(connection, sources)
    yield from _waiting_orders(connection, sources)


def _waiting_results(
    connection: Connection, sources: Collection[str] | None
) -> Iterator[WaitingLine]:
    rows = connection.execute(
        select(record.c.receipt_id, record.c.due_at, record.c.findings, receipt.c.source_id)
        .join(receipt, receipt.c.id == record.c.receipt_id)
        .where(
            record.c.state == RecordState.HELD.value,
            record.c.findings.contains("unmapped-"),
            true() if sources is None else receipt.c.source_id.in_(sources),
        )
        .order_by(record.c.due_at, record.c.id)
    )
    for row in rows:
        for finding in findings_from_json(row.findings):
            if finding.code in _UNKNOWN:
                yield WaitingLine(row.receipt_id, row.source_id, row.due_at, finding)


def requeue_waiting(connection: Connection, known: frozenset[tuple[str, str]]) -> int:
    """Read the receipts again that wait for a ``(source id, local code)`` of ``known``. How many.

    What has left is not touched by that: only held results take another way.
    """
    receipts = {
        line.receipt_id
        for line in waiting_lines(connection)
        if (line.source_id, line.code) in known
    }
    return sum(replay_receipt(connection, receipt_id) for receipt_id in sorted(receipts))


def code_counts(connection: Connection) -> dict[str, int]:
    """How many local codes are unmapped, and how many changed their unit or range."""
    unmapped = len({(line.source_id, line.code) for line in waiting_lines(connection)})
    return ({"unmapped": unmapped} if unmapped else {}) | changed_counts(connection)


def _decision(row: AnyRow) -> CodeDecision:
    return CodeDecision(
        row.source_id,
        LocalCode(row.local_code, row.specimen, row.unit, row.method),
        row.order_code,
        row.item_number,
        bool(row.withdrawn),
        row.name,
        row.decided_by,
        row.reason,
        row.decided_at,
        row.id,
    )
