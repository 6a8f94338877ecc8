"""Live views: one look at the store for all who watch, and to each what is theirs.

A view waits only for its own browser. What changed in between is told as it is then, so that
nobody who reads slowly makes others wait, or anything grow.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from broker.access.person import Person
from broker.access.roles import Permission
from broker.store.change_mark import ChangeMark
from broker.store.engine import open_snapshot
from broker.store.live_counts import LiveCounts, count_live
from broker.store.reach import source_ids
from broker.store.sessions import Stage, find_sessions
from broker.store.tokens import find_token
from broker.web.api.operation import instant
from broker.web.console.desk import Desk
from broker.web.entrance import Access

EVERY = 1.0
"""Seconds between two looks, where something was committed meanwhile."""
_ANYWAY = 30.0
"""Seconds after which what is due is counted anew though nothing was committed."""
_LOOKED_AFTER = 5.0
"""Seconds after which it is seen who has left, though nothing was committed."""
_SHARE = 0.2
"""Of the time, what looking may take: on a store where it takes long, looks are rarer."""


@dataclass(slots=True, eq=False)
class View:
    """One who watches. ``session`` or ``bearer`` is what the person came with; ``is_gone`` tells
    whether the browser has left; ``looks`` is after how many looks the view ends (0: never)."""

    person: Person
    session: str
    bearer: bytes | None
    is_gone: Callable[[], bool]
    looks: int = 0
    text: str = ""
    is_over: bool = False
    _seen: int = 0
    _told: str = ""
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def next_text(self, seconds: float) -> str:
        """What is new, as JSON; "" where the view is over, or nothing was new for so long."""
        if self.text == self._told and not self.is_over:
            self._woken.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                return ""
        if self.text == self._told:
            return ""
        self._told = self.text
        return self.text

    def show(self, text: str) -> None:
        """A look has found this."""
        self._seen += 1
        if self.looks and self._seen >= self.looks:
            self.is_over = True
        self.text = text
        if self.is_over or text != self._told:
            self._woken.set()

    def end(self) -> None:
        """Nothing more is told."""
        self.is_over = True
        self._woken.set()


class LiveViews:
    """All views that are open. While there is none, nothing is looked at."""

    def __init__(self, desk: Desk, access: Access) -> None:
        self._desk, self._access = desk, access
        self._views: set[View] = set()
        self._task: asyncio.Task[None] | None = None
        self._first = asyncio.Lock()
        self._counts: LiveCounts | None = None
        self._by_source = False
        self._texts: dict[tuple[frozenset[str] | None, bool], str] = {}

    @asynccontextmanager
    async def joined(self, view: View) -> AsyncIterator[None]:
        """``view`` is told of changes within; it has its first text at once."""
        sources = bool(source_ids(view.person.reach or frozenset()))
        async with self._first:
            if self._counts is None or (sources and not self._by_source):
                self._by_source |= sources
                await self._look()
        self._views.add(view)
        view.show(self._text_of(view.person))
        if self._task is None:
            self._task = asyncio.create_task(self._watch())
            # A fault is told to those who begin anew.
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            yield
        finally:
            self._views.discard(view)

    def end_all(self) -> None:
        """The service stops."""
        for view in self._views:
            view.end()

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        looked = sorted_out = clock()
        pause = EVERY
        mark = ChangeMark(self._desk.reader)
        try:
            while True:
                await asyncio.sleep(pause)
                if not self._views:
                    return
                began = clock()
                moved = await asyncio.to_thread(mark.has_moved)
                if moved or began - looked >= _ANYWAY:
                    await self._look()
                    looked = began
                if moved or began - sorted_out >= _LOOKED_AFTER:
                    await self._sort_out()
                    sorted_out = began
                pause = max(EVERY, (clock() - began) / _SHARE)
                for view in list(self._views):
                    view.show(self._text_of(view.person))
        finally:
            # Also after a fault: whoever watches begins anew, and is told of it then.
            self.end_all()
            self._task, self._counts, self._by_source = None, None, False
            self._texts = {}
            mark.close()

    async def _look(self) -> None:
        now, warn, by_source = self._desk.clock(), self._desk.warn, self._by_source

        def look() -> LiveCounts:
            with open_snapshot(self._desk.reader) as connection:
                return count_live(connection, now, warn, by_source=by_source)

        self._counts = await asyncio.to_thread(look)
        self._texts = {}

    async def _sort_out(self) -> None:
        """End the views of those who have left, are signed out, or see something else now."""
        views, now = list(self._views), self._access.clock()

        def look() -> dict[View, Person | None]:
            with self._access.reader.connect() as connection:
                return self._people(connection, views, now)

        people = await asyncio.to_thread(look)
        for view in views:
            if view.is_gone() or people[view] != view.person:
                view.end()
                self._views.discard(view)

    def _people(
        self, connection: Connection, views: list[View], now: datetime
    ) -> dict[View, Person | None]:
        sessions = find_sessions(
            connection, {view.session for view in views if view.session}, now, self._access.limits
        )
        bearers = {
            digest: find_token(connection, digest, now)
            for digest in {view.bearer for view in views if view.bearer is not None}
        }
        found: dict[View, Person | None] = {}
        for view in views:
            bearer = bearers.get(view.bearer) if view.bearer is not None else None
            session = sessions.get(view.session)
            if bearer is not None:
                found[view] = bearer.person
            elif session is not None and session.stage is Stage.FULL:
                found[view] = session.person
            else:
                found[view] = None
        return found

    def _text_of(self, person: Person) -> str:
        key = reach, receives = person.reach, person.may(Permission.RECEIVE_RESULTS)
        text = self._texts.get(key)
        if text is None and self._counts is not None:
            told: dict[str, Any] = self._counts.told(reach)
            told["alarms"] = [
                {
                    "kind": row.kind,
                    "reason": row.reason,
                    "records": row.records,
                    "due_at": instant(row.due_at),
                }
                for row in told["alarms"]
            ]
            if not receives:
                told["unread"] = None
            text = self._texts[key] = json.dumps(told, ensure_ascii=False)
        return text or "{}"


LIVE = web.AppKey("live", LiveViews)
