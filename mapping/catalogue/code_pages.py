"""The page of each code of the NHI check report, for `labbroker explain` and the documentation."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from mapping.catalogue.tables import code_table
from mapping.errors import Language


@dataclass(frozen=True, slots=True)
class CodePage:
    """One code: the NHI's words for it, what raises it here before upload, and the remedy."""

    code: str
    name_zh: str
    name_en: str
    raised_en: str
    raised_zh: str
    remedy_en: str
    remedy_zh: str

    def name(self, language: Language) -> str:
        return self.name_zh if language == "zh" else self.name_en

    def raised(self, language: Language) -> str:
        return self.raised_zh if language == "zh" else self.raised_en

    def remedy(self, language: Language) -> str:
        return self.remedy_zh if language == "zh" else self.remedy_en


@cache
def code_pages() -> dict[str, CodePage]:
    """All 46 pages by code, in the order of the official list."""
    file = resources.files("mapping") / "catalogue" / "code-pages.toml"
    texts = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        code: CodePage(
            code,
            name.name_zh,
            name.name_en,
            texts[code]["en"]["raised"],
            texts[code]["zh"]["raised"],
            texts[code]["en"]["remedy"],
            texts[code]["zh"]["remedy"],
        )
        for code, name in code_table("nhi-codes").items()
    }


def code_pages_reference() -> str:
    """The sections of ``docs/reference/nhi-codes.md``, one for each code."""
    return "\n".join(
        f"## {page.code} {page.name_zh}\n\n{page.name_en}.\n\n"
        f"* Raised here: {page.raised_en}\n"
        f"* Remedy: {page.remedy_en}\n"
        f"* 檢出條件：{page.raised_zh}\n"
        f"* 更正方式：{page.remedy_zh}\n"
        for page in code_pages().values()
    )
