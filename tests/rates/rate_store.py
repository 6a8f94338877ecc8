"""A store whose visits and records a test chooses: no payloads, no pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, insert
from sqlalchemy.pool import StaticPool

from broker.demo.people import national_id
from broker.store.engine import open_writer
from broker.store.schema import metadata, receipt, record
from broker.store.visits import find_visits, store_visits
from mapping.visit import Order, Visit
from tests.stores import store_at

CLINIC = "3501200000"
LAB = "JY31060000"


@dataclass(slots=True)
class RateStore:
    """``engine`` is the writer's. Each visit is of a person of its own."""

    engine: Engine
    people: int = 0
    slots: int = 0
    receipts: dict[datetime, int] = field(default_factory=dict)

    def receipt(self, connection: Connection, at: datetime) -> int:
        if at not in self.receipts:
            texts = ("source_id", "door", "media", "control_id", "name", "acknowledgement")
            number = len(self.receipts) + 1
            connection.execute(
                insert(receipt).values(
                    id=number,
                    received_at=at,
                    sha256=b"\0" * 32,
                    raw=b"",
                    identity=number.to_bytes(16, "big"),
                    state="parsed",
                    **dict.fromkeys(texts, ""),
                )
            )
            self.receipts[at] = number
        return self.receipts[at]

    def add_visit(
        self,
        visit_on: date,
        *orders: Order,
        institution: str = CLINIC,
        provider: str = "",
        arrived_at: datetime | None = None,
        **others: Any,
    ) -> int:
        """The id of a new visit with these orders."""
        self.people += 1
        person = national_id("A", 10_000_000 + self.people)
        card_at = datetime(visit_on.year, visit_on.month, visit_on.day, 2, tzinfo=UTC)
        item = Visit(
            institution,
            person,
            date(1960, 1, 1),
            card_at,
            others.pop("visit_type", "01"),
            f"{self.people % 10_000:04d}",
            visit_on,
            provider_id=provider,
            orders=orders,
            **others,
        )
        with self.engine.begin() as connection:
            came = self.receipt(connection, arrived_at or card_at + timedelta(hours=10))
            store_visits(connection, came, (item,))
            return find_visits(connection, institution, person)[0][0]

    def add_record(
        self,
        visit_id: int,
        order_code: str,
        state: str = "accepted",
        *,
        hours: float | None = 10,
        started_at: datetime | None = None,
        uploader: str = CLINIC,
        lab: str = LAB,
        **others: Any,
    ) -> int:
        """The id of a new record whose receipt NHI confirmed ``hours`` after its clock began."""
        self.slots += 1
        started = started_at or datetime(2026, 11, 10, 2, tzinfo=UTC)
        accepted = others.pop("was_accepted", state == "accepted")
        confirmed = started + timedelta(hours=hours) if accepted and hours is not None else None
        values = {
            "receipt_id": 1,
            "slot": str(self.slots),
            "place": "",
            "order_identity": str(self.slots),
            "version": 1,
            "state": state,
            "uploader_code": uploader,
            "clinic_code": CLINIC,
            "lab_code": lab,
            "order_code": order_code,
            "visit_id": visit_id,
            "clock_started_at": started,
            "due_at": started + timedelta(hours=24),
            "confirmed_at": confirmed,
            "checked_at": confirmed,
            "was_accepted": accepted,
            **others,
        }
        with self.engine.begin() as connection:
            key = connection.execute(insert(record).values(values)).inserted_primary_key
            assert key is not None
            return int(key[0])


def open_rate_store(folder: Path) -> RateStore:
    return RateStore(open_writer(store_at(folder)))


def memory_rate_store() -> RateStore:
    """A store that lives as long as the test's example."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    return RateStore(engine)


def order(code: str, quantity: str = "1", **others: Any) -> Order:
    return Order(code, Decimal(quantity), **others)
