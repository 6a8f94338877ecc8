"""``labbroker codes``: what laboratories' own codes mean, decided once a code."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from broker.bootstrap.readers import READERS
from broker.cli.codes_text import (
    drift_text,
    outcome_text,
    standing_text,
    suggestions_text,
    trial_json,
    trial_text,
    unmapped_text,
)
from broker.cli.control_client import ask_service
from broker.code_map_file import read_code_map, write_code_map
from broker.code_maps import (
    decision_to_json,
    link_waiting,
    require_usable,
    with_decisions,
)
from broker.code_trial import Trial, try_profiles
from broker.config import Settings, load_settings
from broker.drafting import Drafting
from broker.store.code_maps import (
    CodeDecision,
    add_decisions,
    decision_history,
    standing,
    standing_decisions,
)
from broker.store.engine import STORE_FILE, StoreMissing, open_reader, open_snapshot, open_writer
from broker.store.line_habits import Confirmation, changed_habits
from broker.unmapped_codes import UnmappedCode, gather_evidence, unmapped_codes
from broker.web.control import find_control
from mapping.code_map import LocalCode
from mapping.code_suggestions import Suggestion, suggest_codes
from mapping.errors import LabbrokerError

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_DAYS = 30


class NoSuchCode(LabbrokerError):
    code = "no-such-code"
    en = ("No result waits for the code {code}.", "List them with `labbroker codes unmapped`.")
    zh = ("沒有結果在等待代碼 {code}。", "請以 `labbroker codes unmapped` 查詢。")


class NoDecision(LabbrokerError):
    code = "no-decision"
    en = (
        "Nothing is decided for the code {code} of {source} with this specimen, unit and method.",
        "List what is decided with `labbroker codes list`; change a link of the settings there.",
    )
    zh = (
        "來源 {source} 的代碼 {code}（檢體、單位、方法）沒有對應紀錄。",
        "請以 `labbroker codes list` 查詢；設定檔中的對應請於設定檔修改。",
    )


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
        help=f"say what it would have done to the last {_DAYS} days, and change nothing",
    )


def run(arguments: argparse.Namespace) -> int:
    """0; ``unmapped`` and ``drift`` 1 where something waits for a person."""
    settings = load_settings(arguments.config, os.environ)
    if not (settings.data_dir / STORE_FILE).exists():
        raise StoreMissing(folder=settings.data_dir)
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
    return _decide(settings, arguments)


def _print(arguments: argparse.Namespace, plain: Any, text: str) -> None:
    sys.stdout.write(json.dumps(plain, ensure_ascii=False) + "\n" if arguments.json else text)


def _unmapped(settings: Settings, arguments: argparse.Namespace) -> int:
    reader = open_reader(settings.data_dir)
    try:
        with open_snapshot(reader) as connection:
            codes = unmapped_codes(connection)
    finally:
        reader.dispose()
    plain = {"codes": [_unmapped_json(each) for each in codes]}
    _print(arguments, plain, unmapped_text(codes, arguments.language))
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
    reader = open_reader(settings.data_dir)
    try:
        with open_snapshot(reader) as connection:
            profiles = with_decisions(settings.profiles, standing_decisions(connection))
            for code in unmapped_codes(connection):
                if arguments.code in (None, code.code):
                    evidence = gather_evidence(connection, code, profiles, READERS)
                    found.append((code, suggest_codes(evidence)))
    finally:
        reader.dispose()
    if arguments.code is not None and not found:
        raise NoSuchCode(code=arguments.code)
    plain = {
        "codes": [
            _unmapped_json(code) | {"suggestions": [_suggestion_json(each) for each in suggestions]}
            for code, suggestions in found
        ]
    }
    _print(arguments, plain, suggestions_text(found, arguments.language))
    return 0


def _suggestion_json(each: Suggestion) -> dict[str, Any]:
    return {
        "order_code": each.order_code,
        "item": each.item_number,
        "name": each.name,
        "score": each.score,
        "identical": each.identical,
        "reasons": [reason._asdict() for reason in each.reasons],
    }


def _drift(settings: Settings, arguments: argparse.Namespace) -> int:
    reader = open_reader(settings.data_dir)
    try:
        with open_snapshot(reader) as connection:
            changed = changed_habits(connection)
    finally:
        reader.dispose()
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
    _print(arguments, plain, drift_text(changed, arguments.language))
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
        engine = open_writer(settings.data_dir)
        try:
            with engine.begin() as connection:
                confirmed = confirmation.store(connection, datetime.now(UTC))
                told = {"confirmed": confirmed, "requeued": confirmation.requeue(connection)}
        finally:
            engine.dispose()
    text = (
        f"{told['confirmed']} 項確認；{told['requeued']} 件收件重新處理\n"
        if arguments.language == "zh"
        else f"{told['confirmed']} confirmed; {told['requeued']} receipts are read again\n"
    )
    _print(arguments, told, text)
    return 0


def _show(settings: Settings, arguments: argparse.Namespace) -> int:
    reader = open_reader(settings.data_dir)
    try:
        with open_snapshot(reader) as connection:
            history = decision_history(connection)
    finally:
        reader.dispose()
    shown = history if arguments.codes_command == "history" else standing(history)
    if arguments.codes_command == "export":
        arguments.file.write_bytes(write_code_map(shown))
        plain: dict[str, Any] = {"file": str(arguments.file), "decisions": len(shown)}
        _print(arguments, plain, f"{arguments.file}: {len(shown)}\n")
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
    _print(arguments, plain, standing_text(shown, arguments.language))
    return 0


def _decide(settings: Settings, arguments: argparse.Namespace) -> int:
    by = arguments.by or getpass.getuser()
    reader = open_reader(settings.data_dir)
    try:
        with open_snapshot(reader) as connection:
            now = standing_decisions(connection)
            if arguments.codes_command == "import":
                decisions = _imported(arguments, by, now)
            else:
                names = {
                    (each.source_id, each.code): each.name for each in unmapped_codes(connection)
                }
                name = names.get((arguments.source, arguments.code), "")
                decisions = [_decision(arguments, by, name, now)]
            for each in decisions:
                require_usable(each, settings.profiles)
            if arguments.dry_run:
                trial = _try(settings, connection, now, decisions)
                _print(
                    arguments,
                    {"decisions": len(decisions)} | trial_json(trial),
                    trial_text(trial, len(decisions), arguments.language),
                )
                return 0
    finally:
        reader.dispose()
    told = _tell(settings, decisions)
    _print(arguments, told, outcome_text(told, arguments.language))
    return 0


def _decision(
    arguments: argparse.Namespace, by: str, name: str, now: Sequence[CodeDecision]
) -> CodeDecision:
    local = LocalCode(arguments.code, arguments.specimen, arguments.unit, arguments.method)
    standing_now = {(each.source_id, each.local.key()): each for each in now}
    known = standing_now.get((arguments.source, local.key()))
    if arguments.codes_command == "unset":
        if known is None:
            raise NoDecision(source=arguments.source, code=arguments.code)
        return CodeDecision(
            arguments.source,
            known.local,
            withdrawn=True,
            name=known.name,
            decided_by=by,
            reason=arguments.why,
        )
    if bool(arguments.order) == arguments.never:
        raise OrderOrNever()
    return CodeDecision(
        arguments.source,
        local,
        (arguments.order or "").upper(),
        arguments.item,
        name=name or (known.name if known else ""),
        decided_by=by,
        reason=arguments.why,
    )


class OrderOrNever(LabbrokerError):
    code = "order-or-never"
    en = (
        "A code needs either an order code or --never.",
        "Write `labbroker codes set SOURCE CODE ORDER`, or --never where it is not uploaded.",
    )
    zh = (
        "須指定醫令代碼或 --never 其中之一。",
        "請輸入 `labbroker codes set 來源 代碼 醫令`；不上傳者加 --never。",
    )


def _imported(
    arguments: argparse.Namespace, by: str, now: Sequence[CodeDecision]
) -> list[CodeDecision]:
    """What the file says anew; rows that say what stands already are left out."""
    known = {
        (each.source_id, each.local.key()): (each.order_code, each.item_number) for each in now
    }
    return [
        each if each.reason else replace(each, reason=arguments.why)
        for each in read_code_map(arguments.file.read_bytes(), by)
        if known.get((each.source_id, each.local.key())) != (each.order_code, each.item_number)
    ]


def _try(
    settings: Settings,
    connection: Connection,
    now: Sequence[CodeDecision],
    new: Sequence[CodeDecision],
) -> Trial:
    shown = sys.stderr.isatty()
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if shown and done % 100 == 0:
            sys.stderr.write(f"\r{done} ")

    before = with_decisions(settings.profiles, now)
    after = dict(before)
    touched = {each.source_id for each in new}
    mapped = with_decisions(settings.profiles, standing([*now, *new]))
    after.update({source_id: mapped[source_id] for source_id in touched})
    trial = try_profiles(
        connection,
        before,
        after,
        Drafting(settings.agreements, frozenset(each.code for each in settings.institutions)),
        READERS,
        datetime.now(UTC) - timedelta(days=_DAYS),
        step,
    )
    if shown and done >= 100:
        sys.stderr.write("\r")
    return trial


def _tell(settings: Settings, decisions: Sequence[CodeDecision]) -> dict[str, Any]:
    """The running service, or the store itself where none runs."""
    control = find_control(settings.data_dir)
    if control is not None:
        body = json.dumps([decision_to_json(each) for each in decisions]).encode()
        return ask_service(control, "codes", body)
    engine = open_writer(settings.data_dir)
    try:
        with engine.begin() as connection:
            version = add_decisions(connection, decisions, datetime.now(UTC))
            requeued = link_waiting(connection, settings.profiles)
    finally:
        engine.dispose()
    return {"version": version, "decisions": len(decisions), "requeued": requeued}
