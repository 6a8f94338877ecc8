"""The error table of the EII library: what each code means, and what may be concluded from it.

Sources: EII-S is NHI's 「醫療資料傳輸共通介面 API 簡易版使用說明」 103.3.26, table of return codes
(pp. 3-8); *newer* codes are those that public programs of 2019 and later know. What may be
concluded is ours, and wary: a send counts as not taken only where the code says that nothing left.
The same numbers mean other things in the control software (csHis): its table is another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What a code says of a call."""

    DONE = "done"
    RETRY = "retry"
    """Nothing was taken; later it may go."""
    SETUP = "setup"
    """Nothing was taken; a path, file or setting is wrong and a person must put it right."""
    CREDENTIAL = "credential"
    """Nothing was taken; reader, card or SAM did not sign."""
    REFUSED = "refused"
    """The file as it is will not be taken."""
    UNKNOWN = "unknown"
    """It may have been taken: ask, never send again blindly."""
    WAIT = "wait"
    """A result is not there yet, or never will be: that is no proof of anything."""


@dataclass(frozen=True, slots=True)
class EiiCode:
    """``on_send`` is for ``NHI_SendB``, ``on_ask`` for ``NHI_DownloadB`` and ``NHI_GetB``, which
    may always be tried again."""

    code: int
    zh: str
    en: str
    on_send: Outcome
    on_ask: Outcome
    source: str


_EII_S = "EII-S pp. 3-8"
_NEWER = "public programs since 2019"
_R, _S, _C = Outcome.RETRY, Outcome.SETUP, Outcome.CREDENTIAL
_F, _U, _W = Outcome.REFUSED, Outcome.UNKNOWN, Outcome.WAIT

EII_CODES = {
    row.code: row
    for row in (
        EiiCode(0, "成功", "done", Outcome.DONE, Outcome.DONE, _EII_S),
        EiiCode(500, "sTypeCode 錯誤", "wrong type code", _S, _S, _NEWER),
        EiiCode(5000, "網路環境載入異常", "the network could not be loaded", _R, _R, _EII_S),
        EiiCode(5001, "檔案權限不足或檔案大小異常", "file size or permission", _S, _S, _EII_S),
        EiiCode(5002, "找不到 Reader.dll", "Reader.dll not found", _S, _S, _EII_S),
        EiiCode(5003, "檔名錯誤", "wrong file name", _F, _S, _EII_S),
        EiiCode(5004, "系統忙碌中，請稍後再試", "the system is busy", _R, _R, _EII_S),
        EiiCode(5005, "產生簽章錯誤", "the signature was not made", _C, _C, _EII_S),
        EiiCode(5006, "記憶體不足", "out of memory", _R, _R, _EII_S),
        EiiCode(5007, "下載路徑不存在", "the download folder does not exist", _S, _S, _EII_S),
        EiiCode(5008, "取得醫療院所代碼錯誤", "the institution was not read", _C, _C, _EII_S),
        EiiCode(5009, "檔名有誤", "wrong file name", _F, _S, _EII_S),
        EiiCode(5010, "認證錯誤", "authentication failed", _C, _C, _EII_S),
        EiiCode(5020, "連線總數量已超過，請稍後再試", "too many connections", _R, _R, _EII_S),
        EiiCode(5021, "網路作業錯誤，訊息不完整", "network error, message cut", _U, _R, _EII_S),
        EiiCode(5022, "等待醫療系統處理中", "waiting for NHI's system", _U, _W, _EII_S),
        EiiCode(5023, "等待處理中或交易不存在", "waiting, or no such case", _U, _W, _EII_S),
        EiiCode(5024, "無法建立檔案", "a file cannot be made", _U, _S, _EII_S),
        EiiCode(5025, "寫入磁碟異常", "the disk cannot be written", _U, _S, _EII_S),
        EiiCode(5026, "解密錯誤", "decryption failed", _U, _R, _EII_S),
        EiiCode(5027, "網路作業錯誤但已完成", "network error, but completed", _U, _R, _EII_S),
        EiiCode(5028, "連線錯誤", "connection failed", _R, _R, _EII_S),
        EiiCode(8203, "未成功連線至伺服器", "the server was not reached", _R, _R, _NEWER),
        EiiCode(8218, "回饋資料未成功連線", "the server was not reached", _U, _R, _NEWER),
        EiiCode(9999, "不明異常", "unknown fault", _U, _R, _EII_S),
    )
}

UNLISTED = EiiCode(-1, "未列之代碼", "a code that is not listed", _U, _R, "none")
"""Whatever else the library answers."""


def eii_code(code: int) -> EiiCode:
    """The row of ``code``, or :data:`UNLISTED`."""
    return EII_CODES.get(code, UNLISTED)
