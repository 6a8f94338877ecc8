"""Hears what other nodes have committed, so that nobody polls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

CHANNEL = "labbroker"
RECEIPTS = "receipts"
WORK = "work"
_LOOK_SECONDS = 1.0


class Listener:
    """Calls ``heard(what)`` on ``loop`` for each notice of another node, and for both kinds after
    a connection was made anew: what was said meanwhile is not repeated."""

    def __init__(
        self,
        engine: Engine,
        loop: asyncio.AbstractEventLoop,
        holder: str,
        heard: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._holder = holder
        self._heard = heard
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="labbroker-listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop within a second."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except Exception:  # noqa: BLE001 - the writer tells of it; here it is tried again
                self._closing.wait(_LOOK_SECONDS)

    def _listen(self) -> None:
        with self._engine.connect() as pooled:
            connection = pooled.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql(f"LISTEN {CHANNEL}")
            self._tell(RECEIPTS)
            self._tell(WORK)
            driver: Any = connection.connection.driver_connection
            try:
                while not self._closing.is_set():
                    for notice in driver.notifies(timeout=_LOOK_SECONDS):
                        what, _, holder = notice.payload.partition(" ")
                        if holder != self._holder:
                            self._tell(what)
                        if self._closing.is_set():
                            break
            finally:
                connection.invalidate()

    def _tell(self, what: str) -> None:
        try:
            self._loop.call_soon_threadsafe(self._heard, what)
        except RuntimeError:
            self._closing.set()  # The loop is gone.
