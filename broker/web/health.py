"""``/healthz``, ``/readyz`` and ``/metrics``: for supervisors, load balancers and Prometheus.

Nothing here names a patient: counts, ages and states only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from aiohttp import web
from sqlalchemy import Engine

from broker.operation.metrics import operation_metrics
from broker.store.alarms import open_alarms
from broker.store.overview import (
    held_counts,
    next_due_at,
    oldest_open_receipt_at,
    package_counts,
    receipt_counts,
    record_counts,
)

Readiness = Callable[[], Mapping[str, bool]]


def health_routes(
    reader: Engine,
    readiness: Readiness,
    clock: Callable[[], datetime],
    folder: Path | None = None,
) -> list[web.RouteDef]:
    """The three routes. ``readiness`` tells for each part of the service whether it works."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        parts = dict(readiness())
        status = 200 if all(parts.values()) else 503
        return web.Response(
            status=status, text=json.dumps(parts) + "\n", content_type="application/json"
        )

    async def metrics(_: web.Request) -> web.Response:
        text = await asyncio.to_thread(render_metrics, reader, clock(), folder)
        return web.Response(text=text, content_type="text/plain")

    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]


def render_metrics(reader: Engine, now: datetime, folder: Path | None = None) -> str:
    """The metrics in Prometheus' text form."""
    with reader.connect() as connection:
        counts = (
            ("labbroker_receipts", "state", receipt_counts(connection)),
            ("labbroker_records", "state", record_counts(connection)),
            ("labbroker_records_held", "reason", held_counts(connection)),
            ("labbroker_packages", "state", package_counts(connection)),
        )
        due = next_due_at(connection)
        oldest = oldest_open_receipt_at(connection)
        alarms = open_alarms(connection)
        more = operation_metrics(connection, folder, now)
    lines: list[str] = []
    for name, label, values in counts:
        lines.append(f"# TYPE {name} gauge")
        lines += [f'{name}{{{label}="{key}"}} {count}' for key, count in sorted(values.items())]
    for name, seconds in (
        ("labbroker_deadline_remaining_seconds", due and (due - now).total_seconds()),
        ("labbroker_oldest_unread_seconds", oldest and (now - oldest).total_seconds()),
    ):
        if seconds is not None:
            lines += [f"# TYPE {name} gauge", f"{name} {seconds:.0f}"]
    lines.append("# TYPE labbroker_alarm_records gauge")
    for alarm in alarms:
        labels = f'kind="{alarm.kind}",institution="{alarm.institution_code}"'
        labels += f',reason="{alarm.reason}"'
        lines.append(f"labbroker_alarm_records{{{labels}}} {alarm.records}")
    return "\n".join([*lines, *more]) + "\n"
