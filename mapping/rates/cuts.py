"""Rates cut by day, class, order code, laboratory, doctor, clinic, group and division."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mapping.errors import Language
from mapping.rates.counted_order import CountedOrder, NhiList, RateName
from mapping.rates.groups import Groups
from mapping.rates.rate import Rate, rates_by
from mapping.rates.regions import category_name, category_of, city_of, division_of


class Cut(StrEnum):
    DAY = "day"
    CATEGORY = "category"
    ORDER_CODE = "order_code"
    LAB = "lab"
    DOCTOR = "doctor"
    CLINIC = "clinic"
    GROUP = "group"
    CITY = "city"
    DIVISION = "division"


_TITLES: Mapping[Cut, tuple[str, str]] = {
    Cut.DAY: ("day of the visit", "就診日"),
    Cut.CATEGORY: ("class of test", "檢查類別"),
    Cut.ORDER_CODE: ("order code", "醫令代碼"),
    Cut.LAB: ("laboratory", "檢驗所"),
    Cut.DOCTOR: ("doctor", "醫師"),
    Cut.CLINIC: ("clinic", "院所"),
    Cut.GROUP: ("group", "醫療群"),
    Cut.CITY: ("city", "縣市"),
    Cut.DIVISION: ("division", "分區業務組"),
}


def cut_title(cut: Cut, language: Language) -> str:
    """What a cut is called."""
    return _TITLES[cut][language == "zh"]


@dataclass(frozen=True, slots=True)
class CutRow:
    """One part of a cut. ``key`` is ``""`` where an order says nothing of it (no laboratory has
    sent a result yet, the clinic is in no group)."""

    key: str
    rates: Mapping[RateName, Rate]

    def label(self, cut: Cut, language: Language, groups: Groups) -> str:
        """What people read: the name beside a code where there is one, ``-`` for nothing."""
        if not self.key:
            return "-"
        if cut is Cut.CATEGORY:
            return f"{self.key} {category_name(self.key, language)}"
        if cut is Cut.GROUP:
            name = groups.name_of(self.key)
            return self.key if name == self.key else f"{self.key} {name}"
        return self.key


def cut_rates(
    orders: Iterable[CountedOrder],
    cut: Cut,
    names: Iterable[RateName],
    data_on: date,
    nhi: NhiList | None = None,
    groups: Groups | None = None,
) -> list[CutRow]:
    """The parts of a cut in the order of their keys; for each rate they add up to the whole."""
    key = key_of(cut, groups or Groups())
    counted = list(orders)
    by_name = {name: rates_by(key, name, counted, data_on, nhi) for name in names}
    keys = sorted({each for rates in by_name.values() for each in rates})
    return [CutRow(each, {name: rates[each] for name, rates in by_name.items()}) for each in keys]


def key_of(cut: Cut, groups: Groups) -> Callable[[CountedOrder], str]:
    """What an order is under in a cut."""
    if cut is Cut.GROUP:
        return lambda order: groups.group_of(order.institution_code, order.visit_on)
    return _KEYS[cut]


_KEYS: Mapping[Cut, Callable[[CountedOrder], str]] = {
    Cut.DAY: lambda order: order.visit_on.isoformat(),
    Cut.CATEGORY: lambda order: category_of(order.order_code),
    Cut.ORDER_CODE: lambda order: order.order_code,
    Cut.LAB: lambda order: order.lab_code,
    Cut.DOCTOR: lambda order: order.provider_id,
    Cut.CLINIC: lambda order: order.institution_code,
    Cut.CITY: lambda order: city_of(order.institution_code),
    Cut.DIVISION: lambda order: division_of(order.institution_code),
}
