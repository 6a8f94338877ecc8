"""Cards, tries and certificates in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.ports.card_state import CardCondition, TriesLeft
from mapping.errors import Language

_CONDITIONS = {
    CardCondition.ABSENT: ("not in a reader", "未插入"),
    CardCondition.LOCKED: ("waits for its PIN", "待輸入 PIN 碼"),
    CardCondition.READY: ("ready", "可簽章"),
    CardCondition.HELD: ("held before its last try", "僅剩最後一次，暫停嘗試"),
    CardCondition.BLOCKED: ("locked itself", "已鎖卡"),
    CardCondition.FAULT: ("fault", "異常"),
}
_TRIES = {
    TriesLeft.ALL: ("all", "未用"),
    TriesLeft.FEWER: ("fewer than all", "已減少"),
    TriesLeft.ONE: ("one", "一次"),
    TriesLeft.NONE: ("none", "無"),
    TriesLeft.UNKNOWN: ("unknown", "不明"),
}
_ENVIRONMENTS = {
    "rehearsal": ("rehearsal card", "演練卡"),
    "test": ("test card", "測試卡"),
    "production": ("production card", "正式卡"),
}
WARN_DAYS = 30


def condition_word(condition: CardCondition, language: Language) -> str:
    """How a card stands."""
    return _CONDITIONS[condition][language == "zh"]


def tries_word(tries: TriesLeft, language: Language) -> str:
    """How many tries are left, as far as the card tells."""
    return _TRIES[tries][language == "zh"]


def card_lines(card: Mapping[str, Any], language: Language) -> list[str]:
    """A card as ``labbroker cards`` shows it; ``card`` is as ``broker.bootstrap.cards`` tells."""
    chinese = language == "zh"
    head = condition_word(CardCondition(card["condition"]), language)
    if card["reason"]:
        head += f" ({card['reason']})" if not chinese else f"（{card['reason']}）"
    where = f" @ {card['agent']}" if card["agent"] else ""
    lines = [f"  {card['institution'] or '-':<10}  {card['name']}{where}  {head}"]
    if card["serial"] or card["label"]:
        wrong, token = card["wrong_entries"], f"{card['label']} {card['serial']}".strip()
        tries = tries_word(TriesLeft(card["tries"]), language)
        lines.append(
            f"    {token}　剩餘次數：{tries}　輸入錯誤：{wrong}"
            if chinese
            else f"    {token}  tries left: {tries}  wrong entries: {wrong}"
        )
    if card["valid_until"]:
        lines.append(f"    {card['subject']}")
        lines.append(f"    {_validity(card, chinese)}")
    return lines


def _validity(card: Mapping[str, Any], chinese: bool) -> str:
    world = _ENVIRONMENTS[card["environment"]][chinese]
    until, days = card["valid_until"][:10], card["days_left"]
    text = f"{world}，憑證效期至 {until}" if chinese else f"{world}, certificate until {until}"
    if days < 0:
        return text + ("，已逾期" if chinese else ": it has ended")
    if days <= WARN_DAYS:
        return text + (f"，僅剩 {days} 天，請換發" if chinese else f": {days} days left, renew it")
    return text
