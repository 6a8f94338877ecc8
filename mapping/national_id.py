"""The check digit of national ids and residence permits.

Ten characters: a letter for the place, then nine digits of which the last is the check digit.
The second character is 1 or 2 for citizens, 8 or 9 for residence permits since 2021-01-02, and
a letter A to D on permits issued before (內政部移民署, 統一證號編碼原則).
"""

from __future__ import annotations

from functools import lru_cache

# The letters in the order of the numbers 10 to 35 that the Ministry of the Interior gave them.
_NUMBER = {letter: 10 + index for index, letter in enumerate("ABCDEFGHJKLMNPQRSTUVXYWZIO")}
_PLACE_SUM = {letter: number // 10 + number % 10 * 9 for letter, number in _NUMBER.items()}
_OLD_PERMIT_DIGIT = {letter: str(_NUMBER[letter] % 10) for letter in "ABCD"}


@lru_cache(maxsize=8192)
def is_valid_national_id(text: str) -> bool:
    """Whether ``text`` is well formed with a right check digit: citizen or either permit form."""
    if len(text) != 10 or not text.isascii():
        return False
    place = _PLACE_SUM.get(text[0])
    second = text[1]
    second = _OLD_PERMIT_DIGIT.get(second, second if second in "1289" else "")
    digits = second + text[2:]
    if place is None or not second or not digits.isdigit():
        return False
    a, b, c, d, e, f, g, h, check = map(int, digits)
    total = place + 8 * a + 7 * b + 6 * c + 5 * d + 4 * e + 3 * f + 2 * g + h + check
    return total % 10 == 0
