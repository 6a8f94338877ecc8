"""Why nothing is proposed for a fault: which knowledge would be needed, in words. Pure."""

from __future__ import annotations

from mapping.errors import Language
from mapping.finding import Finding

_VISIT = (
    "the card data of the visit do not name one other right value",
    "就醫資料未提供唯一的正確值",
)
_LABORATORY = (
    "what the laboratory says is never guessed; only it can correct the value",
    "檢驗所的內容不予推測，須由檢驗所更正",
)
_OTHER = ("nothing that is known here says what is right", "現有資料無法判定正確值")
_REASONS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("03", "04", "05", "11", "12", "13", "21", "23", "24", "26"), _VISIT),
    "01": (
        "neither the card data of the visit nor a default of the source gives the value",
        "就醫資料與來源預設值皆未提供此值",
    ),
    "10": ("the collection time (h20) is no date", "採檢時間（h20）不是有效日期"),
    "14": (
        "the source has no default reference, and the laboratory did not send one and the same "
        "range for this row and unit before",
        "來源未設定預設參考值，該檢驗所先前對此項目與單位亦無唯一的參考值",
    ),
    **dict.fromkeys(
        ("15", "16"),
        (
            "the clinic's card data have no one body part for this order",
            "診所健保卡資料對此醫令無唯一的診療部位",
        ),
    ),
    "28": (
        "the visit names no other institution in place of this code",
        "就醫資料未提供其他醫事機構代碼",
    ),
    "30": ("the order code is not in the official list", "醫令代碼不在公告清單內"),
    "37": (
        "no other source links this local code to one code of the official list",
        "沒有其他來源將此代碼對應到唯一的公告醫令代碼",
    ),
    "unmapped-code": (
        "a person decides what a local code means: `labbroker codes unmapped`",
        "院內代碼的意義須由人員決定：`labbroker codes unmapped`",
    ),
    **dict.fromkeys(
        ("match-no-visit", "match-no-card-data"),
        ("no visit of this person is known in those days", "查無此人該期間的就醫資料"),
    ),
    **dict.fromkeys(
        ("match-several-visits", "match-several-orders", "match-unsure"),
        (
            "a person chooses among the visits: `labbroker match`",
            "須由人員選擇就醫：`labbroker match`",
        ),
    ),
}


def no_proposal_reason(finding: Finding, language: Language = "en") -> str:
    """Why :func:`mapping.proposals.propose` has no answer to ``finding``."""
    reason = _REASONS.get(finding.code, _OTHER)
    if finding.field[:1] == "r" and finding.code not in ("01", "14"):
        reason = _LABORATORY
    return reason[language == "zh"]
