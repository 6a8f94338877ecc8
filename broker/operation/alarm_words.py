"""What each kind of alarm is called by people."""

from __future__ import annotations

from collections.abc import Mapping

from broker.store.alarms import AlarmKind

ALARM_WORDS: Mapping[AlarmKind, tuple[str, str]] = {
    AlarmKind.AT_RISK: ("At risk", "即將逾期"),
    AlarmKind.MISSED: ("Late", "已逾期"),
    AlarmKind.CARD_AWAY: ("Card away", "卡片不在"),
    AlarmKind.CRITICAL: ("Critical results not confirmed", "危急值未確認"),
    AlarmKind.CRITICAL_CORRECTED: ("Critical results corrected", "危急值已更正"),
    AlarmKind.CERTIFICATE_ENDS: ("Certificate ends", "憑證將到期"),
    AlarmKind.VERDICT_OVERDUE: ("No check report", "檢核結果未取得"),
    AlarmKind.SOURCE_SILENT: ("A source is silent", "來源無訊息"),
    AlarmKind.DISK_LOW: ("Disk nearly full", "磁碟空間不足"),
    AlarmKind.BACKUP_OLD: ("Backup is old", "備份過舊"),
    AlarmKind.DELIVERY_STUCK: ("Deliveries do not arrive", "結果未能送達"),
    AlarmKind.DELIVERY_REFUSED: ("Deliveries are refused", "結果遭對方拒收"),
}
"""English, Chinese."""


def alarm_words(kind: str) -> tuple[str, str]:
    """English and Chinese; the kind itself where no word is known."""
    return ALARM_WORDS[AlarmKind(kind)] if kind in set(AlarmKind) else (kind, kind)
