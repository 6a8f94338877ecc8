"""The city and NHI's division of an institution, by its code; the class of an order code."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from mapping.errors import Language


def city_of(institution_code: str) -> str:
    """The city or county (``臺北市``), or ``""`` where the code does not say."""
    return _cities().get(institution_code[2:4], "")


def division_of(institution_code: str) -> str:
    """The division (``臺北``, ``北區`` …), or ``""`` where the code does not say."""
    return _divisions().get(city_of(institution_code), "")


def category_of(order_code: str) -> str:
    """The class of an order code (檢查類別) by its two digits, such as ``09``."""
    return order_code[:2]


def category_name(category: str, language: Language) -> str:
    """A class in words; its digits where it has no name."""
    names = _categories().get(category)
    return names[language] if names else category


@cache
def _cities() -> Mapping[str, str]:
    found: dict[str, str] = _read("regions")["city"]
    return found


@cache
def _divisions() -> Mapping[str, str]:
    parts: dict[str, list[str]] = _read("regions")["division"]
    return {city: division for division, cities in parts.items() for city in cities}


@cache
def _categories() -> Mapping[str, Mapping[str, str]]:
    found: dict[str, dict[str, str]] = _read("check-categories")["category"]
    return found


def _read(name: str) -> dict[str, Any]:
    text = (resources.files("mapping") / "rates" / f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
