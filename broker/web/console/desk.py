"""What the pages work with: the store to read, the orders that change something, the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from aiohttp import web
from sqlalchemy import Connection, Engine

from adapters.ports.intake import Accepted, Media, Payload
from broker.config.settings import Settings
from broker.drafting import Drafting
from broker.store.engine import open_snapshot
from broker.web.control import Order
from mapping.moment import TAIPEI
from mapping.parsed import Reader
from mapping.profile import SourceProfile
from mapping.rates.groups import Groups

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """``orders`` are those of the control door, by name; ``write`` runs one transaction."""

    settings: Settings
    reader: Engine
    write: Callable[[Callable[[Connection], Any]], Awaitable[Any]]
    clock: Callable[[], datetime]
    profiles: Mapping[str, SourceProfile]
    readers: Mapping[Media, Reader]
    orders: Mapping[str, Order]
    replay: Callable[[int], Awaitable[bool]]
    drafting: Drafting
    """For trials: it learns nothing."""
    receive: Callable[[Payload], Awaitable[Accepted]]
    """The one way in, for what a person enters."""
    groups: Callable[[], Groups] = Groups
    """The groups of clinics as their list says now. Blocks; raises LabbrokerError."""

    async def read(self, look: Callable[[Connection], T]) -> T:
        """``look`` at the store as it is now, off the event loop."""

        def run() -> T:
            with open_snapshot(self.reader) as connection:
                return look(connection)

        return await asyncio.to_thread(run)

    @property
    def today(self) -> date:
        """The Taipei day."""
        return self.clock().astimezone(TAIPEI).date()

    @property
    def warn(self) -> timedelta:
        """How long before it is due a record counts as at risk."""
        return timedelta(hours=self.settings.schedule.warn_before_hours)


DESK = web.AppKey("desk", Desk)
