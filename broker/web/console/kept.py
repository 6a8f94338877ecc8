"""What takes long to count, kept for a while: a page shows what is known and says of when it is,
and the next one is counted meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")

_FRESH = timedelta(minutes=1)
_TIMES = 100
_QUICK = timedelta(seconds=0.25)
_STALE = timedelta(minutes=15)
_MOST = 256


@dataclass(frozen=True, slots=True)
class Figures(Generic[T]):
    """``at`` is when they were counted, ``took`` how long that was."""

    value: T
    at: datetime
    took: timedelta = timedelta(0)


class Kept(Generic[T]):
    """Figures by who asks for what, kept a hundred times as long as they took to count, a minute at
    most. Then what is counted in a quarter of a second is waited for; what takes longer is counted
    anew behind the back of those who ask, and not shown when older than a quarter of an hour.

    ``stopwatch`` gives seconds, from any start; no more than ``most`` are kept."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        stopwatch: Callable[[], float] = time.perf_counter,
        most: int = _MOST,
    ) -> None:
        self._clock = clock
        self._most = most
        self._stopwatch = stopwatch
        self._known: OrderedDict[Hashable, Figures[T]] = OrderedDict()
        self._counting: dict[Hashable, asyncio.Task[Figures[T]]] = {}

    async def of(self, key: Hashable, count: Callable[[], Awaitable[T]]) -> Figures[T]:
        """The figures of ``key``; what ``count`` raises, where nothing is known."""
        known, now = self._known.get(key), self._clock()
        if known is not None and _is_younger(known, now, min(_FRESH, known.took * _TIMES)):
            return known
        task = self._counting.get(key)
        if task is None:
            task = asyncio.create_task(self._count(key, count))
            self._counting[key] = task
            task.add_done_callback(lambda done: self._counted(key, done))
        if known is not None and known.took > _QUICK and _is_younger(known, now, _STALE):
            return known
        return await asyncio.shield(task)

    def amend(self, key: Hashable, change: Callable[[T], T]) -> None:
        """Put something newer that was seen elsewhere into the figures of ``key``, if there are
        any: what two pages show of it is the same then."""
        known = self._known.get(key)
        if known is not None:
            self._known[key] = replace(known, value=change(known.value))

    async def _count(self, key: Hashable, count: Callable[[], Awaitable[T]]) -> Figures[T]:
        at, begun = self._clock(), self._stopwatch()
        value = await count()
        found = Figures(value, at, timedelta(seconds=self._stopwatch() - begun))
        self._known[key] = found
        self._known.move_to_end(key)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return found

    def _counted(self, key: Hashable, task: asyncio.Task[Figures[T]]) -> None:
        self._counting.pop(key, None)
        if not task.cancelled():
            task.exception()


def _is_younger(figures: Figures[T], now: datetime, limit: timedelta) -> bool:
    return timedelta(0) <= now - figures.at < limit
