"""The check digit of national ids and residence permits.

Ten characters: a letter for the place, then nine digits of which the last is the check digit.
The second character is 1 or 2 for citizens, 8 or 9 for residence permits since 2021-01-02, and
a letter A to D on permits issued before (內政部移民署, 統一證號編碼原則).
"""

from __future__ import annotations

from functools import lru_cache

# The letters in the order of the numbers 10 to 35 that the Ministry of the Interior gave them.
_NUMBER = {letter: 10 + index for index, letter in enumerate("ABCDEFGHJKLMNPQRSTUVXYWZIO")}
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 1, 1)


@lru_cache(maxsize=8192)
def is_valid_national_id(text: str) -> bool:
    """Whether ``text`` is well formed with a right check digit: citizen or either permit form."""
    if len(text) != 10 or not text.isascii():
        return False
    place = _NUMBER.get(text[0])
    if place is None or not text[2:].isdigit():
        return False
    second = text[1]
    if second in "1289":
        first_digit = int(second)
    elif second in "ABCD":
        first_digit = _NUMBER[second] % 10
    else:
        return False
    digits = (first_digit, *map(int, text[2:]))
    total = place // 10 + place % 10 * 9
    return (total + sum(w * d for w, d in zip(_WEIGHTS, digits, strict=True))) % 10 == 0
