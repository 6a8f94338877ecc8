"""The first settings file: a few answers become a commented ``labbroker.toml``. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from mapping.errors import Language

WAYS = ("folder", "hl7", "fhir")
"""How a laboratory's results can come."""
CHANNELS = ("sandbox", "portal", "eii")
ROUTES = ("clinic", "lab")
CREDENTIALS = {"sandbox": "software", "portal": "person", "eii": "sam"}
INSTITUTION_CODE = re.compile(r"[0-9A-Z]{10}")


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person said. ``token_sha256`` is of the token of the FHIR door, ``""`` without it."""

    clinic_code: str
    lab_code: str
    lab_id: str
    ways: tuple[str, ...]
    route: str
    commission: str
    channel: str
    valid_from: date
    language: Language
    data_dir: str = "var"
    token_sha256: str = ""

    @property
    def lab_folder(self) -> str:
        return f"{self.data_dir}/inbox/{self.lab_id}"

    @property
    def visits_folder(self) -> str:
        return f"{self.data_dir}/inbox/visits"


def starter_settings(answers: Answers) -> str:
    """The text of the settings file, with its comments in the person's language."""
    return "\n".join(_lines(answers)) + "\n"


def _lines(answers: Answers) -> Iterator[str]:
    zh = answers.language == "zh"

    def say(english: str, chinese: str) -> str:
        return f"# {chinese if zh else english}"

    yield say(
        "Written by `labbroker init`. All settings: docs/reference/settings.md",
        "labbroker 設定檔，由 `labbroker init` 產生。所有設定：docs/reference/settings.md",
    )
    yield say(
        "After a change: `labbroker doctor`, then start the service again.",
        "修改後請執行 `labbroker doctor`，再重新啟動服務。",
    )
    yield ""
    yield say(
        "The store lives here: a local disk, never a network share. Relative to this file.",
        "資料庫所在資料夾：須為本機磁碟，不可為網路磁碟機。相對路徑以本檔為準。",
    )
    yield f"data_dir = {_text(answers.data_dir)}"
    yield f"language = {_text('zh-TW' if zh else 'en')}"
    yield ""
    yield say("HL7 v2 comes in here (MLLP).", "HL7 v2（MLLP）收件埠。")
    yield "[mllp]"
    yield f"enabled = {_boolean('hl7' in answers.ways)}"
    yield 'host = "127.0.0.1"'
    yield say('"0.0.0.0" lets other machines in.', '若檢驗所由其他電腦連入，請改為 "0.0.0.0"。')
    yield "port = 2575"
    yield ""
    yield say("Console, FHIR and metrics.", "操作畫面、FHIR 與監測。")
    yield "[http]"
    yield 'host = "127.0.0.1"'
    yield "port = 8080"
    yield ""
    yield from _sources(answers, zh)
    yield ""
    yield say(
        "Who uploads. Exactly one side, or NHI refuses the second upload (code 25).",
        "由誰上傳：僅能一方，否則健保署以代碼 25 退件。",
    )
    yield "[[agreement]]"
    yield f"lab_code = {_text(answers.lab_code)}"
    yield f"clinic_code = {_text(answers.clinic_code)}"
    yield say("clinic or lab", "clinic：診所上傳；lab：檢驗所上傳")
    yield f"route = {_text(answers.route)}"
    yield say(
        "specimen: the specimen is sent (代檢); patient: the patient goes there (轉檢)",
        "specimen：代檢（送檢體）；patient：轉檢（病人前往）",
    )
    yield f"commission = {_text(answers.commission)}"
    yield f"valid_from = {answers.valid_from.isoformat()}"
    yield ""
    yield from _institution(answers, zh)


def _sources(answers: Answers, zh: bool) -> Iterator[str]:
    def say(english: str, chinese: str) -> str:
        return f"# {chinese if zh else english}"

    yield say("The laboratory.", "檢驗所。")
    yield "[[source]]"
    yield f"id = {_text(answers.lab_id)}"
    yield f"lab_code = {_text(answers.lab_code)}"
    yield f"clinic_code = {_text(answers.clinic_code)}"
    yield say(
        "Where a payload does not say its character set: utf-8, big5 or cp950.",
        "資料未註明字元集時採用：utf-8、big5 或 cp950。",
    )
    yield 'charset = "big5"'
    if "hl7" in answers.ways:
        yield say("Addresses from which it connects by HL7.", "HL7 連線來源位址。")
        yield 'peers = ["127.0.0.1"]'
    if answers.token_sha256:
        yield say(
            "SHA-256 of the token that it sends with FHIR; the token itself is kept nowhere.",
            "FHIR 權杖的 SHA-256；權杖本身不存放於任何地方。",
        )
        yield f"token_sha256 = [{_text(answers.token_sha256)}]"
    yield ""
    yield say(
        "What its own codes mean; better decided in the console or with `labbroker codes`.",
        "檢驗所代碼對應的醫令代碼；亦可於操作畫面或以 `labbroker codes` 設定。",
    )
    yield "[source.codes]"
    yield say('GLU-AC = "09005C"', 'GLU-AC = "09005C"')
    yield ""
    yield say("The clinic's own system: its IC-card upload files.", "診所系統的 IC 卡上傳檔。")
    yield "[[source]]"
    yield 'id = "visits"'
    yield f"clinic_code = {_text(answers.clinic_code)}"
    yield ""
    if "folder" in answers.ways:
        yield say("Result files are dropped here.", "檢驗結果檔放置於此。")
        yield "[[folder]]"
        yield f"path = {_text(answers.lab_folder)}"
        yield f"source = {_text(answers.lab_id)}"
        yield ""
    yield say("Visits are dropped here.", "就醫資料檔放置於此。")
    yield "[[folder]]"
    yield f"path = {_text(answers.visits_folder)}"
    yield 'source = "visits"'


def _institution(answers: Answers, zh: bool) -> Iterator[str]:
    def say(english: str, chinese: str) -> str:
        return f"# {chinese if zh else english}"

    by_lab = answers.route == "lab"
    yield say("In whose name is uploaded.", "以哪一機構的名義上傳。")
    yield "[[institution]]"
    yield f"code = {_text(answers.lab_code if by_lab else answers.clinic_code)}"
    yield say("醫事類別: 11 a clinic, 50 a laboratory", "醫事類別：11 西醫診所，50 檢驗所")
    yield f"kind = {_text('50' if by_lab else '11')}"
    yield say(
        "sandbox: rehearsal on this machine; portal: a person uploads files; eii: NHI's library",
        "sandbox：本機演練；portal：由人員於網站上傳；eii：健保署元件自動上傳",
    )
    yield f"channel = {_text(answers.channel)}"
    yield f"credential = {_text(CREDENTIALS[answers.channel])}"
    yield say(
        "Where the password of the check reports is: env:NAME or file:PATH, never itself.",
        "檢核報告密碼的存放處：env:名稱 或 file:路徑，不可直接填寫密碼。",
    )
    yield 'verdict_password = "env:LABBROKER_VERDICT_PASSWORD"'
    if answers.channel == "sandbox":
        yield ""
        yield say(
            "Seconds, so that a rehearsal need not wait; take this section out for NHI itself.",
            "演練用之等待秒數；正式上傳時請刪除本節。",
        )
        yield "[schedule]"
        yield "seal_after_seconds = 5"
        yield "verdict_poll_seconds = 5"
        yield "settle_seconds = 30"
    if answers.channel == "eii":
        yield ""
        yield say(
            "NHI's library (VPN 下載專區) and the reader maker's: put them here.",
            "健保署元件（VPN 下載專區）與讀卡機廠商元件：請置於此，或更正路徑。",
        )
        yield "[channel.eii]"
        yield 'library = "nhi_eiiapi.dll"'
        yield 'reader_library = "Reader.dll"'


def _text(value: str) -> str:
    """A TOML basic string; what JSON escapes TOML reads alike."""
    return json.dumps(value, ensure_ascii=False)


def _boolean(value: bool) -> str:
    return "true" if value else "false"
