"""What the pages work with: the store to read, the orders that change something, the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from aiohttp import web
from sqlalchemy import Connection, Engine

from adapters.ports.intake import Accepted, Media, Payload
from broker.config.settings import Settings
from broker.drafting import Drafting
from broker.rates.nhi_files import InstitutionUnknown, NhiFile, ReadNhiFile
from broker.store.reading import open_reading
from broker.web.control import Order
from broker.web.identity import ASKING
from mapping.moment import TAIPEI
from mapping.parsed import Reader
from mapping.profile import SourceProfile
from mapping.rates.groups import Groups
from mapping.verdict import CheckReport

T = TypeVar("T")


def _unread(raw: bytes, name: str, institution_code: str, passwords: Sequence[str]) -> NhiFile:
    raise InstitutionUnknown


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
    open_report: Callable[[bytes, str], tuple[CheckReport, ...]] = lambda raw, name: ()
    """The check reports of a file that a person brings, by its bytes and its name. Blocks; raises
    LabbrokerError."""

    read_nhi_file: ReadNhiFile = _unread
    """What a person downloaded from NHI about cases not uploaded."""

    async def read(self, look: Callable[[Connection], T]) -> T:
        """``look`` at the store as it is now, off the event loop, for the one who asks: see
        :func:`broker.store.reading.open_reading`. For nobody there is nothing."""
        reach = self._reach()

        def run() -> T:
            with open_reading(self.reader, reach) as connection:
                return look(connection)

        return await asyncio.to_thread(run)

    def _reach(self) -> frozenset[str] | None:
        person = ASKING.get()
        if person is None:
            return frozenset()
        if person.everywhere:
            return None
        # A laboratory's people see its sources, by whichever of the two they are named.
        labs = {name: each.lab_code for name, each in self.profiles.items() if each.lab_code}
        return person.institutions | {name for name, lab in labs.items() if person.sees(lab)}

    @property
    def today(self) -> date:
        """The Taipei day."""
        return self.clock().astimezone(TAIPEI).date()

    @property
    def warn(self) -> timedelta:
        """How long before it is due a record counts as at risk."""
        return timedelta(hours=self.settings.schedule.warn_before_hours)


DESK = web.AppKey("desk", Desk)
