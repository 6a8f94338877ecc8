"""Where something stands, in the reader's language: ``row 7`` is 第 7 列 in Chinese.

Places in the terms of a format (``OBX[3]-5``, ``hdata[1]``) are the same in all languages.
"""

from __future__ import annotations

import re

_NUMBERED = {"line": "第 {} 行", "row": "第 {} 列", "byte": "第 {} 位元組", "record": "紀錄 {}"}
_COUNTED = re.compile(r"(?<![A-Za-z])(line|row|byte|record) ([0-9]+)")
_IN_A_LINE = re.compile(r"(?<![A-Za-z])line ([0-9]+), column ([0-9]+)")
_NAMED = {
    "start of file": "檔案開頭",
    "start": "檔案開頭",
    "end": "檔案結尾",
    "the end": "檔案結尾",
    "the whole file": "整個檔案",
    "root": "根元素",
    "package": "上傳檔",
    "patient": "整個檔案",
    "header": "標題列",
    "file": "檔案",
    "profile": "來源設定",
    "environment": "環境變數",
}


def chinese_place(place: str) -> str:
    """The place as a Chinese sentence says it."""
    named = _NAMED.get(place)
    if named is not None:
        return named
    place = _IN_A_LINE.sub(r"第 \1 行第 \2 字", place)
    return _COUNTED.sub(lambda found: _NUMBERED[found.group(1)].format(found.group(2)), place)
