"""``labbroker audit``: who saw and did what, and whether the trail is as it was written."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from broker.audit_export import fhir_audit_event
from broker.cli.store_access import reading
from broker.config import load_settings
from broker.store.access_tables import audit_event
from broker.store.audit_check import Verified, read_anchors, verify_trail
from broker.store.audit_list import list_events
from mapping.errors import Language

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_FAULTS = {
    "changed": ("was changed", "內容遭變更"),
    "missing": ("is missing", "缺少"),
    "broken": ("does not follow the one before", "與前一筆不連續"),
    "cut": ("was the last once; what followed is gone", "之後的紀錄遭刪除"),
    "head": ("is not what the head says", "與總數紀錄不符"),
    "anchor": ("is not the one that was anchored", "與定錨紀錄不符"),
}


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "audit", description="Who saw and did what, and whether the trail is as it was written."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verify = verbs.add_parser("verify", help="hold every row against the chain and the anchors")
    verify.add_argument(
        "--anchors",
        type=Path,
        metavar="FOLDER",
        help="where audit-anchors.txt lies; default: the data folder",
    )
    listed = verbs.add_parser("list", help="the newest events")
    listed.add_argument("--person", default="", metavar="LOGIN", help="of one person")
    listed.add_argument("--limit", type=int, default=50, metavar="N")
    listed.add_argument("--before", type=int, default=0, metavar="NUMBER", help="older than this")
    export = verbs.add_parser("export", help="FHIR R4 AuditEvents, one a line (NDJSON)")
    export.add_argument("--after", type=int, default=0, metavar="NUMBER", help="newer than this")
    for verb in (verify, listed, export):
        verb.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
        if verb is not export:
            verb.add_argument("--json", action="store_true", help="JSON")


def run(arguments: argparse.Namespace) -> int:
    """0; ``verify``: 1 where the trail is not as it was written."""
    settings = load_settings(arguments.config, os.environ)
    with reading(settings.store) as connection:
        if arguments.verb == "verify":
            found = verify_trail(connection, read_anchors(arguments.anchors or settings.data_dir))
            _tell(found, arguments.json, arguments.language)
            return 1 if found.faults else 0
        if arguments.verb == "list":
            _list(connection, arguments)
            return 0
        _export(connection, arguments.after)
    return 0


def _tell(found: Verified, as_json: bool, language: Language) -> None:
    if as_json:
        plain = {
            "events": found.events,
            "digest": found.digest.hex(),
            "anchors": found.anchors,
            "faults": [{"fault": fault.value, "number": number} for fault, number in found.faults],
        }
        sys.stdout.write(json.dumps(plain) + "\n")
        return
    zh = language == "zh"
    for fault, number in found.faults:
        told = _FAULTS[fault.value][zh]
        sys.stdout.write(f"第 {number} 筆：{told}\n" if zh else f"event {number} {told}\n")
    whole = not found.faults
    if zh:
        told = "完整" if whole else f"不完整，共 {len(found.faults)} 處"
        sys.stdout.write(f"稽核紀錄 {found.events} 筆，定錨 {found.anchors} 筆：{told}\n")
    else:
        told = "whole" if whole else f"not whole, {len(found.faults)} faults"
        sys.stdout.write(f"{found.events} events, {found.anchors} anchors: {told}\n")


def _list(connection: Connection, arguments: argparse.Namespace) -> None:
    rows = list_events(
        connection, None, arguments.limit, person=arguments.person, before=arguments.before
    )
    for row in rows[: arguments.limit]:
        if arguments.json:
            plain = {
                "number": row.number,
                "at": row.at.isoformat(),
                "person": row.person,
                "action": row.action,
                "kind": row.kind,
                "subject": row.subject,
                "institution": row.institution,
                "detail": json.loads(row.detail),
            }
            sys.stdout.write(json.dumps(plain, ensure_ascii=False) + "\n")
        else:
            at = row.at.isoformat(timespec="seconds")
            sys.stdout.write(
                f"{row.number}\t{at}\t{row.person}\t{row.action}\t{row.kind}\t{row.subject}\t"
                f"{row.institution}\n"
            )


def _export(connection: Connection, after: int) -> None:
    wanted = select(audit_event).where(audit_event.c.number > after).order_by(audit_event.c.number)
    for row in connection.execute(wanted.execution_options(yield_per=1000)):
        sys.stdout.write(json.dumps(fhir_audit_event(row), ensure_ascii=False) + "\n")
