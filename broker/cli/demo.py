"""``labbroker demo``: the main job, end to end, on this machine, with made-up people."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.folder.formats.ic_card_writer import write_ic_card
from broker.bootstrap.people_orders import first_code
from broker.demo.cards import CARDS, card_at_desk, patients_at_desk
from broker.demo.channels import CHANNELS
from broker.demo.messages import (
    Times,
    corrected_message,
    fhir_bundles,
    hl7_messages,
    result_file,
)
from broker.demo.people import visits
from broker.demo.person import Person, working
from broker.demo.rehearsal import Rehearsal, rehearsal
from broker.demo.senders import drop_file, post_fhir, send_folder, send_hl7
from broker.demo.summary import padded, render, summarize
from broker.demo.words import told
from broker.stop_signals import on_stop
from mapping.errors import LabbrokerError

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_PATIENCE_SECONDS = 120


class CardNotForChannel(LabbrokerError):
    code = "card-not-for-channel"
    en = (
        "A card does not sign for the channel {channel}.",
        "Use --card pkcs11 with --channel sandbox.",
    )
    zh = ("通道 {channel} 不以卡片簽章。", "請以 --channel sandbox 搭配 --card pkcs11。")


class NothingToSend(LabbrokerError):
    code = "nothing-to-send"
    en = ("There is no folder {folder} with files to send.", "Name a folder with --input.")
    zh = ("資料夾 {folder} 不存在或沒有檔案。", "請以 --input 指定資料夾。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "demo", description="Run the main job with made-up results and a stand-in for NHI."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--channel", choices=CHANNELS, default="sandbox", help="the way to the stand-in for NHI"
    )
    parser.add_argument(
        "--card",
        choices=CARDS,
        help="pkcs11: a token signs what is sent; pcsc: patient cards at a virtual reader",
    )
    parser.add_argument("--serve", action="store_true", help="leave it running afterwards")
    parser.add_argument(
        "--input", type=Path, metavar="DIR", help="send the files of this folder instead"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep everything in this folder")


def run(arguments: argparse.Namespace) -> int:
    """0 when everything that was sent came to rest. Raises ``PartMissing``."""
    if arguments.card == "pkcs11" and arguments.channel != "sandbox":
        raise CardNotForChannel(channel=arguments.channel)
    if arguments.input is not None and not arguments.input.is_dir():
        raise NothingToSend(folder=arguments.input)
    if arguments.data is not None:
        arguments.data.mkdir(parents=True, exist_ok=True)
        asyncio.run(_until_told(arguments, arguments.data.resolve()))
        return 0
    with tempfile.TemporaryDirectory(prefix="labbroker-demo-") as folder:
        asyncio.run(_until_told(arguments, Path(folder)))
    return 0


async def _until_told(arguments: argparse.Namespace, folder: Path) -> None:
    """Raises ``KeyboardInterrupt`` when told to end, with what was started ended first."""
    work = asyncio.create_task(_run(arguments, folder))
    on_stop(work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _run(arguments: argparse.Namespace, folder: Path) -> None:
    chinese = arguments.language == "zh"
    sent: list[dict[str, Any]] = []

    def tell(door: str, what: str, answer: str) -> None:
        sent.append({"door": door, "what": what, "answer": answer})
        if not arguments.json:
            language = arguments.language
            line = f"  {door:<6}{padded(told(what, language), 44)} -> {told(answer, language)}"
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(
            rehearsal(
                folder,
                "zh-TW" if chinese else "en",
                arguments.channel,
                by_card=arguments.card == "pkcs11",
            )
        )
        if arguments.channel == "portal":
            person = Person(folder, stage.settings.data_dir, stage.gateway, tell)
            await stack.enter_async_context(working(person))
        if not arguments.json:
            sys.stdout.write(_opening(stage, chinese))
        if stage.token is not None:
            await stack.enter_async_context(card_at_desk(stage.token, stage.broker, tell))
        if arguments.card == "pcsc":
            await asyncio.to_thread(patients_at_desk, folder / "reader", tell)
        if arguments.input is None:
            await _send_scenario(stage, tell)
        else:
            await send_folder(stage, arguments.input, tell)
        async with asyncio.timeout(_PATIENCE_SECONDS + len(sent)):
            await _inbox_taken(stage)
            await stage.broker.at_rest()
        summary = summarize(stage.broker.reader, arguments.language)
        if arguments.json:
            numbers = {**summary.numbers, "sent": sent}
            sys.stdout.write(json.dumps(numbers, ensure_ascii=False) + "\n")
        else:
            sys.stdout.write("\n" + render(summary, arguments.language))
        sys.stdout.flush()
        if arguments.serve:
            sys.stdout.write(_still_running(stage, chinese))
            sys.stdout.flush()
            await stage.broker.wait_stopped()


async def _send_scenario(stage: Rehearsal, tell: Any) -> None:
    now = datetime.now(UTC)
    times = Times.before(now)
    drop_file(stage.visits_inbox, "visits.xml", write_ic_card(visits(now)))
    tell("file", "the clinic's visits (IC card upload 1.0)", "dropped")
    await _inbox_taken(stage)
    await stage.broker.at_rest()
    await send_hl7(stage, hl7_messages(times), tell)
    await post_fhir(stage, fhir_bundles(times), tell)
    name, raw = result_file(times)
    drop_file(stage.lab_inbox, name, raw)
    tell("file", f"{name}: three results", "dropped")
    await _inbox_taken(stage)
    await stage.broker.at_rest()
    await send_hl7(stage, corrected_message(times), tell)


async def _inbox_taken(stage: Rehearsal) -> None:
    """Until the folder door has taken or refused every file."""

    def waiting() -> bool:
        return any(
            path.is_file()
            for inbox in (stage.lab_inbox, stage.visits_inbox)
            for path in inbox.iterdir()
        )

    while waiting():  # noqa: ASYNC110 - the state is in the file system
        await asyncio.sleep(0.05)


def _opening(stage: Rehearsal, chinese: bool) -> str:
    doors = (
        f"MLLP 127.0.0.1:{stage.broker.mllp_port}, "
        f"FHIR http://127.0.0.1:{stage.broker.http_port}/fhir, {stage.lab_inbox}"
    )
    if chinese:
        return f"labbroker 已啟動（{doors}），以演練閘道代替健保署。\n\n"
    return f"labbroker is up ({doors}); a stand-in plays NHI's gateway.\n\n"


def _still_running(stage: Rehearsal, chinese: bool) -> str:
    address = f"http://127.0.0.1:{stage.broker.http_port}"
    settings = stage.folder / "labbroker.toml"
    login, code = first_code(stage.broker.settings.data_dir) or ("admin", "")
    if chinese:
        return (
            f"\n服務仍在執行（設定檔 {settings}）。按 Ctrl-C 結束。\n"
            f"請以瀏覽器開啟 {address}，帳號 {login}，一次性代碼 {code}。\n"
        )
    return (
        f"\nIt is still running (settings: {settings}). Ctrl-C ends it.\n"
        f"Open {address} in a browser: login {login}, one-time code {code}\n"
    )
