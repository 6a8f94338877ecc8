"""What can stand between a card and a signature, each with what to do."""

from __future__ import annotations

from mapping.errors import LabbrokerError


class CardPartMissing(LabbrokerError):
    code = "card-part-missing"
    en = ("{part} is not there.", "{how}")
    zh = ("缺少 {part}。", "{how}")


class CardAbsent(LabbrokerError):
    code = "card-absent"
    en = (
        "The card {name} is in no reader ({reason}).",
        "Put it into the reader; what waits for it leaves then.",
    )
    zh = ("讀卡機內查無卡片 {name}（{reason}）。", "請將卡片置入讀卡機，待送資料將自動送出。")


class CardAmbiguous(LabbrokerError):
    code = "card-ambiguous"
    en = (
        "More than one {what} fits the card {name}: {found}.",
        "Set label, serial or certificate_subject of the card so that one alone fits.",
    )
    zh = (
        "符合卡片 {name} 的{what}不只一個：{found}。",
        "請設定 label、serial 或 certificate_subject，使其唯一。",
    )


class CardLocked(LabbrokerError):
    code = "card-locked"
    en = (
        "The card {name} waits for its PIN.",
        "Enter the PIN once, at the PC with the reader (`labbroker card-agent`).",
    )
    zh = (
        "卡片 {name} 尚未輸入 PIN 碼。",
        "請於讀卡機所在電腦輸入一次（`labbroker card-agent`）。",
    )


class PinWrong(LabbrokerError):
    """The token said so. It was asked once."""

    code = "pin-wrong"
    en = (
        "The PIN of the card {name} is wrong; tries left: {tries}.",
        "Make sure which PIN it is before you enter it again: three wrong ones lock the card.",
    )
    zh = (
        "卡片 {name} 的 PIN 碼錯誤；剩餘次數：{tries}。",
        "請確認 PIN 碼後再輸入：連續三次錯誤將鎖卡。",
    )


class PinHeld(LabbrokerError):
    """The breaker: nothing was tried."""

    code = "pin-held"
    en = (
        "The PIN of the card {name} was wrong {wrong} times; it was not tried again.",
        "One more wrong PIN may lock the card. Find the right one, then say that the last try "
        "shall be used.",
    )
    zh = (
        "卡片 {name} 的 PIN 碼已錯誤 {wrong} 次，未再嘗試。",
        "再錯一次可能鎖卡。請先確認 PIN 碼，再聲明使用最後一次機會。",
    )


class PinBlocked(LabbrokerError):
    code = "pin-blocked"
    en = (
        "The card {name} has locked itself after wrong PINs.",
        "Have it unlocked by its issuer (HCA cards: https://hca.nat.gov.tw).",
    )
    zh = (
        "卡片 {name} 因 PIN 碼連續錯誤已鎖卡。",
        "請洽發卡機構解鎖（HCA 卡：https://hca.nat.gov.tw）。",
    )


class PinNotEntered(LabbrokerError):
    """No PIN, or one that was used already: a PIN is good for one try."""

    code = "pin-not-entered"
    en = ("No PIN was entered for the card {name}.", "Enter it; each entry is used once.")
    zh = ("未輸入卡片 {name} 的 PIN 碼。", "請輸入；每次輸入僅使用一次。")


class CardFault(LabbrokerError):
    code = "card-fault"
    en = (
        "The card {name} or its reader failed ({reason}).",
        "Take the card out and put it back; look at the reader and its software.",
    )
    zh = (
        "卡片 {name} 或其讀卡機發生錯誤（{reason}）。",
        "請取出卡片重新置入，並檢查讀卡機與其軟體。",
    )


class CertificateUnfit(LabbrokerError):
    code = "certificate-unfit"
    en = (
        "The certificate of the card {name} cannot be used: {reason}.",
        "Look at it with `labbroker cards`; set `institution` where the certificate names none.",
    )
    zh = (
        "卡片 {name} 的憑證無法使用：{reason}。",
        "請以 `labbroker cards` 檢視；憑證未載醫事機構代碼者請設定 `institution`。",
    )
