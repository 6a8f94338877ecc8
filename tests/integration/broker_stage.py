"""A store with a pipeline and no network: payloads in, records out, on a clock that tests set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select, update

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Accepted, Door, Media, Payload
from broker.bootstrap.readers import READERS
from broker.check_reports import CheckReports
from broker.delivery.agreement import Agreements, DeliveryAgreement
from broker.demo.people import CLINIC, LAB, visits
from broker.drafting import Drafting
from broker.intake import DurableIntake
from broker.pipeline import Pipeline
from broker.store.engine import open_reader, open_writer
from broker.store.schema import record
from broker.store.writer import Writer
from mapping.critical import CriticalLimit
from mapping.profile import Agreement, CodeLink, Route, SourceProfile
from tests.stores import store_at

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
PROFILE = SourceProfile(
    "lab",
    lab_code=LAB,
    clinic_code=CLINIC,
    codes={"GLUC": CodeLink("09005C"), "CREA": CodeLink("09015C", 1), "UA": CodeLink("09013C")},
    default_method="無",
    default_unit="無",
)
AGREEMENT = Agreement(LAB, CLINIC, Route.CLINIC)


@dataclass(slots=True)
class Stage:
    """``now`` is the time that every part sees."""

    folder: Path
    writer: Writer
    reader: Engine
    intake: DurableIntake
    pipeline: Pipeline
    now: datetime = NOW

    async def receive(
        self, raw: bytes, media: Media = Media.HL7V2, *, control_id: str = "", source: str = "lab"
    ) -> Accepted:
        """Store one payload and let the pipeline read all that is open."""
        accepted = await self.intake.receive(Payload(source, Door.MLLP, media, raw, control_id))
        await self.work()
        return accepted

    async def work(self) -> None:
        while await self.pipeline.work_once():
            pass

    async def load_visits(self) -> None:
        await self.receive(write_ic_card(visits(self.now)), Media.IC_CARD_XML, source="clinic")

    def records(self) -> list[Any]:
        """All records, oldest first."""
        with self.reader.connect() as connection:
            return list(connection.execute(select(record).order_by(record.c.id)).all())

    def states(self) -> list[str]:
        """``state`` or ``held:reason`` of every record."""
        return [
            f"held:{row.held_reason}" if row.state == "held" else row.state
            for row in self.records()
        ]

    async def pretend(self, record_id: int, state: str, **values: Any) -> None:
        """Put a record where the submission would have put it."""
        await self.writer.write(
            lambda c: c.execute(
                update(record).where(record.c.id == record_id).values(state=state, **values)
            )
        )

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


@asynccontextmanager
async def open_stage(
    folder: Path,
    profile: SourceProfile = PROFILE,
    agreements: tuple[Agreement, ...] = (AGREEMENT,),
    check_reports: CheckReports | None = None,
    deliveries: tuple[DeliveryAgreement, ...] = (),
    critical_limits: tuple[CriticalLimit, ...] = (),
) -> AsyncIterator[Stage]:
    """A stage on a store in ``folder``."""
    writer = Writer(open_writer(store_at(folder)), asyncio.get_running_loop())
    reader = open_reader(store_at(folder))
    stage: Stage

    def clock() -> datetime:
        return stage.now

    intake = DurableIntake(writer, lambda: None, clock)
    pipeline = Pipeline(
        writer,
        reader,
        READERS,
        {"lab": profile},
        Drafting(agreements, frozenset({CLINIC})),
        clock,
        lambda: None,
        check_reports=check_reports,
        deliveries=Agreements(deliveries),
        critical_limits=critical_limits,
    )
    stage = Stage(folder, writer, reader, intake, pipeline)
    try:
        yield stage
    finally:
        await intake.close()
        writer.close()
        reader.dispose()
