"""``labbroker init``: a few questions, then a commented ``labbroker.toml`` and its folders."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import secrets
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from broker.config import load_settings
from broker.config.starter import (
    CHANNELS,
    INSTITUTION_CODE,
    ROUTES,
    WAYS,
    Answers,
    starter_settings,
)
from mapping.errors import LabbrokerError, Language
from mapping.moment import TAIPEI

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_LAB_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_COMMISSIONS = ("specimen", "patient")


class SettingsExist(LabbrokerError):
    code = "settings-exist"
    en = (
        "There is a settings file already: {file}.",
        "Change it by hand, or name another one with --file. Nothing was written.",
    )
    zh = ("設定檔 {file} 已存在。", "請直接修改，或以 --file 指定其他檔名。未寫入任何檔案。")


class AnswerMissing(LabbrokerError):
    code = "answer-missing"
    en = (
        "{option} is not given, and there is no terminal to ask at.",
        "Name all of --clinic, --lab and what else you want, or run it in a terminal.",
    )
    zh = ("未指定 {option}，且無終端機可詢問。", "請指定 --clinic、--lab 等選項，或於終端機執行。")


class AnswerUnusable(LabbrokerError):
    code = "answer-unusable"
    en = ("{option}: {why_en}.", "Nothing was written. Give another value.")
    zh = ("{option}：{why_zh}。", "未寫入任何檔案。請重新指定。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "init",
        description="Set up a clinic and its laboratory: asks what no option says, writes a "
        "commented settings file and makes the folders that it names.",
    )
    parser.add_argument("--file", type=Path, default=Path("labbroker.toml"), help="what to write")
    parser.add_argument("--clinic", metavar="CODE", help="institution code of the clinic")
    parser.add_argument("--lab", metavar="CODE", help="institution code of the laboratory")
    parser.add_argument("--lab-id", metavar="NAME", help="a short name of the laboratory (lab)")
    parser.add_argument(
        "--by",
        action="append",
        choices=WAYS,
        help="how results come; may be named several times (folder)",
    )
    parser.add_argument("--route", choices=ROUTES, help="who uploads (clinic)")
    parser.add_argument(
        "--commission", choices=_COMMISSIONS, help="what is sent to the laboratory (specimen)"
    )
    parser.add_argument("--channel", choices=CHANNELS, help="the way to NHI (sandbox)")
    parser.add_argument("--data-dir", metavar="FOLDER", help="where the store lives (var)")
    parser.add_argument(
        "--yes", action="store_true", help="ask nothing: what no option says is as in brackets"
    )


def run(arguments: argparse.Namespace) -> int:
    """0. Raises :class:`SettingsExist`, :class:`AnswerMissing`, :class:`AnswerUnusable`."""
    file: Path = arguments.file
    if file.exists():
        raise SettingsExist(file=file)
    language: Language = arguments.language
    answers, token = _answers(arguments, _Asking(arguments.yes, language))
    folder = file.absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Never over a file that came in between.
        with file.open("x", encoding="utf-8", newline="\n") as out:
            out.write(starter_settings(answers))
        try:
            settings = load_settings(file, {})
        except LabbrokerError:
            file.unlink()
            raise
        for watched in settings.folders:
            watched.path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise SettingsExist(file=file) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be a file"
        raise AnswerUnusable(option="--file", why_en=reason, why_zh=reason) from None
    sys.stdout.write(_next_steps(file, answers, token, language))
    return 0


def _answers(arguments: argparse.Namespace, ask: _Asking) -> tuple[Answers, str]:
    clinic = ask.text(
        "--clinic",
        arguments.clinic,
        "",
        ("Institution code of the clinic (10 characters)", "診所的醫事機構代碼（10 碼）"),
        _institution_code,
    )
    lab = ask.text(
        "--lab",
        arguments.lab,
        "",
        ("Institution code of the laboratory (10 characters)", "檢驗所的醫事機構代碼（10 碼）"),
        _institution_code,
    )
    if lab == clinic:
        raise AnswerUnusable(
            option="--lab", why_en="it is the clinic's own code", why_zh="與診所代碼相同"
        )
    lab_id = ask.text(
        "--lab-id",
        arguments.lab_id,
        "lab",
        ("A short name for it (a-z, 0-9, -)", "檢驗所簡稱（a-z、0-9、-）"),
        _short_name,
    )
    said_ways = ",".join(dict.fromkeys(arguments.by)) if arguments.by else None
    ways = ask.text(
        "--by",
        said_ways,
        "folder",
        (
            "How do its results come? folder, hl7, fhir (commas between)",
            "結果如何送來？folder、hl7、fhir（可用逗號分隔）",
        ),
        _ways,
    )
    route = ask.choice(
        "--route",
        arguments.route,
        ROUTES,
        ("Who uploads to NHI: clinic or lab?", "由誰上傳健保署：clinic（診所）或 lab（檢驗所）？"),
    )
    commission = ask.choice(
        "--commission",
        arguments.commission,
        _COMMISSIONS,
        (
            "What goes to the laboratory: specimen or patient?",
            "送檢體 specimen（代檢）或病人 patient（轉檢）？",
        ),
    )
    channel = ask.choice(
        "--channel",
        arguments.channel,
        CHANNELS,
        (
            "The way to NHI: sandbox (rehearsal), portal (by hand) or eii (library)?",
            "上傳方式：sandbox（演練）、portal（人工）或 eii（元件）？",
        ),
    )
    data_dir = ask.text(
        "--data-dir",
        arguments.data_dir,
        "var",
        ("Folder of the store, on a local disk", "資料庫資料夾（本機磁碟）"),
        _folder_name,
    )
    chosen = tuple(ways.split(","))
    token = secrets.token_urlsafe(24) if "fhir" in chosen else ""
    return (
        Answers(
            clinic,
            lab,
            lab_id,
            chosen,
            route,
            commission,
            channel,
            datetime.now(TAIPEI).date().replace(month=1, day=1),
            ask.language,
            data_dir,
            hashlib.sha256(token.encode()).hexdigest() if token else "",
        ),
        token,
    )


Read = Callable[[str], str | tuple[str, str]]
"""The value of an answer, or why it is none in English and Chinese."""


class _Asking:
    """Takes an option's value, else asks, else takes what is usual."""

    def __init__(self, quiet: bool, language: Language) -> None:
        self._quiet = quiet
        self.language = language

    def text(
        self, option: str, said: str | None, usual: str, question: tuple[str, str], read: Read
    ) -> str:
        if said is None and (self._quiet or not sys.stdin.isatty()):
            if not usual:
                raise AnswerMissing(option=option)
            said = usual
        if said is not None:
            value = read(said)
            if isinstance(value, tuple):
                raise AnswerUnusable(option=option, why_en=value[0], why_zh=value[1])
            return value
        zh = self.language == "zh"
        while True:
            brackets = f" [{usual}]" if usual else ""
            sys.stdout.write(f"{question[zh]}{brackets}: ")
            sys.stdout.flush()
            line = sys.stdin.readline()
            if not line:
                raise AnswerMissing(option=option)
            value = read(line.strip() or usual)
            if not isinstance(value, tuple):
                return value
            sys.stdout.write(f"  {value[zh]}\n")

    def choice(
        self, option: str, said: str | None, values: Sequence[str], question: tuple[str, str]
    ) -> str:
        names = ", ".join(values)

        def read(text: str) -> str | tuple[str, str]:
            return text if text in values else (f"one of {names}", f"請輸入 {names} 之一")

        return self.text(option, said, values[0], question, read)


def _institution_code(text: str) -> str | tuple[str, str]:
    code = text.strip().upper()
    if INSTITUTION_CODE.fullmatch(code):
        return code
    return "an institution code has ten letters and digits", "醫事機構代碼應為 10 碼英數字"


def _short_name(text: str) -> str | tuple[str, str]:
    if _LAB_ID.fullmatch(text) and text != "visits":
        return text
    return (
        "small letters, digits and - only, and not visits",
        "僅限小寫英文、數字與 -，且不可為 visits",
    )


def _ways(text: str) -> str | tuple[str, str]:
    ways = list(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if ways and set(ways) <= set(WAYS):
        return ",".join(ways)
    return "folder, hl7 or fhir", "請輸入 folder、hl7 或 fhir"


def _folder_name(text: str) -> str | tuple[str, str]:
    if text and text.isprintable():
        return text.replace("\\", "/").rstrip("/") or "/"
    return "it is no folder", "不是資料夾名稱"


def _next_steps(file: Path, answers: Answers, token: str, language: Language) -> str:
    zh = language == "zh"
    config = f"--config {file}" if file != Path("labbroker.toml") else "--config labbroker.toml"
    lines = [f"已寫入 {file}。" if zh else f"Wrote {file}."]
    if token:
        lines.append(
            f"FHIR 權杖（僅顯示一次）：{token}" if zh else f"FHIR token (shown once): {token}"
        )
    lines.append("接著：" if zh else "Next:")
    if answers.channel == "sandbox":
        trust = f"{answers.data_dir}/credentials/authority/authority.pem"
        lines += [
            f"  labbroker rehearsal {config}",
            f"  labbroker sandbox --port 8091 --data {answers.data_dir}/gateway --trust {trust}",
        ]
        lines.append(
            "  # 模擬閘道會持續執行，以下請於另一個終端機輸入"
            if zh
            else "  # the gateway keeps running: the rest goes into another terminal"
        )
    if os.name != "nt":
        # The stand-in's documented, made-up one; with NHI it is the operator's own.
        password = "A123456789" if answers.channel == "sandbox" else "…"
        lines.append(f"  export LABBROKER_VERDICT_PASSWORD={password}")
    lines += [f"  labbroker doctor {config}", f"  labbroker serve {config}"]
    return "\n".join(lines) + "\n"
