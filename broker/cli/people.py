"""``labbroker people``: who may come in at the console and the API."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.access.roles import Role
from broker.cli.people_store import ask_about_people, people_asker
from broker.cli.store_access import reading
from broker.config import load_settings
from broker.store.people import Account, accounts
from mapping.errors import Language

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_STATES = {"new": "未設密碼", "active": "使用中", "disabled": "停用"}


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "people",
        description="Who may come in at the console and the API. add and reset print a code with "
        "which the person chooses a password, once, within seven days.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listed = verbs.add_parser("list", help="everyone, with role and institutions")
    _shared(listed)
    add = verbs.add_parser("add", help="add a person")
    add.add_argument("login", help="small letters, digits, . - _ @; no national id")
    add.add_argument("--role", required=True, choices=[each.value for each in Role])
    add.add_argument("--name", default="", help="how the person is called")
    add.add_argument("--speaks", choices=["zh", "en"], default="zh", help="language of the pages")
    _institutions(add)
    _shared(add)
    change = verbs.add_parser("change", help="another role, other institutions")
    change.add_argument("login")
    change.add_argument("--role", choices=[each.value for each in Role])
    _institutions(change)
    _shared(change)
    for verb, meaning in (
        ("disable", "sign a person out everywhere and let them in no more"),
        ("enable", "let a disabled person in again"),
        ("reset", "forget password and second factor; a new code"),
    ):
        other = verbs.add_parser(verb, help=meaning)
        other.add_argument("login")
        _shared(other)


def run(arguments: argparse.Namespace) -> int:
    """0 when it is done."""
    store = load_settings(arguments.config, os.environ).store
    if arguments.verb == "list":
        with reading(store) as connection:
            found = accounts(connection)
        for account in found:
            sys.stdout.write(
                json.dumps(_plain(account), ensure_ascii=False) + "\n"
                if arguments.json
                else _line(account, arguments.language)
            )
        return 0
    told: dict[str, Any] = {"login": arguments.login, "by": people_asker(arguments.by)}
    if arguments.verb == "add":
        told |= {"name": arguments.name, "role": arguments.role, "language": arguments.speaks}
        told["institutions"] = arguments.institution or []
    if arguments.verb == "change":
        told |= {"role": arguments.role, "institutions": arguments.institution}
    answer = ask_about_people(store, f"people-{arguments.verb}", told)
    if arguments.json:
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        sys.stdout.write(_text(answer, arguments.language))
    return 0


def _text(answer: dict[str, Any], language: Language) -> str:
    login, code = answer["login"], answer.get("code")
    if code is None:
        return f"{login}：完成\n" if language == "zh" else f"{login}: done\n"
    if language == "zh":
        return f"帳號 {login} 的一次性代碼（七日內有效，登入後設定密碼）：\n{code}\n"
    return f"The one-time code of {login} (seven days; choose a password with it):\n{code}\n"


def _plain(account: Account) -> dict[str, Any]:
    person = account.person
    return {
        "login": person.login,
        "name": person.name,
        "role": person.role.value,
        "institutions": sorted(person.institutions),
        "state": account.state,
        "second_factor": account.second_factor,
        "created_at": account.created_at.isoformat(),
    }


def _line(account: Account, language: Language) -> str:
    person = account.person
    state = _STATES[account.state] if language == "zh" else account.state
    places = "*" if person.everywhere else ",".join(sorted(person.institutions))
    factor = "TOTP" if account.second_factor else "-"
    return f"{person.login}\t{person.role.value}\t{state}\t{factor}\t{places}\t{person.name}\n"


def _institutions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--institution",
        action="append",
        metavar="CODE",
        help="an institution code, or the id of a laboratory's source; once for each",
    )


def _shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", metavar="NAME", help="who decides; default: the user of this login")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="JSON")
