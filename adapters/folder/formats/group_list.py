"""A list of groups of family doctors (醫療群): which clinic belongs to which.

NHI publishes no layout: a CSV with a group and an institution, and where wanted a name and days.
"""

from __future__ import annotations

import re
from datetime import date

from adapters.folder.formats.cell_dates import read_day
from adapters.folder.formats.list_table import ListUnreadable, table_rows
from mapping.rates.groups import Membership

_INSTITUTION = re.compile(r"[0-9A-Z]{10}")
_COLUMNS = {
    "group": ("醫療群代碼", "群代碼", "家醫群代碼", "group"),
    "institution": ("醫事機構代碼", "院所代碼", "醫事機構代號", "institution"),
    "name": ("醫療群名稱", "群名稱", "家醫群名稱", "name"),
    "first": ("起日", "生效起日", "from"),
    "last": ("迄日", "生效迄日", "until"),
}


def read_group_list(raw: bytes) -> tuple[Membership, ...]:
    """The memberships in their order. Raises UnreadablePayload."""
    found = []
    for place, row in table_rows(raw, _COLUMNS, ("group", "institution")):
        code = row.get("institution", "").upper()
        # Only a leading zero of ten digits is ever lost; letters keep a cell text.
        code = code.zfill(10) if code.isdigit() and len(code) == 9 else code
        if not _INSTITUTION.fullmatch(code):
            raise ListUnreadable.of(
                "an institution code has ten letters and digits", "機構代碼應為 10 碼", place
            )
        group = row.get("group", "")
        if not group:
            raise ListUnreadable.of("it names no group", "缺少醫療群代碼", place)
        days = [_day(row.get(name, ""), place) for name in ("first", "last")]
        found.append(Membership(group, code, row.get("name", ""), *days))
    if not found:
        raise ListUnreadable.of("it holds no clinic", "沒有任何院所", "row 2")
    return tuple(found)


def _day(text: str, place: str) -> date | None:
    if not text:
        return None
    try:
        return read_day(text)
    except ValueError:
        raise ListUnreadable.of("it has no date there", "日期無法解讀", place) from None
