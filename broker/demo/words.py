"""The demonstration's own words in Chinese."""

from __future__ import annotations

from mapping.errors import Language

_ZH = {
    "the clinic's visits (IC card upload 1.0)": "診所就醫資料（健保卡上傳 1.0）",
    "one chemistry result": "單項生化",
    "blood count, 8 lines": "全血球計數，8 項",
    "urine panel, 12 lines": "尿液常規，12 項",
    "creatinine": "肌酸酐",
    "the creatinine, corrected": "肌酸酐更正報告",
    "one-sided range": "單側參考值",
    "unknown local code": "未對應的檢驗所代碼",
    "no visit at the clinic": "查無就醫紀錄",
    "breaks an NHI rule": "違反健保署檢核規則",
    "an order code NHI does not know": "健保署無此醫令代碼",
    "quality control run": "品管測試訊息",
    "the first one again": "第一筆重送",
    "text result": "文字結果",
    "lipid with exact decimals": "血脂（保留小數位）",
    "below the limit of detection": "低於偵測極限",
    "HCV antibody": "C 型肝炎檢驗",
    "results.csv: three results": "results.csv：三筆結果",
    "a file uploaded by hand": "人工上傳檔案",
    "its check report brought": "取回檢核報告",
    "dropped": "已放入",
    "a package waits for its card": "上傳檔等待卡片",
    "the PIN typed at the card's reader, once": "於讀卡機電腦輸入一次 PIN 碼",
    "an NHI card at the desk": "櫃台讀取健保卡",
    "the reader unplugged and plugged in again": "讀卡機拔除後重新插入",
    "found again": "已重新連線",
    "locked": "待輸入 PIN 碼",
    "ready": "可簽章",
}

_HELD = {
    "unmapped": ("no NHI code", "未對應代碼"),
    "unmatched": ("no visit", "未配對就醫"),
    "invalid": ("breaks a rule", "違反檢核規則"),
    "opted_out": ("not to be uploaded", "不上傳"),
    "other_party_uploads": ("the other side uploads", "由另一方上傳"),
    "waiting_final": ("not final", "尚無最終報告"),
    "waiting_verdict": ("waits for a verdict", "待前一版檢核結果"),
}


def told(text: str, language: Language) -> str:
    """``text`` in the reader's language; what has no translation stays."""
    return _ZH.get(text, text) if language == "zh" else text


def held_word(reason: str, language: Language) -> str:
    """A held reason in words."""
    return _HELD[reason][language == "zh"]
