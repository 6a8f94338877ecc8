"""How the visits that a held result could belong to are told to a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mapping.errors import Language
from mapping.finding import Finding
from mapping.match import Reason
from mapping.match_score import POINTS, Sign

_SIGNS = {
    Sign.PLACER_NUMBER: ("same placer order number", "開單號碼相同"),
    Sign.NATIONAL_ID: ("same national id", "身分證號相同"),
    Sign.NATIONAL_ID_UNCHECKED: ("same national id, check digit wrong", "身分證號相同但檢查碼不符"),
    Sign.NATIONAL_ID_NEAR: ("national id differs by a slip", "身分證號疑似誤植"),
    Sign.BIRTH_DATE: ("same birth date", "出生日期相同"),
    Sign.ORDER_CODE: ("same order code", "醫令相同"),
    Sign.ORDER_FAMILY: ("order of the same family", "同類醫令"),
    Sign.SOON: ("taken within a week", "就醫後一週內採檢"),
    Sign.IN_WINDOW: ("taken within a month", "就醫後一個月內採檢"),
    Sign.ORDER_DAY: ("ordered on that day", "開單日相同"),
    Sign.PROVIDER: ("same ordering provider", "開單醫師相同"),
    Sign.OTHER_BIRTH_DATE: ("another birth date", "出生日期不同"),
    Sign.OTHER_PLACER_NUMBER: ("another placer order number", "開單號碼不同"),
    Sign.BEFORE_VISIT: ("taken before the visit", "採檢早於就醫"),
    Sign.AFTER_WINDOW: ("taken long after the visit", "採檢距就醫過久"),
    Sign.NO_ORDER: ("no such order", "無此醫令"),
    Sign.TAKEN_BACK: ("taken back", "已取消"),
    Sign.REPEATED: ("the order comes again and again", "定期重複開立"),
    Sign.ANSWERED: ("has its result already", "已有結果"),
}

_POSSIBLE = frozenset({Reason.ONLY_VISIT.value, Reason.SAME_PLACER_NUMBER.value})


def candidate_text(candidate: Mapping[str, Any], language: Language) -> str:
    """Several lines: the visit with its points, each sign with what it counts, and what speaks
    against it. ``candidate`` is one of :func:`broker.visit_desk.candidates_text`."""
    signs = [Sign(each) for each in candidate["signs"]]
    told = "".join(f"  {POINTS[sign]:+}  {_said(sign, language)}\n" for sign in signs)
    against = _against(candidate, language)
    return f"{_head(candidate, language)}\n{told}" + (f"  {against}\n" if against else "")


def candidate_line(candidate: Mapping[str, Any], language: Language) -> str:
    """The same on one line."""
    signs = "; ".join(_said(Sign(each), language) for each in candidate["signs"])
    against = _against(candidate, language)
    return f"{_head(candidate, language)}: {signs}" + (f". {against}" if against else "")


def _head(candidate: Mapping[str, Any], language: Language) -> str:
    points = f"{candidate['score']} 分" if language == "zh" else f"{candidate['score']} points"
    return f"{candidate['visit']}  {candidate['visit_on']}  {candidate['order_code']}  {points}"


def _said(sign: Sign, language: Language) -> str:
    return _SIGNS[sign][language == "zh"]


def _against(candidate: Mapping[str, Any], language: Language) -> str:
    """Why no rule could take this visit; ``""`` where it would do by itself."""
    if candidate["reason"] in _POSSIBLE:
        return ""
    parameters = (("order_code", candidate["order_code"]),)
    place = "就醫" if language == "zh" else "visit"
    place = f"{place} {candidate['visit']}"
    return Finding(candidate["reason"], place=place, parameters=parameters).message(language)
