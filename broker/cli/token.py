"""``labbroker token``: with what machines come in at the API."""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from broker.access.roles import Permission
from broker.cli.people_store import ask_about_people, people_asker
from broker.cli.store_access import reading
from broker.config import load_settings
from broker.store.tokens import Token, tokens
from mapping.errors import LabbrokerError, Language

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


class CertificateUnreadable(LabbrokerError):
    code = "certificate-unreadable"
    en = (
        "The file is no certificate in PEM form.",
        "Name one with -----BEGIN CERTIFICATE-----.",
    )
    zh = ("檔案不是 PEM 格式的憑證。", "請指定含 -----BEGIN CERTIFICATE----- 的檔案。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "token",
        description="With what machines come in at the API, in the name of an account. A token is "
        "printed once and kept nowhere.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listed = verbs.add_parser("list", help="all tokens, the newest first")
    _shared(listed)
    add = verbs.add_parser("add", help="a new token of an account")
    add.add_argument("login", help="the account in whose name the machine asks")
    add.add_argument("--name", required=True, help="what the token is for")
    add.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=[each.value for each in Permission],
        help="what it may do; once for each",
    )
    add.add_argument("--days", type=int, metavar="N", help="how long it holds; default: for good")
    add.add_argument(
        "--certificate",
        type=Path,
        metavar="FILE",
        help="let the holder of this client certificate (PEM) in, in place of a token",
    )
    _shared(add)
    revoke = verbs.add_parser("revoke", help="it opens nothing from here on")
    revoke.add_argument("token_id", type=int, metavar="NUMBER")
    _shared(revoke)


def run(arguments: argparse.Namespace) -> int:
    """0 when it is done."""
    store = load_settings(arguments.config, os.environ).store
    if arguments.verb == "list":
        with reading(store) as connection:
            found = tokens(connection)
        for token in found:
            sys.stdout.write(
                json.dumps(_plain(token), ensure_ascii=False) + "\n"
                if arguments.json
                else _line(token)
            )
        return 0
    told: dict[str, Any] = {"by": people_asker(arguments.by)}
    if arguments.verb == "revoke":
        told["token_id"] = arguments.token_id
    else:
        told |= {"login": arguments.login, "name": arguments.name, "scopes": arguments.scope}
        told["days"] = arguments.days
        if arguments.certificate is not None:
            told["certificate"] = base64.b64encode(_certificate(arguments.certificate)).decode()
    answer = ask_about_people(store, f"token-{arguments.verb}", told)
    if arguments.json:
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        sys.stdout.write(_text(answer, arguments.language))
    return 0


def _certificate(path: Path) -> bytes:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    except ValueError as error:
        raise CertificateUnreadable from error


def _text(answer: dict[str, Any], language: Language) -> str:
    zh = language == "zh"
    if answer.get("token"):
        told = "權杖（僅顯示這一次）：" if zh else "The token, shown this once:"
        return f"{told}\n{answer['token']}\n"
    return "完成\n" if zh else "done\n"


def _plain(token: Token) -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "login": token.login,
        "name": token.name,
        "scopes": list(token.scopes),
        "created_at": token.created_at.isoformat(),
        "until": token.until.isoformat() if token.until else None,
        "seen_at": token.seen_at.isoformat() if token.seen_at else None,
        "revoked_at": token.revoked_at.isoformat() if token.revoked_at else None,
    }


def _line(token: Token) -> str:
    until = f"until {token.until.date().isoformat()}" if token.until else "for good"
    state = "revoked" if token.revoked_at else until
    scopes = ",".join(token.scopes)
    return f"{token.token_id}\t{token.login}\t{state}\t{scopes}\t{token.name}\n"


def _shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", metavar="NAME", help="who decides; default: the user of this login")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="JSON")
