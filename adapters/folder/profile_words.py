"""What header texts and cells of laboratories' files look like, for proposals alone: nothing is
ever read by these guesses before a person has put them into a profile."""

from __future__ import annotations

import re
from collections.abc import Mapping

# In this order: the first that is found in a header text decides.
HEADER_HINTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (column, re.compile(pattern, re.IGNORECASE))
    for column, pattern in (
        ("national_id", r"身[分份]證|id\s*no|^idno|^id$|^pid$|national"),
        ("birth_on", r"出生|生日|birth|dob"),
        ("sex", r"性別|^sex|gender"),
        ("flag", r"異常|旗標|判讀|h/l|flag|abnormal"),
        ("low", r"下限|最低|^low|^min"),
        ("high", r"上限|最高|^high|^max"),
        ("reference", r"參考|正常|reference|range|normal|^ref"),
        ("status", r"狀態|status"),
        (
            "collected_at",
            r"採檢|採集|採血|採樣|collect|^draw|^get_?(date|time|dt)|^s_?(date|time|dt)$",
        ),
        ("received_at", r"收件|收檢|簽收|收樣|開單|receiv|recv|^rcv"),
        ("order_code", r"健保碼|健保代|醫令|支付|診療項目|nhi"),
        ("item_code", r"項目代|項目編|檢驗代|檢驗碼|item.?(code|no)|test.?(code|no)|^code$|assay"),
        ("item_name", r"項目|檢驗名|檢查名|item|test|^name.?of|analyte"),
        ("method", r"方法|method"),
        (
            "reported_at",
            r"報告日|報告時|發報|完成|確認|審核|report|^rpt|^rep_?(date|time|dt)|verif",
        ),
        ("value", r"結果|檢驗值|數值|報告值|測定值|result|value"),
        ("unit", r"單位(?!代|名|碼)|unit"),
        ("clinic_code", r"院所|醫院|診所|送檢單位|醫事機構|客戶|hosp|clinic|client"),
        ("placer_order_number", r"申請單|醫令序|檢驗單號|order.?(no|num|id)|^req"),
        (
            "accession_number",
            r"檢體[編號]|條碼|工號|檢驗編號|流水|barcode|accession|specimen.?(no|id)|lab.?no",
        ),
        ("specimen", r"檢體|specimen|sample"),
        ("name", r"姓名|病患名|patient|^name$"),
    )
)

_DAY = (
    r"(?:[0-9]{2,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}|[0-9]{2,4}年[0-9]{1,2}月[0-9]{1,2}日|[0-9]{6,8})"
)
_TIME = r"(?:(?:[上下]午\s*)?[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:\s*[AP]M)?|[0-9]{4}|[0-9]{6})"
CELL_KINDS: Mapping[str, re.Pattern[str]] = {
    "national_id": re.compile(r"[A-Z][12A-D89][0-9]{8}"),
    "order_code": re.compile(r"[0-9]{5}[A-Z]"),
    "clinic_code": re.compile(r"[0-9]{10}"),
    "sex": re.compile(r"男性?|女性?|[MF]"),
    "moment": re.compile(rf"{_DAY}(?:[ T]\s*{_TIME})?|[0-9]{{11,14}}"),
    "time": re.compile(_TIME),
    "reference": re.compile(
        r"[<>≦≧≤≥]=?\s*[0-9.]+|[0-9.]+\s*[-~～]\s*[0-9.]+|neg\w*|陰性|\(?-\)?", re.IGNORECASE
    ),
    "unit": re.compile(
        r"%|[A-Za-zμµ0-9^*]+/[A-Za-zμµ0-9.^*]+|fL|pg|sec|秒|mmHg|10\^[0-9]/\w+|ratio|index|U|cm|kg",
        re.IGNORECASE,
    ),
    "flag": re.compile(r"HH?|LL?|N|\*|↑|↓|[+-]", re.IGNORECASE),
    "value": re.compile(
        r"[<>]?=?\s*-?[0-9]+(?:\.[0-9]+)?|neg\w*|pos\w*|陰性|陽性|[+-]+", re.IGNORECASE
    ),
}
"""What all cells of a column look like, the most telling first."""
