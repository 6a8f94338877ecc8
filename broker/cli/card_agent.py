"""``labbroker card-agent``: holds the cards of this PC for a broker, in the user's session."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import ssl
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.card.agent import CardAgent
from adapters.card.agent_link import AgentLink
from adapters.card.errors import CardPartMissing
from adapters.card.pcsc_readers import PcscReaders
from adapters.card.pin_entry import PinTries
from adapters.card.pkcs11_token import Pkcs11Token
from adapters.card.token_choice import TokenCriteria
from adapters.nhi.eii_jobs import EiiJobs
from adapters.nhi.send_journal import SendJournal
from adapters.nhi.unsigning_credential import CloudSam
from adapters.ports.card_agent import StatusMessage
from adapters.ports.card_state import CardCondition
from broker.bootstrap.eii_seat import local_eii_seat
from broker.cli.card_words import condition_word
from broker.cli.pin_prompt import PinPrompt
from broker.cli.version import installed_version
from broker.config import Settings, load_settings
from broker.config.settings import InstitutionSettings
from broker.stop_signals import on_stop
from broker.store.folder_lock import take_folder_lock
from mapping.errors import LabbrokerError, Language

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

TRIES_FOLDER = "card-agent"
"""In ``data_dir``: the count of wrong PINs, never a PIN."""


JOURNAL = "eii-sends.jsonl"
"""There too: what NHI's library was called for, and what it answered."""


class AgentRuns(LabbrokerError):
    code = "agent-runs"
    en = (
        "Another card agent already works on {folder}.",
        "Stop it first; one agent holds all cards of this PC.",
    )
    zh = (
        "資料夾 {folder} 已有另一個卡片代理程式在執行。",
        "請先停止該程式；一台電腦僅需一個代理程式。",
    )


class JournalUnreadable(LabbrokerError):
    code = "journal-unreadable"
    en = (
        "The list of files that were sent, {file}, cannot be read ({reason}).",
        "Move it away: the agent begins another one, which proves nothing of what was sent before. "
        "Put no older copy in its place: that would deny what was sent since.",
    )
    zh = (
        "無法讀取上傳紀錄檔 {file}（{reason}）。",
        "請將該檔移走；代理程式會另立新紀錄，且不以新紀錄推斷先前是否已上傳。"
        "切勿以較舊的備份取代，否則其後已上傳的檔案會被當成未曾上傳。",
    )


class NoCardSet(LabbrokerError):
    code = "no-card-set"
    en = (
        "The settings name no {what}.",
        "Add it; `labbroker cards pair NAME` writes what belongs into the files of both sides.",
    )
    zh = (
        "設定檔沒有 {what}。",
        "請新增；`labbroker cards pair 名稱` 可產生兩端設定內容。",
    )


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "card-agent",
        description="Hold the cards of this PC and sign what the broker asks for, until Ctrl-C. "
        "PINs are entered here and nowhere else, each for one try.",
    )
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")


def run(arguments: argparse.Namespace) -> int:
    """0 after a clean stop. Raises what the settings and the pairing secret give cause for."""
    settings = load_settings(arguments.config, os.environ)
    if not settings.cards and not sending_institutions(settings):
        raise NoCardSet(what="[[card]]")
    if not settings.agent.brokers or settings.agent.secret is None:
        raise NoCardSet(what="[agent] brokers")
    secret = settings.agent.secret.read(os.environ)
    folder = settings.data_dir / TRIES_FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = take_folder_lock(folder)
    if lock is None:
        # Two would not know of each other's tries and sends.
        raise AgentRuns(folder=folder)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run(settings, secret.reveal(), arguments.language))
    finally:
        os.close(lock)
    return 0


def sending_institutions(settings: Settings) -> list[InstitutionSettings]:
    """Those whose files this PC sends with NHI's library."""
    return [each for each in settings.institutions if each.channel == "eii"]


def eii_jobs(settings: Settings) -> EiiJobs | None:
    """What NHI's library on this PC does for brokers; None where it is not set up. Raises
    :class:`JournalUnreadable`."""
    institutions = sending_institutions(settings)
    if not institutions:
        return None
    path = settings.data_dir / TRIES_FOLDER / JOURNAL
    try:
        journal = SendJournal(path)
    except (OSError, ValueError, KeyError) as error:
        raise JournalUnreadable(file=path, reason=type(error).__name__) from None
    sams = [CloudSam(each.credential_folder, each.code) for each in institutions]
    return EiiJobs(local_eii_seat(settings.eii_channel), sams, journal)


def held_cards(settings: Settings) -> list[Pkcs11Token]:
    """The cards of the settings, none of them looked at yet."""
    tries = PinTries(settings.data_dir / TRIES_FOLDER)
    return [
        Pkcs11Token(
            card.module,
            TokenCriteria(card.name, card.label, card.serial, card.certificate_subject),
            tries,
            card.institution_code,
        )
        for card in settings.cards
    ]


async def _run(settings: Settings, secret: str, language: Language) -> None:
    readers = None
    if settings.agent.readers:
        try:
            readers = PcscReaders()
        except CardPartMissing as error:
            sys.stderr.write(f"{error.sentence(language)} {error.remedy(language)}\n")
    agent = CardAgent(held_cards(settings), readers, installed_version(), eii=eii_jobs(settings))
    trust = None
    if settings.agent.tls_ca is not None:
        trust = ssl.create_default_context(cafile=str(settings.agent.tls_ca))

    def report(url: str, word: str) -> None:
        _say(f"{url}: {_LINK_WORDS[word][language == 'zh']}")

    links = [AgentLink(url, secret, agent, report, trust).run() for url in settings.agent.brokers]
    stopped = asyncio.Event()
    on_stop(stopped.set)
    tasks = [asyncio.create_task(each) for each in (agent.watch(), *links, _tell(agent, language))]
    ends = [asyncio.create_task(stopped.wait()), *tasks]
    if not settings.cards:
        pass  # There is no PIN to be entered.
    elif sys.stdin.isatty():
        tasks.append(asyncio.create_task(PinPrompt(agent, language).run()))
    else:
        _say(_NO_TERMINAL[language == "zh"])
    try:
        # A part that ends by itself has failed: better no agent than half of one.
        ended, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*ends, *tasks):
            task.cancel()
        await asyncio.gather(*ends, *tasks, return_exceptions=True)
        await agent.close()
    for task in ended:
        task.result()


async def _tell(agent: CardAgent, language: Language) -> None:
    """A line for each card that has changed, and for readers that come and go."""
    known: StatusMessage | None = None
    while True:
        before = known
        known = await agent.other_than(known)
        for card in known.cards:
            if before is None or card not in before.cards:
                word = condition_word(card.condition, language)
                _say(f"{card.name}: {word} {card.institution_code}".rstrip())
        for sam in known.sams:
            if before is None or sam not in before.sams:
                word = sam.reason or condition_word(CardCondition.READY, language)
                _say(f"SAM: {word} {sam.institution_code}")
        names = {each.name for each in known.readers}
        past = {each.name for each in before.readers} if before else set()
        for name in sorted(names ^ past):
            words = _READER_THERE if name in names else _READER_GONE
            _say(f"{name}: {words[language == 'zh']}")


_READER_THERE = ("reader is there", "讀卡機已連接")
_READER_GONE = ("reader is gone", "讀卡機已移除")
_LINK_WORDS = {
    "connected": ("connected", "已連線"),
    "refused": ("refused: look at the pairing secret and at TLS", "遭拒：請檢查配對密碼與 TLS"),
    "lost": ("not connected; it is tried again", "未連線，將自動重試"),
}
_NO_TERMINAL = (
    "There is no terminal: nobody can enter a PIN here.",
    "沒有終端機，無法輸入 PIN 碼。",
)


def _say(text: str) -> None:
    sys.stdout.write(f"{datetime.now().astimezone():%H:%M:%S} {text}\n")
    sys.stdout.flush()
