"""A service whose loop stands still ends, whatever it hangs in; one that works does not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from broker.loop_guard import LoopGuard

PROGRAM = """
import asyncio, sys, time, re
from pathlib import Path
from broker.loop_guard import LoopGuard

def hang_here():
    {hang}

async def main():
    guard = asyncio.create_task(LoopGuard(Path(sys.argv[1]), limit_seconds=1.0).run())
    await asyncio.sleep(2.5)
    print("alive", flush=True)
    hang_here()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "hang",
    ["time.sleep(60)", "while True: pass", "re.fullmatch('(a+)+b', 'a' * 40)"],
    ids=["a call", "a loop", "a library that holds the interpreter"],
)
def test_a_loop_that_stands_still_ends_the_process(tmp_path: Path, hang: str) -> None:
    trace = tmp_path / "trace"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(hang=hang), str(trace)],
        capture_output=True,
        timeout=50,
        check=False,
    )
    assert done.stdout == b"alive\n"
    assert done.returncode == 1
    assert "hang_here" in LoopGuard(trace).last_trace()


async def test_what_stops_in_time_leaves_nothing_behind(tmp_path: Path) -> None:
    guard = LoopGuard(tmp_path / "trace", limit_seconds=0.4)
    assert guard.last_trace() == ""
    task = asyncio.create_task(guard.run())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.6)
    assert guard.last_trace() == ""
