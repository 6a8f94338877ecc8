"""What the control door does with NHI's lists of cases not uploaded: stores them, part by part, so
that a long list holds up no commit of a door and an import that broke off goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from broker.store.unuploaded import ListHead, append_rows, begin_list, end_list
from broker.store.writer import Writer
from broker.web.control import Order
from mapping.unuploaded import UnuploadedRow

ROWS_AT_ONCE = 5000


def list_orders(writer: Writer, clock: Callable[[], datetime]) -> Mapping[str, Order]:
    """The orders of the control door by their names."""

    async def begin(raw: bytes, _: Mapping[str, str]) -> dict[str, Any]:
        head = head_from_json(json.loads(raw))
        list_id, stored = await writer.write(lambda c: begin_list(c, head, clock()))
        return {"list_id": list_id, "stored": stored}

    async def append(raw: bytes, query: Mapping[str, str]) -> dict[str, Any]:
        rows = [UnuploadedRow(**row) for row in map(_with_day, json.loads(raw))]
        list_id, position = int(query["list_id"]), int(query["position"])
        await writer.write(lambda c: append_rows(c, list_id, position, rows))
        return {"stored": position + len(rows)}

    async def end(_: bytes, query: Mapping[str, str]) -> dict[str, Any]:
        list_id, rows = int(query["list_id"]), int(query["rows"])
        await writer.write(lambda c: end_list(c, list_id, rows))
        return {"stored": rows}

    return {"list-begin": begin, "list-rows": append, "list-end": end}


def head_to_json(head: ListHead) -> dict[str, Any]:
    """A head as plain values."""
    return {
        "institution_code": head.institution_code,
        "from_on": head.from_on.isoformat() if head.from_on else None,
        "until_on": head.until_on.isoformat() if head.until_on else None,
        "sha256": head.sha256.hex(),
    }


def head_from_json(data: Mapping[str, Any]) -> ListHead:
    """The inverse of :func:`head_to_json`."""
    return ListHead(
        data["institution_code"],
        _day(data["from_on"]),
        _day(data["until_on"]),
        bytes.fromhex(data["sha256"]),
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _with_day(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "card_on": date.fromisoformat(row["card_on"])}
