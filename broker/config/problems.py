"""What can be wrong with the settings, each a sentence with file, place and the next step."""

from __future__ import annotations

from collections.abc import Sequence

from mapping.errors import LabbrokerError, Language


class SettingsUnreadable(LabbrokerError):
    code = "settings-unreadable"
    en = (
        "The settings file {file} cannot be read: {reason}.",
        "Check the path and the TOML syntax; examples/labbroker.toml shows a whole file.",
    )
    zh = (
        "無法讀取設定檔 {file}：{reason_zh}。",
        "請檢查路徑與 TOML 語法；完整範例見 examples/labbroker.toml。",
    )


class UnknownSetting(LabbrokerError):
    """``nearest`` is the known name that looks most like it, or the list of known names."""

    code = "settings-unknown-key"
    en = (
        "{place}: there is no setting {key}.",
        "Did you mean {nearest}? All settings are listed in docs/reference/settings.md.",
    )
    zh = (
        "{place}：沒有名為 {key} 的設定。",
        "是否為 {nearest}？所有設定見 docs/reference/settings.md。",
    )


class WrongSetting(LabbrokerError):
    """``expected`` says what the setting takes. The value is not repeated: it may be a secret."""

    code = "settings-wrong-value"
    en = (
        "{place}: {key} does not take this value.",
        "It takes {expected}; docs/reference/settings.md tells more.",
    )
    zh = (
        "{place}：{key} 的值不正確。",
        "應為：{expected}；詳見 docs/reference/settings.md。",
    )


class MissingSetting(LabbrokerError):
    code = "settings-missing-key"
    en = (
        "{place}: {key} is not set.",
        "Set it: {meaning}",
    )
    zh = (
        "{place}：未設定 {key}。",
        "請設定此項：{meaning}",
    )


class ContradictingSettings(LabbrokerError):
    """Each setting is fine by itself, but they do not fit together."""

    code = "settings-contradict"
    en = (
        "{place}: {what}.",
        "Change one of them so that both can hold.",
    )
    zh = (
        "{place}：設定互相矛盾（{what}）。",
        "請修改其中一項。",
    )


class InvalidSettings(LabbrokerError):
    """All problems of one load, so that a person can repair them in one go."""

    code = "settings"

    def __init__(self, problems: Sequence[LabbrokerError]) -> None:
        self.problems = tuple(problems)
        super().__init__()

    def sentence(self, language: Language = "en") -> str:
        if len(self.problems) == 1:
            return self.problems[0].sentence(language)
        lines = [
            f"{problem.sentence(language)} {problem.remedy(language)}" for problem in self.problems
        ]
        title = (
            f"設定有 {len(lines)} 處錯誤："
            if language == "zh"
            else f"{len(lines)} settings are wrong:"
        )
        return "\n  - ".join([title, *lines])

    def remedy(self, language: Language = "en") -> str:
        if len(self.problems) == 1:
            return self.problems[0].remedy(language)
        if language == "zh":
            return "請逐項更正後重新執行。"
        return "Correct each of them and start again."
