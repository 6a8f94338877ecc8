"""Acknowledged messages a second at the MLLP door: ours beside the floor and the peers.

Every contestant is a fresh child process in every round, and the rounds are interleaved, so that
what else the machine does falls on all of them. Only ratios within one run mean anything.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contestants import CONTESTANTS, Contestant, Running, install_simple_hl7, labbroker
from bench.prefill import missing_bytes, prefill

CONNECTIONS = 16
_WARM_UP_SECONDS = 1.0
_TICKS = os.sysconf("SC_CLK_TCK")
# goal: (ratio of ours to it, at least)
_GOALS = {"floor": 0.6, "python-hl7": 10.0, "simple-hl7": 1.0}
_SLOWEST_MS = 50.0
_FULL_STORE_RATIO = 0.9


@dataclass(frozen=True, slots=True)
class Cell:
    """One contestant in one round."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Processor time of the server for each acknowledged message, user and system."""
    bad: int
    start_seconds: float


def beside_peers(folder: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """All contestants, interleaved. Returns medians, ratios and why one is missing."""
    contestants = list(CONTESTANTS)
    missing: dict[str, str] = {}
    simple_hl7 = install_simple_hl7(folder / "npm")
    if isinstance(simple_hl7, Contestant):
        contestants.append(simple_hl7)
    else:
        missing["simple-hl7"] = simple_hl7
    cells: dict[str, list[Cell]] = {each.name: [] for each in contestants}
    for number in range(rounds):
        for each in contestants:
            place = folder / f"{number}-{each.name}"
            place.mkdir(parents=True)
            cells[each.name].append(_measure(each, place, seconds))
            shutil.rmtree(place)
    medians = {name: _median(found) for name, found in cells.items()}
    ours = medians["labbroker"]
    ratios = {
        name: {
            "ours_to_it": round(ours["per_second"] / other["per_second"], 3),
            "goal": _GOALS.get(name),
        }
        for name, other in medians.items()
        if name != "labbroker" and other["per_second"]
    }
    return {
        "servers": medians,
        "ratios": ratios,
        "rounds": {
            name: [round(cell.per_second) for cell in found] for name, found in cells.items()
        },
        "p99_ms": {"ours": ours["p99_ms"], "goal": _SLOWEST_MS},
        "missing": missing,
    }


def full_store(folder: Path, seconds: float, rounds: int, receipts: int) -> dict[str, Any]:
    """A store with ``receipts`` receipts against an empty one, interleaved."""
    short = missing_bytes(folder, receipts)
    if short:
        return {"missing": f"{short / 1e9:.1f} GB more are needed on the disk of {folder}"}
    full = folder / "full"
    full.mkdir(parents=True)
    filled_in = prefill(full / "store", receipts)
    contestant = Contestant("labbroker", True, labbroker)
    empty_cells, full_cells = [], []
    for number in range(rounds):
        empty = folder / f"empty-{number}"
        empty.mkdir()
        empty_cells.append(_measure(contestant, empty, seconds))
        shutil.rmtree(empty)
        full_cells.append(_measure(contestant, full, seconds))
    before, after = _median(empty_cells), _median(full_cells)
    return {
        "receipts": receipts,
        "filled_in_seconds": round(filled_in, 1),
        "empty": before,
        "full": after,
        "ratio": round(after["per_second"] / before["per_second"], 3),
        "goal": _FULL_STORE_RATIO,
    }


def _measure(contestant: Contestant, folder: Path, seconds: float) -> Cell:
    with contestant.start(folder) as running:
        before = _processor_seconds(running)
        client = [sys.executable, "-m", "bench.load_client", str(running.port)]
        client += ["--connections", str(CONNECTIONS), "--seconds", str(seconds)]
        client += ["--warm-up", str(_WARM_UP_SECONDS)]
        done = subprocess.run(client, capture_output=True, text=True, check=True)
        spent = _processor_seconds(running) - before
    found = json.loads(done.stdout)
    total = found["per_second"] * (seconds + _WARM_UP_SECONDS)
    return Cell(
        per_second=found["per_second"],
        p50_ms=found["p50_ms"],
        p99_ms=found["p99_ms"],
        cpu_us=spent / total * 1e6 if total else float("nan"),
        bad=found["wrong"] + found["lost"],
        start_seconds=running.start_seconds,
    )


def _processor_seconds(running: Running) -> float:
    """User and system time of a process so far (proc(5), stat fields 14 and 15)."""
    stat = Path(f"/proc/{running.process_id}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / _TICKS


def _median(cells: Iterable[Cell]) -> dict[str, float]:
    found = list(cells)
    return {
        name: round(statistics.median(getattr(cell, name) for cell in found), 2)
        for name in ("per_second", "p50_ms", "p99_ms", "cpu_us", "bad", "start_seconds")
    }
