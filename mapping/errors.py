"""The one root of all errors that a person may meet.

Every class carries a stable ``code`` (programs decide on it), a sentence and a remedy in
English and zh-TW. Parameters are filled in with ``str.format``; they never hold patient data,
because the text of an error may be logged.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from mapping.place_words import chinese_place

Language = Literal["en", "zh"]


class LabbrokerError(Exception):
    """Something stopped, and a person can do something about it."""

    code: ClassVar[str] = "internal"
    en: ClassVar[tuple[str, str]] = (
        "An unexpected fault happened.",
        "Run `labbroker doctor` and report the fault with its log line.",
    )
    zh: ClassVar[tuple[str, str]] = (
        "發生未預期的錯誤。",
        "請執行 `labbroker doctor`，並附上該筆紀錄回報。",
    )

    def __init__(self, **parameters: object) -> None:
        self.parameters = parameters
        super().__init__(self.sentence("en"))

    def sentence(self, language: Language = "en") -> str:
        """What happened and where, as one sentence."""
        return self._texts(language, 0)

    def remedy(self, language: Language = "en") -> str:
        """What to do next, as one sentence."""
        return self._texts(language, 1)

    def _texts(self, language: Language, which: int) -> str:
        if language != "zh":
            return self.en[which].format(**self.parameters)
        place = self.parameters.get("place")
        told = {"place": chinese_place(place)} if isinstance(place, str) else {}
        return self.zh[which].format(**{**self.parameters, **told})


class UnreadablePayload(LabbrokerError):
    """The bytes as a whole cannot be read as what they claim to be: quarantine, never guess."""

    code = "unreadable"
    en = (
        "The payload cannot be read: {reason} (at {place}).",
        "Ask the sender for a corrected copy; where the settings of the source are wrong, correct "
        "them and run `labbroker replay`.",
    )
    zh = (
        "內容無法讀取：{reason}（位置：{place}）。",
        "請送件端更正後重送；若為本端的來源設定有誤，請更正設定後執行 `labbroker replay`。",
    )
