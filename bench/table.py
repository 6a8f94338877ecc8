"""The findings of a run as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def render(findings: dict[str, Any]) -> str:
    """All that was measured, one part after the other."""
    parts = {
        "door": _door,
        "full-store": _full_store,
        "convert": _convert,
        "fhir": _fhir,
        "match": _match,
        "seal": _seal,
        "upload": _upload,
        "files": _files,
        "clock": _clock,
        "console": _console,
        "views": _views,
        "rates": _rates,
        "idle": _idle,
        "whole-way": _whole_way,
    }
    return "\n".join("\n".join(parts[name](found)) + "\n" for name, found in findings.items())


def _door(found: dict[str, Any]) -> list[str]:
    rows = [
        ("server", "acknowledged/s", "p50 ms", "p99 ms", "cpu us each", "bad", "ours / it", "goal")
    ]
    for name, one in found["servers"].items():
        ratio = found["ratios"].get(name, {})
        rows.append(
            (
                name,
                f"{one['per_second']:,.0f}",
                f"{one['p50_ms']:.2f}",
                f"{one['p99_ms']:.2f}",
                f"{one['cpu_us']:.0f}",
                f"{one['bad']:.0f}",
                f"{ratio['ours_to_it']:.2f}" if ratio else "",
                f">= {ratio['goal']:g}" if ratio.get("goal") else "",
            )
        )
    lines = ["MLLP door: 20-OBX ORU^R01, 16 connections, the next message only after the AA"]
    lines += _aligned(rows)
    lines.append(
        f"p99 of ours {found['p99_ms']['ours']:.1f} ms (goal < {found['p99_ms']['goal']:g})"
    )
    lines += [f"{name}: not measured, {why}" for name, why in found["missing"].items()]
    return lines


def _clock(found: dict[str, Any]) -> list[str]:
    return [
        f"The clock over {found['records']:,} open records of {found['institutions']} institutions",
        f"what is due next {found['next_due_ms']:.1f} ms (goal < {found['next_due_goal_ms']:g}), "
        f"of it {found['next_due_cpu_ms']:.1f} ms of processor time; with the parts that press "
        f"{found['next_due_parts_cpu_ms']:.1f} ms; the records of one package "
        f"{found['package_ms']:.1f} ms",
        f"the whole plan {found['plan_s']:.1f} s (goal < {found['plan_goal_s']:g}), "
        f"{found['plan_cpu_s']:.1f} s of processor time, {found['plan_mb']:.1f} MB",
        f"a look of the deadline watch {found['watch_s']:.2f} s; filling the store took "
        f"{found['fill_s']:.0f} s",
    ]


def _full_store(found: dict[str, Any]) -> list[str]:
    lines = ["A full store against an empty one"]
    if "missing" in found:
        return [*lines, f"not measured: {found['missing']}"]
    rows = [("store", "acknowledged/s", "p99 ms", "cpu us each", "start s")]
    for name in ("empty", "full"):
        one = found[name]
        rows.append(
            (
                f"{found['receipts']:,} receipts" if name == "full" else name,
                f"{one['per_second']:,.0f}",
                f"{one['p99_ms']:.2f}",
                f"{one['cpu_us']:.0f}",
                f"{one['start_seconds']:.1f}",
            )
        )
    return [
        *lines,
        *_aligned(rows),
        f"full / empty {found['ratio']:.2f} (goal >= {found['goal']:g})",
    ]


def _convert(found: dict[str, Any]) -> list[str]:
    lines = ["From bytes to checked records, one core, processor time"]
    rows = [("message", "messages/s", "average", "observations/s", *_stage_names(found))]
    for name in _MESSAGES:
        one = found[name]
        rows.append(
            (
                name.replace("_", " "),
                f"{one['messages_per_second']:,}",
                f"{one['on_the_average']:,}",
                f"{one['observations_per_second']:,}",
                *(f"{each:.0f} us" for each in one["stages_us"].values()),
            )
        )
    memory = found["memory"]
    return [
        *lines,
        *_aligned(rows),
        f"goal >= {found['goal']:g} messages/s; memory after {memory['messages']:,} messages: "
        f"{memory['before_mb']} -> {memory['after_mb']} MB",
    ]


def _fhir(found: dict[str, Any]) -> list[str]:
    rows = [("format", "bytes", "Bundles/s", "average")]
    for name in ("json", "xml"):
        one = found[name]
        per_second = (f"{one['bundles_per_second']:,}", f"{one['on_the_average']:,}")
        rows.append((name, f"{one['bytes']:,}", *per_second))
    return [
        f"FHIR Bundles of {found['observations']} Observations to reports, processor time",
        *_aligned(rows),
        f"goal >= {found['goal']:g} Bundles/s",
    ]


_MESSAGES = ("one_record_of_20_rows", "20_records_of_one_row")


def _stage_names(found: dict[str, Any]) -> list[str]:
    return list(found[_MESSAGES[0]]["stages_us"])


def _match(found: dict[str, Any]) -> list[str]:
    return [
        f"Matching results to {found['orders']:,} open orders, one core, look-ups included",
        f"{found['results_per_second']:,} results/s (goal >= {found['goal']:,}), "
        f"{found['matched']:.1%} matched by themselves",
    ]


def _seal(found: dict[str, Any]) -> list[str]:
    rows = [("records", "seconds", "records/s", "package MB", "peak MB")]
    for name in ("few", "many"):
        one = found[name]
        rows.append(
            (
                f"{one['records']:,}",
                f"{one['seconds']:.1f}",
                f"{one['records_per_second']:,}",
                f"{one['package_mb']}",
                f"{one['peak_mb']}",
            )
        )
    return [
        "Sealing one package: write, sync, read back, compare",
        *_aligned(rows),
        f"peak grows by {found['peak_growth_mb']} MB (goal: none, and < {found['goal_mb']:g} MB)",
    ]


def _upload(found: dict[str, Any]) -> list[str]:
    return [
        "Checking a finished upload file",
        f"{found['records']:,} records, best {found['records_per_second_best']:,} a second",
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _files(found: dict[str, Any]) -> list[str]:
    """Processor seconds of whole files."""
    stored, compared = found["list_read_and_stored_seconds"], found["list_reconciled_seconds"]
    return [
        "Files, processor seconds",
        f"  CSV of {found['csv_rows']:,} rows to reports: {found['csv_seconds']} (goal <= 10)",
        f"  XLSX of {found['xlsx_rows']:,} rows to reports: {found['xlsx_seconds']}",
        f"  list of {found['list_rows']:,} cases not uploaded: read and stored {stored}, "
        f"compared {compared} (goal <= 5 together)",
    ]


def _rates(found: dict[str, Any]) -> list[str]:
    return [
        "Rates of all institutions and groups, with outlook and the orders to the next tier",
        f"  {found['institutions']:,} institutions, {found['groups']} groups, "
        f"{found['orders']:,} orders: {found['seconds']} s, {found['cpu_seconds']} s of processor "
        f"time (goal <= {found['goal']})",
    ]


def _idle(found: dict[str, Any]) -> list[str]:
    return [
        "A service with nothing to do: its doors open, a folder looked at once a second",
        f"{found['percent_of_a_core']:.2f} % of a core over {found['seconds']:.0f} s "
        f"(goal < {found['goal_percent']:g} %)",
    ]


def _whole_way(found: dict[str, Any]) -> list[str]:
    return [
        "From bytes at the door to accepted by the stand-in gateway, with all on one machine",
        f"{found['orders']:,} orders in {found['seconds']} s: {found['orders_per_second']:,} a "
        f"second (goal >= {found['goal']:g}); all acknowledged after "
        f"{found['acknowledged_seconds']} s; {found['service_ms_each']} ms of the service's "
        f"processor time each, {found['stand_in_ms_each']} ms of the stand-in's",
    ]


def _console(found: dict[str, Any]) -> list[str]:
    rows = [("page, who", "first ms", "p50 ms", "p95 ms", "processor ms")]
    for name, one in found["pages"].items():
        figures = (one["first ms"], one["median ms"], one["p95 ms"], one["cpu ms"])
        rows.append((name, *(f"{each:.1f}" for each in figures)))
    goal = f"goal: p95 < {found['goal ms']:g} ms"
    over = ", ".join(found["over"]) or "none"
    return [
        f"The console at {found['records']:,} records, one core",
        *_aligned(rows),
        f"{len(found['pages'])} pages, {goal}; over it: {over}",
    ]


def _views(found: dict[str, Any]) -> list[str]:
    return [
        "Live views of a full store, one core",
        *_aligned([(name, str(value)) for name, value in found.items()]),
    ]
