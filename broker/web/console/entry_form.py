"""The part of single entry that every form of it has: laboratory, specimen, times, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broker.access.person import Person
from broker.hand_entry import MOST_ROWS, EntryRow, entry_rows, entry_sources
from broker.store.open_orders import remembered
from broker.web.console.desk import Desk
from mapping.catalogue.tables import order_code
from mapping.moment import TAIPEI


def rows_of(form: Mapping[str, str]) -> list[EntryRow]:
    """The lines of a posted form that say something."""
    rows = []
    for number in range(1, MOST_ROWS + 1):
        item, unit, method, reference, value, flag = (
            form.get(f"{name}{number}", "")[:400]
            for name in ("item", "unit", "method", "reference", "value", "flag")
        )
        if item or value:
            rows.append(EntryRow(item, unit, method, reference, value, flag))
    return rows


async def form_values(
    desk: Desk, person: Person, code: str, given: Mapping[str, str], rows: Sequence[EntryRow]
) -> dict[str, Any]:
    """What the form of an order shows: what was given already, else what was said last."""
    known = await desk.read(lambda c: remembered(c, person.reach, code))
    now = f"{desk.clock().astimezone(TAIPEI):%Y-%m-%dT%H:%M}"
    specimen = known.record.value("h22") if known else ""
    named = order_code(code)
    return {
        "code": code,
        "name": named.name_zh if named else "",
        "sources": entry_sources(desk.profiles, person),
        "source": given.get("source", known.source_id if known else ""),
        "specimen": given.get("specimen", specimen),
        "specimen_remembered": bool(specimen) and "specimen" not in given,
        "collected_at": given.get("collected_at", ""),
        "reported_at": given.get("reported_at", now),
        "received_at": given.get("received_at", now),
        "rows": rows or entry_rows(code, known),
    }
