"""How a patient is written until somebody asks to see who it is.

What remains tells two patients of one day apart for the person who already knows them, and nobody
else who they are.
"""

from __future__ import annotations

from datetime import date

MASK = "○"
_STAR = "*"


def masked_id(national_id: str) -> str:
    """``A123456789`` → ``A12*****89``. What is no id of ten characters keeps its first alone."""
    if len(national_id) == 10:
        return national_id[:3] + _STAR * 5 + national_id[8:]
    return _first_alone(national_id, _STAR)


def masked_name(name: str) -> str:
    """``王小明`` → ``王○明``, ``王明`` → ``王○``, ``歐陽小明`` → ``歐○○明``.

    Of a name in letters the first letter of each word stays (``CHEN, Mei`` → ``C○○○ M○○``)."""
    name = name.strip()
    if not name.isascii():
        if len(name) <= 2:
            return _first_alone(name, MASK)
        return name[0] + MASK * (len(name) - 2) + name[-1]
    return " ".join(_first_alone(word, MASK) for word in name.replace(",", " ").split())


def masked_birth(birth_on: date | None) -> str:
    """The year alone: it says for which age a reference range holds."""
    return "" if birth_on is None else f"{birth_on.year:04d}-{_STAR * 2}-{_STAR * 2}"


def masked_number(number: str) -> str:
    """A chart, card or telephone number: the last two characters, or nothing of a short one."""
    if len(number) < 5:
        return _STAR * len(number)
    return _STAR * (len(number) - 2) + number[-2:]


def _first_alone(text: str, mask: str) -> str:
    return text[:1] + mask * (len(text) - 1)
