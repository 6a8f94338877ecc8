"""Words in the status and sex columns of result files. An unknown status is never final."""

from __future__ import annotations

from collections.abc import Mapping

from mapping.report import ObservationStatus, ReportStatus

_WORDS = {
    ObservationStatus.FINAL: "f final 正式 正式報告 確認 已確認 完成 已完成 最終報告",
    ObservationStatus.PRELIMINARY: "p i s preliminary partial 初步 初步報告 暫時報告 未完成",
    ObservationStatus.CORRECTED: "c corrected amended 更正 更正報告 修正 修正報告",
    ObservationStatus.WITHDRAWN: "w d withdrawn cancelled canceled 取消 作廢 撤銷",
    ObservationStatus.NOT_DONE: "x n 未執行 未檢驗 無法檢驗 退件",
}
STATUS_WORDS: Mapping[str, ObservationStatus] = {
    "": ObservationStatus.FINAL,
    "F": ObservationStatus.FINAL,
    **{word: status for status, words in _WORDS.items() for word in words.split()},
}
"""Case-folded words; the letters are those of HL7 tables 0085 and 0123. An empty cell is final."""

SEX_WORDS: Mapping[str, str] = {
    "": "",
    **dict.fromkeys(("m", "male", "男", "男性", "1"), "M"),
    **dict.fromkeys(("f", "female", "女", "女性", "2"), "F"),
}
"""1 and 2 as in ISO 5218."""


def report_status(statuses: frozenset[ObservationStatus]) -> ReportStatus:
    """The status of a report with lines of these statuses."""
    if statuses <= {ObservationStatus.WITHDRAWN, ObservationStatus.NOT_DONE}:
        return ReportStatus.CANCELLED
    if ObservationStatus.PRELIMINARY in statuses:
        return ReportStatus.PRELIMINARY
    if ObservationStatus.CORRECTED in statuses:
        return ReportStatus.CORRECTED
    return ReportStatus.FINAL
