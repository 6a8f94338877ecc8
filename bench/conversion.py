"""From bytes to a checked record, on one core: messages a second, where the time goes, memory.

Times are processor time of this process, so that a busy machine does not count against them.
Run as a program, it prints its findings as one JSON object: memory is only told apart in a
process of its own.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from adapters.hl7.oru import read_hl7
from bench.message import CODES, chemistry, panels, visits
from broker.demo.people import CLINIC, LAB
from broker.drafting import Draft, Drafting
from mapping.agreements import find_agreement
from mapping.codes import split_orders
from mapping.convert import convert
from mapping.finding import Severity
from mapping.match import match_visit
from mapping.moment import TAIPEI
from mapping.profile import Agreement, Route, SourceProfile
from mapping.record import Field, UploadRecord, replace_header
from mapping.rules import RuleContext, check_record
from mapping.visit import Visit

MESSAGES_FOR_MEMORY = 20_000
GOAL_PER_SECOND = 1000.0

_PROFILE = SourceProfile(
    "bench-lab", lab_code=LAB, clinic_code=CLINIC, codes=CODES, default_method="Analyzer"
)
_AGREEMENT = Agreement(LAB, CLINIC, Route.CLINIC)
_DRAFTING = Drafting((_AGREEMENT,), frozenset({CLINIC}))


def measure(seconds: float) -> dict[str, Any]:
    """One record of twenty rows from each message, then twenty records of one row."""
    now = datetime.now(UTC)
    by_person = {each.national_id: [(number, each)] for number, each in enumerate(visits(), 1)}

    def visits_of(_: str, person: str) -> Sequence[tuple[int, Visit]]:
        return by_person[person]

    def work(raw: bytes) -> list[Draft]:
        return _DRAFTING.drafts(read_hl7(raw, _PROFILE).reports, _PROFILE, now, visits_of)

    panel = [each.content(b"%016d" % number) for number, each in enumerate(panels())]
    profile = [chemistry().content(b"%016d" % number) for number in range(len(panel))]
    for raw, records in ((panel[0], 1), (profile[0], 20)):
        drafts = work(raw)
        assert len(drafts) == records
        assert all(each.record is not None and each.held_reason is None for each in drafts)
    found: dict[str, Any] = {"goal": GOAL_PER_SECOND}
    for name, messages in (("one_record_of_20_rows", panel), ("20_records_of_one_row", profile)):
        best, average = _seconds_each(partial(_work_off, work, messages), len(messages), seconds)
        found[name] = {
            "bytes": len(messages[0]),
            "messages_per_second": round(1 / best),
            "on_the_average": round(1 / average),
            "observations_per_second": round(20 / best),
            "stages_us": _stages(messages, now, by_person, seconds / 4),
        }
    found["memory"] = _memory(work, panel)
    return found


def checked_records() -> list[UploadRecord]:
    """Of each person one record of twenty rows and four of one row."""
    now = datetime.now(UTC)
    by_person = {each.national_id: [(number, each)] for number, each in enumerate(visits(), 1)}
    first = next(iter(by_person))
    records = []
    for number, template in enumerate((*panels(), chemistry())):
        reports = read_hl7(template.content(b"%016d" % number), _PROFILE).reports
        drafts = _DRAFTING.drafts(reports, _PROFILE, now, lambda _, person: by_person[person])
        records += [draft.record for draft in drafts if draft.record is not None]
    one_row = records[-20:]
    whose = [Field(person, "made up") for person in by_person if person != first]
    records += [
        replace_header(one_row[number % 20], {"h9": person})
        for number in range(4)
        for person in whose
    ]
    return records


def _seconds_each(work: Callable[[], object], count: int, seconds: float) -> tuple[float, float]:
    """Processor seconds for one of ``count``: in the best pass, and on the average.

    The best pass is the one least disturbed by whoever shares the core and its caches.
    """
    work()
    passes, spent, best = 0, 0.0, float("inf")
    while spent < seconds:
        began = time.process_time()
        work()
        took = time.process_time() - began
        passes, spent, best = passes + 1, spent + took, min(best, took)
    return best / count, spent / passes / count


def _stages(
    messages: Sequence[bytes],
    now: datetime,
    by_person: dict[str, list[tuple[int, Visit]]],
    seconds: float,
) -> dict[str, float]:
    """Microseconds of each part of the way of one message, each measured alone."""
    today = now.astimezone(TAIPEI).date()
    context = RuleContext(today=today)
    reports = [read_hl7(raw, _PROFILE).reports[0] for raw in messages]
    orders = [
        (report, order) for report in reports for order in split_orders(report, _PROFILE).orders
    ]
    matched = []
    for report, order in orders:
        known = [visit for _, visit in by_person[report.patient.national_id]]
        match = match_visit(report, order.order_code, CLINIC, known)
        assert match.visit is not None
        assert match.order is not None
        matched.append((report, order, match.visit, match.order, known))
    records = [
        convert(report, order, visit, wanted, _AGREEMENT, _PROFILE, now).record
        for report, order, visit, wanted, _ in matched
    ]
    assert not any(
        finding.severity is Severity.ERROR
        for each in records
        for finding in check_record(each, context)
    )

    def match_all() -> None:
        for report, order, _, _, known in matched:
            match_visit(report, order.order_code, CLINIC, known)

    def convert_all() -> None:
        for report, order, visit, wanted, _ in matched:
            find_agreement((_AGREEMENT,), LAB, CLINIC, order.order_code, today)
            convert(report, order, visit, wanted, _AGREEMENT, _PROFILE, now)

    stages: dict[str, Callable[[], object]] = {
        "decode and parse": lambda: [read_hl7(raw, _PROFILE) for raw in messages],
        "split into orders": lambda: [split_orders(report, _PROFILE) for report in reports],
        "match": match_all,
        "convert": convert_all,
        "check": lambda: [check_record(each, context) for each in records],
    }
    return {
        name: round(_seconds_each(stage, len(messages), seconds)[0] * 1e6, 1)
        for name, stage in stages.items()
    }


def _work_off(work: Callable[[bytes], object], messages: Sequence[bytes]) -> None:
    for raw in messages:
        work(raw)


def _memory(work: Callable[[bytes], object], messages: Sequence[bytes]) -> dict[str, float]:
    """Resident megabytes before and after many messages; flat when the two are alike."""
    endless = cycle(messages)
    before = resident_mb()
    for _ in range(MESSAGES_FOR_MEMORY):
        work(next(endless))
    after = resident_mb()
    return {
        "messages": MESSAGES_FOR_MEMORY,
        "before_mb": round(before, 1),
        "after_mb": round(after, 1),
        "growth_mb": round(after - before, 1),
    }


def resident_mb(which: str = "VmRSS") -> float:
    """Of this process, now (``VmRSS``) or at its peak (``VmHWM``), proc(5)."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(which)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.conversion")
    parser.add_argument("--seconds", type=float, default=5.0)
    print(json.dumps(measure(parser.parse_args().seconds)))
