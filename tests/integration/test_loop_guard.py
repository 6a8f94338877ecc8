"""A service whose loop stands still ends, whatever it hangs in; one that works does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from broker.loop_guard import LoopGuard

LIMIT_SECONDS = 2.0
"""So long that a busy machine holds up no loop for it."""

PROGRAM = """
import asyncio, sys, time, re
from pathlib import Path
from broker.loop_guard import LoopGuard

LIMIT_SECONDS = float(sys.argv[2])

def hang_here():
    {hang}

async def main():
    guard = asyncio.create_task(LoopGuard(Path(sys.argv[1]), LIMIT_SECONDS).run())
    await asyncio.sleep({works})
    if {stopped}:
        guard.cancel()
        await asyncio.wait([guard])
    print("alive", flush=True)
    hang_here()

asyncio.run(main())
"""

HANGS = {
    "a call": "time.sleep(60)",
    "a loop": "while True: pass",
    "a library that holds the interpreter": "re.fullmatch('(a+)+b', 'a' * 40)",
}
STOPPED = "a guard that was stopped in time"


@pytest.fixture(scope="module")
def programs(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, tuple[subprocess.Popen[bytes], Path]]]:
    """All at once, because each takes its time."""
    texts = {
        name: PROGRAM.format(hang=hang, works="1.5 * LIMIT_SECONDS", stopped=False)
        for name, hang in HANGS.items()
    }
    texts[STOPPED] = PROGRAM.format(hang="time.sleep(1.5 * LIMIT_SECONDS)", works=0.1, stopped=True)
    with ExitStack() as stack:
        started = {}
        for name, text in texts.items():
            trace = tmp_path_factory.mktemp("guard") / "trace"
            process = subprocess.Popen(
                [sys.executable, "-c", text, str(trace), str(LIMIT_SECONDS)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            started[name] = process, trace
        yield started


@pytest.mark.parametrize("hang", HANGS)
def test_a_loop_that_stands_still_ends_the_process(
    programs: dict[str, tuple[subprocess.Popen[bytes], Path]], hang: str
) -> None:
    process, trace = programs[hang]
    said, _ = process.communicate(timeout=50)
    assert said == b"alive\n"
    assert process.returncode == 1
    assert "hang_here" in LoopGuard(trace).last_trace()


def test_what_stops_in_time_leaves_nothing_behind(
    programs: dict[str, tuple[subprocess.Popen[bytes], Path]],
) -> None:
    process, trace = programs[STOPPED]
    assert process.communicate(timeout=50) == (b"alive\n", b"")
    assert process.returncode == 0
    assert LoopGuard(trace).last_trace() == ""


def test_where_nothing_was_ended_there_is_no_trace(tmp_path: Path) -> None:
    assert LoopGuard(tmp_path / "trace").last_trace() == ""
