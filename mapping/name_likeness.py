"""How like two names of tests are, in Chinese, English and abbreviations: evidence, no link."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from mapping.item_lookup import name_key

_TOKEN = re.compile(r"[a-z]+[0-9]*|[0-9]+|[\u3400-\u9fff]+|[α-ω]+")
_GREEK = str.maketrans({"α": "alpha", "β": "beta", "γ": "gamma"})
# Words that tell nothing of the test. Specimens are judged apart.
_EMPTY = frozenset(
    {"test", "level", "value", "assay", "the", "of", "in", "serum", "plasma", "blood", "s", "b"}
    | {"quantitative", "quant", "method", "eia", "lia", "cmia", "eclia", "immunoassay", "screening"}
)
_EMPTY_ZH = ("免疫分析", "免疫比濁法", "檢查", "測定", "檢驗", "試驗", "血清", "血中", "血液")


class Name(NamedTuple):
    """A name taken apart: ``key`` as one word, its ``tokens`` and pairs of characters."""

    key: str
    tokens: frozenset[str]
    pairs: frozenset[str]


@lru_cache(maxsize=16384)
def read_name(text: str) -> Name:
    """The parts of ``text`` by which it is compared."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_GREEK)
    for empty in _EMPTY_ZH:
        shorter = folded.replace(empty, " ")
        folded = shorter if shorter.strip() else folded
    words = _TOKEN.findall(folded)
    telling = [word for word in words if word not in _EMPTY] or words
    key = name_key("".join(telling))
    return Name(key, frozenset(telling), frozenset(map("".join, pairwise(key))))


def likeness(one: str, other: str) -> float:
    """0 (nothing alike) to 1 (the same name)."""
    if name_key(one) == name_key(other):
        return 1.0
    first, second = read_name(one), read_name(other)
    if not first.key or not second.key:
        return 0.0
    if first.key == second.key:
        return 0.97
    if first.tokens == second.tokens:
        return 0.95
    alike = 0.0
    if first.pairs and second.pairs:
        alike = 0.85 * 2 * len(first.pairs & second.pairs) / (len(first.pairs) + len(second.pairs))
    shared = first.tokens & second.tokens
    if shared and shared in (first.tokens, second.tokens):
        # One name holds the other whole: the more of it, the better.
        letters = sum(map(len, shared))
        most = max(sum(map(len, first.tokens)), sum(map(len, second.tokens)))
        alike = max(alike, 0.55 + 0.35 * letters / most)
    return alike
