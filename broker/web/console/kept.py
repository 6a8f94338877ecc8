"""What takes long to count, kept for a while: a page shows what is known and says of when it is,
and the next one is counted meanwhile."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")

_FRESH = timedelta(minutes=1)
_STALE = timedelta(minutes=15)
_MOST = 256


@dataclass(frozen=True, slots=True)
class Figures(Generic[T]):
    """``at`` is when they were counted."""

    value: T
    at: datetime


class Kept(Generic[T]):
    """Figures by who asks for what. Whoever asks first waits; after a minute they are counted anew
    behind the back of those who ask; older than a quarter of an hour they are not shown."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._known: OrderedDict[Hashable, Figures[T]] = OrderedDict()
        self._counting: dict[Hashable, asyncio.Task[Figures[T]]] = {}

    async def of(self, key: Hashable, count: Callable[[], Awaitable[T]]) -> Figures[T]:
        """The figures of ``key``; what ``count`` raises, where nothing is known."""
        known, now = self._known.get(key), self._clock()
        age = now - known.at if known is not None else None
        if known is None or age is None or not timedelta(0) <= age < _FRESH:
            task = self._counting.get(key)
            if task is None:
                task = asyncio.create_task(self._count(key, count))
                self._counting[key] = task
                task.add_done_callback(lambda done: self._counted(key, done))
            if known is None or age is None or not timedelta(0) <= age < _STALE:
                return await asyncio.shield(task)
        return known

    def amend(self, key: Hashable, change: Callable[[T], T]) -> None:
        """Put something newer that was seen elsewhere into the figures of ``key``, if there are
        any: what two pages show of it is the same then."""
        known = self._known.get(key)
        if known is not None:
            self._known[key] = Figures(change(known.value), known.at)

    async def _count(self, key: Hashable, count: Callable[[], Awaitable[T]]) -> Figures[T]:
        at = self._clock()
        found = Figures(await count(), at)
        self._known[key] = found
        self._known.move_to_end(key)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return found

    def _counted(self, key: Hashable, task: asyncio.Task[Figures[T]]) -> None:
        self._counting.pop(key, None)
        if not task.cancelled():
            task.exception()
