"""The commands of ``labbroker``: one line each.

A command is a module of this package with ``add_parser(subparsers) -> None`` and
``run(arguments) -> int`` (the exit code). ``arguments.language`` is ``en`` or ``zh``. Modules are
imported only when their command is asked for.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from mapping.errors import Language

if TYPE_CHECKING:
    Subparsers: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]


class CommandModule(Protocol):
    """What a module of a command offers."""

    def add_parser(self, subparsers: Subparsers) -> None:
        """Add the command's parser under the command's name."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; raise :class:`mapping.errors.LabbrokerError` for what a person can repair."""


@dataclass(frozen=True, slots=True)
class Command:
    """``en`` and ``zh`` are the lines in ``labbroker --help``."""

    name: str
    en: str
    zh: str

    def summary(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en

    def module(self) -> CommandModule:
        """The module ``broker.cli.<name>``, imported now."""
        return cast(CommandModule, import_module(f"broker.cli.{self.name.replace('-', '_')}"))


COMMANDS: tuple[Command, ...] = (
    Command("check", "say what files hold and what is wrong in them", "檢查檔案內容並列出問題"),
    Command(
        "convert",
        "make packages from your own files, and send nothing",
        "以自己的檔案產生上傳檔（不上傳）",
    ),
    Command(
        "profile", "describe the layout of a laboratory's result files", "設定檢驗所結果檔的欄位"
    ),
    Command("monthly", "write the monthly upload file after the claim", "依申報資料產生每月上傳檔"),
    Command("init", "set up a clinic and its laboratory", "建立診所與檢驗所的設定檔"),
    Command("demo", "run the main job here, with made-up results", "以模擬資料在本機演示全程"),
    Command("explain", "say what a code of NHI means and what to do", "說明檢核代碼與更正方式"),
    Command("serve", "run the service", "啟動服務"),
    Command("sandbox", "run a stand-in for NHI's gateway", "啟動演練用健保署閘道"),
    Command("cards", "show card readers, cards, owners and tries left", "顯示讀卡機與卡片狀態"),
    Command("card-agent", "hold the cards of this PC for a broker", "於讀卡機電腦執行卡片代理程式"),
    Command("eii-child", "load NHI's library for the service", "供服務載入健保署元件"),
    Command("rehearsal", "make keys for rehearsals with the stand-in", "建立演練金鑰"),
    Command("status", "say what stands where", "顯示目前狀態"),
    Command("receipts", "list what came in", "列出收件"),
    Command("replay", "read a receipt again", "重新處理收件"),
    Command("verdict", "take check reports downloaded from NHI's VPN", "匯入由 VPN 下載的檢核報告"),
    Command("uploaded", "record that a person uploaded a package", "登錄已人工上傳的檔案"),
    Command("plan", "say what goes when and what would be late", "預定何時送出、何者將逾期"),
    Command("unuploaded", "compare NHI's list of cases not uploaded", "比對健保署未上傳案件明細"),
    Command("rates", "say what is uploaded, in time and at all", "上傳率、得分與預估"),
    Command("visits", "bring a clinic's visits by hand", "匯入診所就醫資料"),
    Command("worklist", "say what waits for a person, by cause", "依原因列出待處理事項"),
    Command("match", "see which visits a held result could belong to, choose one", "指定就醫紀錄"),
    Command("dismiss", "end what no correction of a field could mend", "將無法更正的項目結案"),
    Command("orders", "list what was ordered and has no result", "列出尚無結果的醫令"),
    Command("fix", "put all records of one cause right at once", "一次更正同一原因的紀錄"),
    Command("codes", "say what laboratories' own codes mean", "設定檢驗所代碼的對應"),
    Command(
        "optout", "keep an order out of the upload, as the patient wished", "依病人意願不上傳醫令"
    ),
    Command("people", "say who may come in at the console", "管理可登入的人員"),
    Command("audit", "say who saw and did what, verify the trail", "稽核紀錄：查詢、驗證、匯出"),
    Command("token", "let machines in at the API", "管理 API 權杖"),
    Command("backup", "copy the store, verify and restore copies", "備份、驗證與還原資料庫"),
    Command("retention", "erase what is final and old enough", "刪除已結案且逾保存期限的資料"),
    Command("doctor", "say what is set up, what is missing and what to do", "檢查安裝與設定狀態"),
    Command("version", "say which version this is", "顯示版本"),
)
