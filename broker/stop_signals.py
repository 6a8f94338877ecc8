"""How a program of ours is told to end: SIGTERM and Ctrl-C, on every system."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


def on_stop(action: Callable[[], object]) -> None:
    """Call ``action`` in the running loop when the program is asked to end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, action)
        except NotImplementedError:
            # Windows: its loops know no signals, the interpreter does.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(action))
