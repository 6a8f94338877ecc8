"""Lists of codes that NHI publishes: contracted institutions and the fee schedule.

健保特約醫事機構 and 醫療服務給付項目及支付標準 (open data of NHI): CSV with these column names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from adapters.folder.formats.cell_dates import read_day
from adapters.folder.formats.list_table import ListUnreadable, table_rows
from mapping.rules import Validity

_INSTITUTION = re.compile(r"[0-9A-Z]{10}")
_ORDER = re.compile(r"[0-9A-Z]{1,12}")
_INSTITUTION_COLUMNS = {
    "code": ("醫事機構代碼", "醫事機構代號", "機構代碼", "院所代碼", "院所代號", "code")
}
_ORDER_COLUMNS = {
    "code": ("診療項目代碼", "醫令代碼", "支付代碼", "code"),
    "first": ("生效起日", "生效日期"),
    "last": ("生效迄日", "終止日期"),
}
_OPEN_END_YEARS = (2910, 9999)
"""ROC 999 and 9999: what the list writes for an end that is not set."""


def read_institution_list(raw: bytes) -> frozenset[str]:
    """The codes of all institutions, those whose contract has ended too: their earlier work is
    still uploaded. A code that lost its leading zero in a spreadsheet gets it back. Raises
    UnreadablePayload."""
    found = set()
    for place, row in table_rows(raw, _INSTITUTION_COLUMNS, ("code",)):
        code = row.get("code", "").upper()
        # Only a leading zero of ten digits is ever lost; letters keep a cell text.
        code = code.zfill(10) if code.isdigit() and len(code) == 9 else code
        if not _INSTITUTION.fullmatch(code):
            raise ListUnreadable.of(
                "an institution code has ten letters and digits", "機構代碼應為 10 碼", place
            )
        found.add(code)
    if not found:
        raise ListUnreadable.of("it holds no institution", "沒有任何機構", "row 2")
    return frozenset(found)


def read_order_code_list(raw: bytes) -> Mapping[str, Validity]:
    """Order codes with their first and last day in force; several rows of one code count as from
    the earliest to the latest. Raises UnreadablePayload."""
    found: dict[str, Validity] = {}
    for place, row in table_rows(raw, _ORDER_COLUMNS, ("code",)):
        code = row.get("code", "").upper()
        if not _ORDER.fullmatch(code):
            raise ListUnreadable.of("it is no order code", "不是醫令代碼", place)
        first = _day(row.get("first", ""), place) or date.min
        last = _day(row.get("last", ""), place)
        if last is not None and last.year in _OPEN_END_YEARS:
            last = None
        if code in found:
            known_first, known_last = found[code]
            first = min(first, known_first)
            last = None if last is None or known_last is None else max(last, known_last)
        found[code] = (first, last)
    if not found:
        raise ListUnreadable.of("it holds no order code", "沒有任何醫令代碼", "row 2")
    return found


def _day(text: str, place: str) -> date | None:
    if not text:
        return None
    try:
        return read_day(text)
    except ValueError:
        raise ListUnreadable.of("it has no date there", "日期無法解讀", place) from None
