"""Which field stands where in the printed check report, as data.

The order of the first eight rows is that of a feedback parser of 2019; the ninth row and the
labels are those of the NHI's slides of 2023 (query screen IAU-2). Where a report prints labels
that are known, they decide; the published order is the fallback.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

PUBLISHED_ROWS: tuple[tuple[str, ...], ...] = (
    ("h1", "h2", "h3", "h4", "h5", "h6"),
    ("h7", "h8", "h9", "h10", "h11", "h12"),
    ("h13", "h14", "h15", "h16", "h17", "h18"),
    ("h19", "h20", "h21", "h22", "r1", "r2"),
    ("r3", "r4", "r5", "r6", "r7", "r8-1"),
    ("r8-2", "r8-3", "r9", "r10", "r11", "r12"),
    ("h23", "h24", "r6-1", "r6-2", "r13", "r8-4"),
    ("r8-5", "r8-6", "r8-7", "r8-8", "r8-9", "r14"),
    ("h25", "r4-1", "h26", "h27"),
)
"""The report of 2019 lacks the last row."""

SHAPES: dict[str, re.Pattern[str]] = {
    tag: re.compile(shape)
    for shape, tags in (
        (r"[1-4]", "h1"),
        (r"[0-9A-Z]{10}", "h2 h9 h27"),
        (r"[0-9]{2}", "h3"),
        (r"[0-9]{5}", "h4"),
        (r"[0-9A-Z]{2}", "h6"),
        (r"[0-9A-Z]{4}", "h7"),
        (r"[12]", "h8"),
        (r"[-0-9][0-9]{6}", "h10 h11 h12 h13 h14 h23"),
        (r"[0-9A-Z]{1,12}", "h15"),
        (r"[0-9A-Z]{1,10}", "h17 h18 r9"),
        (r"[0-9]{11}(?:[0-9]{2})?", "h5 h16 h19 h20 h21 r10 r14"),
        (r"[A-Za-z]", "h24"),
        (r"[A-Z]{1,18}", "h25"),
        (r"[0-5]", "h26"),
        (r"[0-9A-Z]{1,20}", "h28 h29 h30"),
        (r"[0-9]{1,6}", "r1"),
        (r"[01]", "r12"),
        (r"[01UX]", "r4-1"),
    )
    for tag in tags.split()
}
"""How a correct value looks. Fields that are not here are free text and may be wrapped."""

_LABELS: tuple[tuple[str, str], ...] = (
    ("h1", "報告類別"),
    ("h2", "醫事機構代碼"),
    ("h3", "醫事類別"),
    ("h4", "執行年月"),
    ("h5", "健保卡過卡日期時間"),
    ("h5", "健保卡刷卡日期時間"),
    ("h6", "就醫類別"),
    ("h7", "就醫序號"),
    ("h8", "補卡註記"),
    ("h9", "身分證統一編號"),
    ("h9", "身分證號"),
    ("h10", "出生日期"),
    ("h11", "就醫日期"),
    ("h12", "治療結束日期"),
    ("h13", "入院年月日"),
    ("h14", "出院年月日"),
    ("h15", "醫令代碼"),
    ("h16", "檢驗(查)結果上傳日期時間"),
    ("h17", "醫囑醫師身分證號"),
    ("h18", "報告/病理醫師身分證號"),
    ("h19", "醫囑日期時間"),
    ("h20", "採檢/實際檢查/手術時間"),
    ("h20", "採檢/實際檢查/手術日期時間"),
    ("h21", "醫師確認報告時間"),
    ("h22", "檢體採檢方法/來源/類別"),
    ("h23", "新生兒出生日期"),
    ("h23", "依附就醫新生兒出生日期"),
    ("h24", "新生兒胞胎註記"),
    ("h24", "依附就醫新生兒胞胎註記"),
    ("h25", "診療部位"),
    ("h25", "診察部位"),
    ("h26", "醫令調劑方式"),
    ("h27", "原開立處方醫事機構代碼"),
    ("h27", "原開立處方醫事服務機構代碼"),
    ("h28", "就醫識別碼"),
    ("h29", "原就醫識別碼"),
    ("h30", "實際就醫(調劑或檢查)之就醫識別碼"),
    ("r1", "報告序號"),
    ("r2", "檢驗項目名稱"),
    ("r3", "檢驗方法"),
    ("r4", "檢驗報告結果值"),
    ("r4-1", "檢驗結果陽陰性判斷"),
    ("r5", "單位"),
    ("r6", "參考值"),
    ("r6-1", "參考值下限"),
    ("r6-2", "參考值上限"),
    ("r7", "報告結果"),
    ("r8-1", "病理發現及診斷"),
    ("r9", "醫事人員身分證號"),
    ("r10", "報告日期時間"),
    ("r11", "備註"),
    ("r12", "檢驗(查)結果值註記"),
    ("r13", "輻射劑量"),
    ("r14", "實際收到報告日期時間"),
    *(
        (f"r8-{number}", f"報告或病理發現({word})")
        for number, word in enumerate("一二三四五六七八", 2)
    ),
    *(
        (f"r8-{number}", f"報告結果或病理發現及診斷({word})")
        for number, word in enumerate("一二三四五六七八", 2)
    ),
)
_ERROR_LABEL = "錯誤代碼"
_SAME = str.maketrans("（）／　", "()/ ")


def tag_of(label: str) -> str:
    """The field of a printed label, which may be cut to its column or have a tail; ``""`` if
    that is not certain."""
    printed = "".join(label.translate(_SAME).split())
    exact = {tag for tag, known in _LABELS if known == printed}
    close = exact or {
        tag
        for tag, known in _LABELS
        if len(printed) >= 4 and (known.startswith(printed) or printed.startswith(known))
    }
    return close.pop() if len(close) == 1 else ""


def rows_of_labels(lines: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...] | None:
    """The rows that the labels above the ruler tell, or None when one of them is not known.

    ``lines`` are the cells of the header's lines, top to bottom.
    """
    first = next((n for n, cells in enumerate(lines) if tag_of(cells[0]) == "h1"), None)
    last = next((n for n, cells in enumerate(lines) if cells[0].strip() == _ERROR_LABEL), None)
    if first is None or last is None or any(cell.strip() for cell in lines[last][1:]):
        return None
    rows = []
    for cells in lines[first:last]:
        labels = [cell.strip() for cell in cells]
        while labels and not labels[-1]:
            labels.pop()
        rows.append(tuple(tag_of(label) for label in labels))
    tags = [tag for row in rows for tag in row]
    if "" in tags or len(set(tags)) != len(tags) or not {"h1", "h15", "r1"} <= set(tags):
        return None
    return tuple(rows)
