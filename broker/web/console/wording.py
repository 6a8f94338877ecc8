"""The texts of the pages in both languages, from the TOML tables beside this module.

``words/<page>.toml`` holds tables ``[key]`` with ``zh`` and ``en``; a text is named
``page.key`` and filled in with ``str.format``. Where English says it otherwise of one,
``en_one`` stands beside ``en`` for ``n`` = 1.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from mapping.errors import Language

Words = Mapping[str, Mapping[str, str]]


@cache
def all_words() -> Words:
    """``{"today.title": {"zh": …, "en": …}}``."""
    words: dict[str, Mapping[str, str]] = {}
    folder = resources.files("broker.web.console") / "words"
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".toml"):
            page = entry.name.removesuffix(".toml")
            for key, texts in tomllib.loads(entry.read_text(encoding="utf-8")).items():
                words[f"{page}.{key}"] = texts
    return words


def say(language: Language, name: str, **values: object) -> str:
    """The text ``name``; raises ``KeyError`` where the tables have none."""
    texts = all_words()[name]
    one = language == "en" and "en_one" in texts and str(values.get("n")) == "1"
    return texts["en_one" if one else language].format(**values)


def say_or(language: Language, name: str, fallback: str) -> str:
    """The text ``name``, or ``fallback`` where the tables have none (a code of another part)."""
    texts = all_words().get(name)
    return texts[language] if texts is not None else fallback
