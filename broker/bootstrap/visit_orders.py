"""What the control door does with a file of visits that a person brings: it is a receipt like any
other, and who brought it may ask how far its visits are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, select

from adapters.ports.intake import Door, Intake, Media, Payload
from broker.store.schema import receipt
from broker.visit_import import VisitImport
from broker.web.control import Order


def visit_orders(intake: Intake, reader: Engine, importing: VisitImport) -> Mapping[str, Order]:
    """The orders of the control door by their names."""

    async def take(raw: bytes, query: Mapping[str, str]) -> dict[str, Any]:
        payload = Payload(
            query["source"], Door.COMMAND, Media(query["media"]), raw, name=query.get("name", "")
        )
        accepted = await intake.receive(payload)
        return {"receipt_id": accepted.receipt_id, "duplicate": accepted.duplicate}

    async def progress(_: bytes, query: Mapping[str, str]) -> dict[str, Any]:
        receipt_id = int(query["receipt_id"])
        now = importing.progress(receipt_id)
        with reader.connect() as connection:
            told = _state_of(connection, receipt_id)
        told |= {"done": now.done, "total": now.total} if now is not None else {}
        return told

    return {"visits": take, "visits-progress": progress}


def _state_of(connection: Connection, receipt_id: int) -> dict[str, Any]:
    row = connection.execute(
        select(
            receipt.c.state, receipt.c.error_text, receipt.c.error_texts, receipt.c.findings
        ).where(receipt.c.id == receipt_id)
    ).one()
    return {
        "state": row.state,
        "error_text": row.error_text,
        "error_texts": row.error_texts,
        "findings": row.findings,
    }
