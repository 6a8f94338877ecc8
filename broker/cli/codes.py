"""``labbroker codes``: what laboratories' own codes mean, decided once a code."""

from __future__ import annotations

import argparse
import getpass
import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.bootstrap.lists import load_lists
from broker.bootstrap.readers import READERS
from broker.cli.codes_decide import TRIED_DAYS, decide, print_outcome
from broker.cli.codes_text import (
    drift_text,
    standing_text,
    suggestions_text,
    unmapped_text,
)
from broker.cli.control_client import ask_service
from broker.cli.store_access import changing, reading, require_store
from broker.code_map_file import write_code_map
from broker.code_maps import (
    decision_to_json,
    with_decisions,
)
from broker.code_validity import CodeValidity
from broker.config import Settings, load_settings
from broker.store.code_maps import (
    decision_history,
    standing,
    standing_decisions,
)
from broker.store.line_habits import Confirmation, changed_habits
from broker.unmapped_codes import UnmappedCode, gather_evidence, unmapped_codes
from broker.web.control import find_control
from mapping.code_suggestions import Suggestion, suggest_codes
from mapping.errors import LabbrokerError
from mapping.moment import TAIPEI

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


class NoSuchCode(LabbrokerError):
    code = "no-such-code"
    en = ("No result waits for the code {code}.", "List them with `labbroker codes unmapped`.")
    zh = ("沒有結果在等待代碼 {code}。", "請以 `labbroker codes unmapped` 查詢。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "codes", description="Say what laboratories' own codes mean, once a code."
    )
    commands = parser.add_subparsers(dest="codes_command", required=True, metavar="COMMAND")

    def command(name: str, description: str) -> argparse.ArgumentParser:
        found = commands.add_parser(name, description=description)
        found.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
        found.add_argument("--json", action="store_true", help="one JSON object")
        return found

    command("unmapped", "List the codes that results wait for, each once.")
    suggest = command("suggest", "Say what unknown codes may mean, and why.")
    suggest.add_argument("code", nargs="?", metavar="CODE", help="one code; default: all of them")
    adopt = command(
        "adopt",
        "Decide all codes that are identical (code, name, unit, specimen) to a confirmed one of "
        "the same laboratory.",
    )
    _deciding(adopt)
    for name, description in (
        ("set", "Decide what a code means; what waits for it goes on by itself."),
        ("unset", "Take back what was decided for a code."),
    ):
        change = command(name, description)
        change.add_argument("source", metavar="SOURCE", help="source id of the settings")
        change.add_argument("code", metavar="CODE", help="as sent; a name where there is no code")
        if name == "set":
            change.add_argument("order", metavar="ORDER", nargs="?", help="NHI order code (h15)")
            change.add_argument("--never", action="store_true", help="these lines are not uploaded")
            change.add_argument("--item", type=int, metavar="N", help="row of a panel (r1)")
        for key in ("specimen", "unit", "method"):
            change.add_argument(f"--{key}", default="", help="only for lines with this one")
        _deciding(change)
    history = command("history", "Show who decided what, and when.")
    history.add_argument("source", nargs="?", default="", metavar="SOURCE")
    history.add_argument("code", nargs="?", default="", metavar="CODE")
    command("drift", "List units and ranges that laboratories changed.")
    confirm = command("confirm", "Say that a changed unit, or changed ranges, of a code are right.")
    confirm.add_argument("source", metavar="SOURCE")
    confirm.add_argument("code", metavar="CODE")
    confirm.add_argument("--unit", default="", help="the unit; without it the ranges")
    confirm.add_argument("--keep", action="store_true", help="the earlier unit is right as well")
    confirm.add_argument("--by", metavar="NAME", help="who decides")
    command("list", "List what is decided now.")
    export = command("export", "Write all that is decided as CSV.")
    export.add_argument("file", type=Path, metavar="FILE")
    take = command("import", "Take decisions from a CSV file; codes that it does not name stay.")
    take.add_argument("file", type=Path, metavar="FILE")
    _deciding(take)


def _deciding(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", metavar="NAME", help="who decides; default: the user of this login")
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason, kept with it")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help=f"say what it would have done to the last {TRIED_DAYS} days, and change nothing",
    )


def run(arguments: argparse.Namespace) -> int:
    """0; ``unmapped`` and ``drift`` 1 where something waits for a person."""
    settings = load_settings(arguments.config, os.environ)
    require_store(settings.store)
    command = arguments.codes_command
    if command == "unmapped":
        return _unmapped(settings, arguments)
    if command == "suggest":
        return _suggest(settings, arguments)
    if command == "drift":
        return _drift(settings, arguments)
    if command == "confirm":
        return _confirm(settings, arguments)
    if command in ("list", "history", "export"):
        return _show(settings, arguments)
    return decide(settings, arguments)


def _unmapped(settings: Settings, arguments: argparse.Namespace) -> int:
    with reading(settings.store) as connection:
        codes = unmapped_codes(connection)
    plain = {"codes": [_unmapped_json(each) for each in codes]}
    print_outcome(arguments, plain, unmapped_text(codes, arguments.language))
    return int(bool(codes))


def _unmapped_json(code: UnmappedCode) -> dict[str, Any]:
    return {
        "source": code.source_id,
        "code": code.code,
        "name": code.name,
        "order_code": code.order_code,
        "count": code.count,
        "due_at": code.due_at.isoformat() if code.due_at else None,
    }


def _suggest(settings: Settings, arguments: argparse.Namespace) -> int:
    found: list[tuple[UnmappedCode, tuple[Suggestion, ...]]] = []
    validity = code_validity(settings)
    with reading(settings.store) as connection:
        profiles = with_decisions(settings.profiles, standing_decisions(connection))
        for code in unmapped_codes(connection):
            if arguments.code in (None, code.code):
                evidence = gather_evidence(connection, code, profiles, READERS)
                suggestions = suggest_codes(evidence)
                # What has ended may still be meant, by older results; what is in force first.
                in_order = sorted(suggestions, key=lambda s: validity.has_ended(s.order_code))
                found.append((code, tuple(in_order)))
    if arguments.code is not None and not found:
        raise NoSuchCode(code=arguments.code)
    plain = {
        "codes": [
            _unmapped_json(code)
            | {"suggestions": [_suggestion_json(each, validity) for each in suggestions]}
            for code, suggestions in found
        ]
    }
    print_outcome(arguments, plain, suggestions_text(found, validity, arguments.language))
    return 0


def code_validity(settings: Settings) -> CodeValidity:
    """By the fee schedule of the settings, as far as it can be read."""
    today = datetime.now(UTC).astimezone(TAIPEI).date()
    return CodeValidity(today, load_lists(settings.lists).lists.order_codes or {})


def _suggestion_json(each: Suggestion, validity: CodeValidity) -> dict[str, Any]:
    first, last = validity.of(each.order_code) or (None, None)
    return {
        "valid_from": first.isoformat() if first else None,
        "valid_until": last.isoformat() if last else None,
        "order_code": each.order_code,
        "item": each.item_number,
        "name": each.name,
        "score": each.score,
        "identical": each.identical,
        "reasons": [reason._asdict() for reason in each.reasons],
    }


def _drift(settings: Settings, arguments: argparse.Namespace) -> int:
    with reading(settings.store) as connection:
        changed = changed_habits(connection)
    plain = {
        "changes": [
            {
                "source": each.habit.source_id,
                "code": each.habit.code,
                "specimen": each.habit.specimen,
                "kind": each.habit.kind.value,
                "group": each.habit.group,
                "value": each.habit.value,
                "before": list(each.before),
                "seen_at": each.seen_at.isoformat(timespec="seconds"),
                "receipt_id": each.receipt_id,
            }
            for each in changed
        ]
    }
    print_outcome(arguments, plain, drift_text(changed, arguments.language))
    return int(bool(changed))


def _confirm(settings: Settings, arguments: argparse.Namespace) -> int:
    confirmation = Confirmation(
        arguments.source,
        arguments.code,
        arguments.unit,
        arguments.keep,
        arguments.by or getpass.getuser(),
    )
    control = find_control(settings.data_dir)
    if control is not None:
        told = ask_service(control, "codes-confirm", json.dumps(asdict(confirmation)).encode())
    else:
        with changing(settings.store) as connection:
            confirmed = confirmation.store(connection, datetime.now(UTC))
            told = {"confirmed": confirmed, "requeued": confirmation.requeue(connection)}
    text = (
        f"{told['confirmed']} 項確認；{told['requeued']} 件收件重新處理\n"
        if arguments.language == "zh"
        else f"{told['confirmed']} confirmed; {told['requeued']} receipts are read again\n"
    )
    print_outcome(arguments, told, text)
    return 0


def _show(settings: Settings, arguments: argparse.Namespace) -> int:
    with reading(settings.store) as connection:
        history = decision_history(connection)
    shown = history if arguments.codes_command == "history" else standing(history)
    if arguments.codes_command == "export":
        arguments.file.write_bytes(write_code_map(shown))
        plain: dict[str, Any] = {"file": str(arguments.file), "decisions": len(shown)}
        print_outcome(arguments, plain, f"{arguments.file}: {len(shown)}\n")
        return 0
    if arguments.codes_command == "history":
        shown = [
            each
            for each in shown
            if arguments.source in ("", each.source_id) and arguments.code in ("", each.local.code)
        ]
    plain = {
        "decisions": [
            decision_to_json(each)
            | {"version": each.version, "at": each.decided_at.isoformat(timespec="seconds")}
            for each in shown
        ]
    }
    print_outcome(arguments, plain, standing_text(shown, arguments.language))
    return 0
