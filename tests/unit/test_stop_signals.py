"""How a program is told to end, where loops know signals and where they do not (Windows)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from unittest import mock

import pytest

from broker.stop_signals import on_stop


@pytest.fixture
def handlers() -> Iterator[None]:
    """Those of the test run come back, whatever was put in their place."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
@pytest.mark.parametrize("knows", [True, False], ids=["posix", "windows"])
async def test_the_action_is_called_in_the_loop(number: signal.Signals, knows: bool) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    if knows:
        on_stop(told.set)
    else:
        with mock.patch.object(loop, "add_signal_handler", side_effect=NotImplementedError):
            on_stop(told.set)
    os.kill(os.getpid(), number)
    async with asyncio.timeout(5):
        await told.wait()
    loop.remove_signal_handler(signal.SIGTERM)
    loop.remove_signal_handler(signal.SIGINT)
