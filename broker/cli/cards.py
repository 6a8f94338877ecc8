"""``labbroker cards``: readers, cards, validity, tries left; pairing; who is at the desk."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.card.errors import CardAbsent, CardPartMissing
from adapters.card.nhi_patient_card import PatientCard, read_patient_card
from adapters.card.pcsc_readers import PcscReaders, PcscUnavailable
from adapters.ports.card_certificate import CardCertificate
from adapters.ports.card_state import CardState
from broker.bootstrap.cards import plain_card
from broker.card_desk.desk import KnownCard
from broker.cli.card_agent import held_cards
from broker.cli.card_words import card_lines
from broker.cli.control_client import ask_service
from broker.config import Settings, load_settings
from broker.web.control import find_control
from mapping.errors import LabbrokerError, Language
from mapping.rocdate import roc_date

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


class SecretExists(LabbrokerError):
    code = "secret-exists"
    en = ("There is a file {path} already.", "Name another file, or move the old one away.")
    zh = ("檔案 {path} 已存在。", "請改用其他檔名，或先移走舊檔。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "cards",
        description="Show the card readers and cards of this PC and those that agents hold for "
        "the running service: owner, validity, tries left. No PIN is entered.",
    )
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    pair = actions.add_parser("pair", help="make the pairing secret of a card agent")
    pair.add_argument("agent", metavar="NAME", help="what people call the PC with the reader")
    pair.add_argument(
        "--institution", action="append", required=True, metavar="CODE", help="whose cards it holds"
    )
    pair.add_argument(
        "--secret-file", type=Path, required=True, metavar="FILE", help="where the secret goes"
    )
    patient = actions.add_parser("patient", help="say whose NHI card is in the reader")
    patient.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="one JSON object"
    )
    patient.add_argument("--reader", default="", metavar="NAME", help="the reader, or a part of it")


def run(arguments: argparse.Namespace) -> int:
    """0; 1 where ``patient`` finds no NHI card. Raises what the settings give cause for."""
    if arguments.action == "pair":
        return _pair(arguments)
    if arguments.action == "patient":
        return _patient(arguments)
    settings = load_settings(arguments.config, os.environ)
    found = asyncio.run(_look(settings))
    control = find_control(settings.data_dir)
    if control is not None:
        found["service"] = ask_service(control, "cards", b"")
    if arguments.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(_text(found, arguments.language))
    return 0


async def _look(settings: Settings) -> dict[str, Any]:
    """What this PC holds, without entering a PIN."""
    now = datetime.now(UTC)
    found: dict[str, Any] = {"readers": [], "problem": None, "cards": [], "service": None}
    try:
        readers = PcscReaders()
        found["readers"] = [
            {"name": each.name, "has_card": each.has_card, "mute": each.mute, "atr": each.atr}
            for each in await asyncio.to_thread(readers.look)
        ]
        readers.close()
    except (CardPartMissing, PcscUnavailable) as error:
        found["problem"] = {
            "code": error.code,
            "en": [error.sentence("en"), error.remedy("en")],
            "zh": [error.sentence("zh"), error.remedy("zh")],
        }
    states = await asyncio.gather(*(asyncio.to_thread(card.look) for card in held_cards(settings)))
    test_issuers = settings.sandbox_channel.test_issuers
    found["cards"] = [plain_card(_known(state, test_issuers), now) for state in states]
    return found


def _known(state: CardState, test_issuers: tuple[str, ...]) -> KnownCard:
    certificate = None
    if state.certificate:
        certificate = CardCertificate.read(state.certificate.encode("ascii"), test_issuers)
    return KnownCard(state.institution_code, "", state, certificate)


def _text(found: dict[str, Any], language: Language) -> str:
    chinese = language == "zh"
    lines = ["讀卡機" if chinese else "Card readers"]
    if found["problem"]:
        sentence, remedy = found["problem"][language]
        lines += [f"  {sentence}", f"  → {remedy}"]
    for reader in found["readers"]:
        word = ("card", "有卡片") if reader["has_card"] else ("empty", "無卡片")
        if reader["mute"]:
            word = ("the card does not answer", "卡片無回應")
        lines.append(f"  {reader['name']}  {word[chinese]}")
    lines.append("本機卡片" if chinese else "Cards of this PC ([[card]])")
    for card in found["cards"]:
        lines += card_lines(card, language)
    service = found["service"]
    if service is not None:
        lines.append("以卡片簽章的機構" if chinese else "Institutions that sign with a card")
        for card in service["institutions"]:
            lines += card_lines(card, language)
        lines.append("已連線的卡片代理程式" if chinese else "Card agents that are connected")
        for agent in service["agents"]:
            readers = len(agent["readers"])
            count = f"讀卡機 {readers} 台" if chinese else f"{readers} readers"
            lines.append(f"  {agent['agent']}  labbroker {agent['version']}  {count}")
    return "\n".join(lines) + "\n"


def _pair(arguments: argparse.Namespace) -> int:
    secret = secrets.token_urlsafe(32)
    try:
        handle = os.open(arguments.secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SecretExists(path=arguments.secret_file) from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secret + "\n")
    institutions = ", ".join(f'"{code}"' for code in arguments.institution)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    chinese = arguments.language == "zh"
    broker, agent = (
        ("服務端設定檔：", "讀卡機所在電腦的設定檔：")
        if chinese
        else ("Into the broker's settings:", "Into the settings of the PC with the reader:")
    )
    sys.stdout.write(
        f'{broker}\n\n[[pairing]]\nagent = "{arguments.agent}"\n'
        f'secret_sha256 = ["{digest}"]\ninstitutions = [{institutions}]\n\n'
        f'{agent}\n\n[agent]\nbrokers = ["https://…"]\n'
        f'secret = "file:{arguments.secret_file}"\n'
    )
    return 0


def _patient(arguments: argparse.Namespace) -> int:
    readers = PcscReaders()
    with_card = [
        each
        for each in readers.look()
        if each.has_card and arguments.reader.lower() in each.name.lower()
    ]
    try:
        if not with_card:
            raise CardAbsent(name=arguments.reader or "NHI", reason="no reader holds a card")
        failure: LabbrokerError | None = None
        for reader in with_card:
            try:
                with readers.card_in(reader.name) as transmit:
                    card = read_patient_card(transmit)
            except LabbrokerError as error:
                failure = error
                continue
            sys.stdout.write(_patient_text(card, arguments))
            return 0
        assert failure is not None  # noqa: S101 - each reader had a card
        raise failure
    finally:
        readers.close()


def _patient_text(card: PatientCard, arguments: argparse.Namespace) -> str:
    """Only on this terminal: it is neither logged nor sent."""
    if arguments.json:
        return (
            json.dumps(
                {
                    "card_number": card.card_number,
                    "name": card.name,
                    "national_id": card.national_id,
                    "birth_on": card.birth_on.isoformat(),
                    "sex": card.sex,
                    "test_card": card.is_test_card,
                    "valid_id": card.has_valid_id,
                },
                ensure_ascii=False,
            )
            + "\n"
        )
    chinese = arguments.language == "zh"
    name = card.name or ("（姓名含罕用字）" if chinese else "(the name is no Big5)")
    mark = (("測試卡" if chinese else "test card") + "  ") if card.is_test_card else ""
    return f"{mark}{name}  {card.national_id}  {roc_date(card.birth_on)}  {card.sex}\n"
