"""How decisions about local codes are made and tried: ``labbroker codes set``, ``unset``,
``adopt`` and ``import``."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from broker.bootstrap.readers import READERS
from broker.cli.codes_text import outcome_text, trial_json, trial_text
from broker.cli.control_client import ask_service
from broker.cli.store_access import changing, reading
from broker.code_map_file import read_code_map
from broker.code_maps import decision_to_json, link_waiting, require_usable, with_decisions
from broker.code_trial import Trial, try_profiles
from broker.config import Settings
from broker.drafting import Drafting
from broker.store.code_maps import CodeDecision, add_decisions, standing, standing_decisions
from broker.unmapped_codes import gather_evidence, unmapped_codes
from broker.web.control import find_control
from mapping.code_map import LocalCode
from mapping.code_suggestions import suggest_codes
from mapping.errors import LabbrokerError

TRIED_DAYS = 30
"""How far back a dry run looks."""


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


def print_outcome(arguments: argparse.Namespace, plain: Any, text: str) -> None:
    """As JSON where that was asked for, else for a person."""
    sys.stdout.write(json.dumps(plain, ensure_ascii=False) + "\n" if arguments.json else text)


def decide(settings: Settings, arguments: argparse.Namespace) -> int:
    """Carry out ``set``, ``unset``, ``adopt`` or ``import``, or only try it. Returns 0."""
    by = arguments.by or getpass.getuser()
    with reading(settings.store) as connection:
        now = standing_decisions(connection)
        if arguments.codes_command == "import":
            decisions = _imported(arguments, by, now)
        elif arguments.codes_command == "adopt":
            decisions = _identical(settings, connection, by, now)
        else:
            names = {(each.source_id, each.code): each.name for each in unmapped_codes(connection)}
            name = names.get((arguments.source, arguments.code), "")
            decisions = [_decision(arguments, by, name, now)]
        for each in decisions:
            require_usable(each, settings.profiles)
        if arguments.dry_run:
            trial = _try(settings, connection, now, decisions)
            print_outcome(
                arguments,
                {"decisions": len(decisions)} | trial_json(trial),
                trial_text(trial, len(decisions), arguments.language),
            )
            return 0
    told = _tell(settings, decisions)
    print_outcome(arguments, told, outcome_text(told, arguments.language))
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


def _identical(
    settings: Settings, connection: Connection, by: str, now: Sequence[CodeDecision]
) -> list[CodeDecision]:
    """Only for the unit and specimen that were compared."""
    profiles = with_decisions(settings.profiles, now)
    decisions = []
    for code in unmapped_codes(connection):
        evidence = gather_evidence(connection, code, profiles, READERS)
        same = [each for each in suggest_codes(evidence) if each.identical]
        if len(same) == 1:
            local = LocalCode(code.code, evidence.specimens[0], evidence.units[0])
            decisions.append(
                CodeDecision(
                    code.source_id,
                    local,
                    same[0].order_code,
                    same[0].item_number,
                    name=code.name,
                    decided_by=by,
                    reason=f"identical to {same[0].identical}",
                )
            )
    return decisions


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
        datetime.now(UTC) - timedelta(days=TRIED_DAYS),
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
    with changing(settings.store) as connection:
        version = add_decisions(connection, decisions, datetime.now(UTC))
        requeued = link_waiting(connection, settings.profiles)
    return {"version": version, "decisions": len(decisions), "requeued": requeued}
