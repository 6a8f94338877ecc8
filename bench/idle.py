"""What a service costs that has nothing to do: processor time of it and its children, in per cent
of a core.

Its store holds visits, its doors are open and a folder is looked at once a second.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from bench.contestants import labbroker

SECONDS = 10.0
GOAL_PERCENT = 1.0
# What a start still has to do, such as translating the templates, is not what idling costs.
_SETTLED_AFTER = 25.0
_TICKS = os.sysconf("SC_CLK_TCK")


def run(folder: Path, seconds: float = SECONDS) -> dict[str, Any]:
    """Start a service in ``folder`` and leave it alone for ``seconds``."""
    folder.mkdir(parents=True)
    with labbroker(folder) as running:
        time.sleep(_SETTLED_AFTER)
        before, began = processor_seconds(running.process_id), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        spent = processor_seconds(running.process_id) - before
    return {
        "seconds": round(took, 1),
        "processor_ms": round(spent * 1000),
        "percent_of_a_core": round(100 * spent / took, 2),
        "goal_percent": GOAL_PERCENT,
    }


def processor_seconds(process_id: int) -> float:
    """Seconds of a process, of the children it has and of those it has waited for (proc(5), stat
    fields 14 to 17)."""
    place = Path(f"/proc/{process_id}")
    stat = (place / "stat").read_text("ascii").rpartition(")")[2].split()
    spent = sum(int(field) for field in stat[11:15]) / _TICKS
    for task in (place / "task").iterdir():
        children = (task / "children").read_text("ascii").split()
        spent += sum(processor_seconds(int(child)) for child in children)
    return spent
