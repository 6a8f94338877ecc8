"""NHI's published tables of divisions and cities, each with its period and data date."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from mapping.errors import Language
from mapping.rates.regions import city_of, division_of


@dataclass(frozen=True, slots=True)
class BenchmarkRow:
    """Figures as printed; None or empty where the table prints none.

    ``percents`` go with the table's ``kinds``. ``due`` and ``uploaded`` are counts of orders, for
    ``participation`` of institutions.
    """

    key: str
    due: int | None = None
    uploaded: int | None = None
    percent: Decimal | None = None
    percent_before: Decimal | None = None
    groups: int | None = None
    points: Decimal | None = None
    percents: tuple[Decimal | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A published table. ``by`` is ``division``, ``city`` or ``band``; ``measure`` is the name of a
    rate, ``groups`` or ``participation``; ``period`` in ROC years as printed."""

    id: str
    by: str
    measure: str
    period: str
    data_on: date
    names: tuple[str, str]
    rows: tuple[BenchmarkRow, ...]
    total: BenchmarkRow | None = None
    before: str = ""
    kinds: tuple[str, ...] = ()

    def name(self, language: Language) -> str:
        return self.names[language == "zh"]

    def row(self, key: str) -> BenchmarkRow | None:
        """The row of a division or city; None where the table has none."""
        return next((each for each in self.rows if each.key == key), None)

    def row_for(self, institution_code: str) -> BenchmarkRow | None:
        """The row of the place in which an institution is."""
        place = {"division": division_of, "city": city_of}.get(self.by)
        return self.row(place(institution_code)) if place else None


@cache
def benchmarks() -> tuple[Benchmark, ...]:
    """All tables."""
    text = (resources.files("mapping") / "rates" / "benchmarks.toml").read_text(encoding="utf-8")
    return tuple(_benchmark(each) for each in tomllib.loads(text)["table"])


def benchmark(table_id: str) -> Benchmark:
    """One table by its id; ``KeyError`` where there is none."""
    return {each.id: each for each in benchmarks()}[table_id]


def _benchmark(data: dict[str, Any]) -> Benchmark:
    return Benchmark(
        data["id"],
        data["by"],
        data["measure"],
        data["period"],
        data["data_on"],
        (data["en"], data["zh"]),
        tuple(_row(each) for each in data["rows"]),
        _row({"key": "", **data["total"]}) if "total" in data else None,
        data.get("before", ""),
        tuple(data.get("kinds", ())),
    )


def _row(data: dict[str, Any]) -> BenchmarkRow:
    return BenchmarkRow(
        data["key"],
        data.get("due"),
        data.get("uploaded"),
        _number(data.get("percent")),
        _number(data.get("percent_before")),
        data.get("groups"),
        _number(data.get("points")),
        tuple(_number(each) for each in data.get("percents", ())),
    )


def _number(value: Any) -> Decimal | None:
    return None if value in (None, "") else Decimal(value)
