"""``python -m bench``: what the service does in a second, and what it costs. See
``docs/explanation/speed.md``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import (
    check_upload,
    console_pages,
    door,
    fhir_bundles,
    files,
    idle,
    live_views,
    matching,
    rates,
    sealing,
    whole_way,
)
from bench.clock import RECORDS as OPEN_RECORDS
from bench.clock import run as run_clock
from bench.table import render

PARTS = (
    "door",
    "full-store",
    "convert",
    "fhir",
    "match",
    "clock",
    "seal",
    "upload",
    "files",
    "console",
    "views",
    "rates",
    "idle",
    "whole-way",
)


def main() -> int:
    """Measure and print. 0 whatever the figures are: this tells, it does not judge."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seconds", type=float, help="of each measurement (5, quick: 2)")
    parser.add_argument("--rounds", type=int, help="interleaved rounds at the door (3, quick: 1)")
    parser.add_argument(
        "--prefill", type=int, help="receipts in the full store (1,000,000, quick: 50,000)"
    )
    parser.add_argument("--quick", action="store_true", help="a first impression in two minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--folder", type=Path, help="where to work: a local disk (default: temp)")
    asked = parser.parse_args()
    unknown = set(asked.only.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"--only knows {', '.join(PARTS)}, not {', '.join(sorted(unknown))}")
    quick: bool = asked.quick
    seconds = asked.seconds or (2.0 if quick else 5.0)
    rounds = asked.rounds or (1 if quick else 3)
    receipts = asked.prefill or (50_000 if quick else 1_000_000)
    orders = matching.ORDERS // (20 if quick else 1)
    findings: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="labbroker-bench-", dir=asked.folder) as place:
        folder = Path(place)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "door": lambda: door.beside_peers(folder / "door", seconds, rounds),
            "full-store": lambda: door.full_store(folder / "full", seconds, rounds, receipts),
            "convert": lambda: _convert(seconds),
            "fhir": lambda: fhir_bundles.measure(seconds),
            "match": lambda: matching.run(folder / "match", seconds, orders),
            "seal": lambda: sealing.compare(sealing.RECORDS // (10 if quick else 1)),
            "upload": lambda: check_upload.run(seconds),
            "files": files.run,
            "clock": lambda: run_clock(folder / "clock", OPEN_RECORDS // (20 if quick else 1)),
            "console": lambda: console_pages.run(folder / "console", receipts),
            "views": lambda: live_views.run(folder / "views", receipts),
            "rates": lambda: rates.run(folder / "rates", rates.ORDERS // (20 if quick else 1)),
            "idle": lambda: idle.run(folder / "idle"),
            "whole-way": lambda: whole_way.run(
                folder / "whole-way", whole_way.PEOPLE // (10 if quick else 1)
            ),
        }
        for name in PARTS:
            if name not in asked.only.split(","):
                continue
            if not asked.json:
                print(f"measuring: {name} …", file=sys.stderr, flush=True)
            findings[name] = parts[name]()
            if not asked.json:
                print(render({name: findings[name]}), flush=True)
    if asked.json:
        print(json.dumps(findings, indent=2))
    return 0


def _convert(seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.conversion", "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
