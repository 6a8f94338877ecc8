"""What speaks for an order code and a result row, one line at a time.

The answers depend on codes and units alone, so they are remembered: a lab sends the same few
hundred codings all year.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from mapping.catalogue.tables import (
    has_programme,
    loinc_order_codes,
    order_code,
    programme_item,
    report_items,
    report_type_of,
)
from mapping.item_lookup import find_item, is_loinc, numbered_rows
from mapping.profile import CodeLink, SourceProfile
from mapping.report import Coding
from mapping.report_text import NARRATIVE_TYPES

NHI_SYSTEMS = frozenset(
    {
        "https://twcore.mohw.gov.tw/ig/twcore/CodeSystem/medical-service-payment-tw",
        "NHI",
        "99NHI",
        "健保",
    }
)
_NHI_CODE = re.compile(r"[0-9A-Z]{5,12}")


class Undecided(StrEnum):
    """Why a line is in no order; the values are finding codes."""

    NO_ORDER = "unmapped-code"
    NO_ITEM = "unmapped-item"
    NOT_UPLOADED = "not-uploaded"
    UNLESS_ALONE = "unless-alone"
    """A single-row order's line known by its service only: the row, if no other line claims it."""


class Decision(NamedTuple):
    """``number`` 0 means: numbered in the lab's order. Origins as in ``record.Field``; ``code``
    stands for the line's own coding."""

    order_code: str
    number: int
    name: str
    name_origin: str
    number_origin: str
    evidence: str
    by_service: bool = False
    problem: Undecided | None = None


class Line(NamedTuple):
    """What of a line speaks for its place. ``specimen`` is the report's."""

    codings: tuple[Coding, ...]
    unit: str = ""
    method: str = ""
    specimen: str = ""


def service_order_code(
    service: tuple[Coding, ...], specimen: str, profile: SourceProfile
) -> tuple[str, str]:
    """The order code that the ordered service itself is, and its origin (``service`` for the
    service's own code); ``("", "")`` if none."""
    if not service:
        return "", ""
    if profile.code_map or profile.codes:
        for coding in service:
            found = _linked(profile, Line((coding,), specimen=specimen), coding)
            if found is not None and found[0].order_code:
                return found[0].order_code, found[1]
    code = _own_order_code(service)
    if code:
        return code, "service"
    linked = _loinc_links(service)
    return (linked[0], "nhi-loinc") if len(linked) == 1 else ("", "")


def unknown_service_code(
    service: tuple[Coding, ...], specimen: str, profile: SourceProfile
) -> tuple[str, str]:
    """Of an ordered service that is no order code: the code under which a person may say what it
    means, and its name; ``("", "")`` where somebody said that it is never uploaded."""
    for coding in service:
        found = _linked(profile, Line((coding,), specimen=specimen), coding)
        if found is not None and not found[0].order_code:
            return "", ""
    named = next((coding for coding in service if _local_name(coding)), None)
    return (_local_name(named), named.display) if named is not None else ("", "")


def decide_by_profile(
    line: Line, service: tuple[Coding, ...], profile: SourceProfile
) -> Decision | None:
    """What people decided for a line, in the code map or in the settings: by ``service/code``,
    then ``code|system``, then ``code``. An empty order code says that the line is never uploaded.
    None: nobody said anything."""
    for ordered in service:
        for coding in line.codings:
            found = _link_of(profile, line, f"{ordered.code}/{_local_name(coding)}")
            if found is not None:
                return _decide_link(*found, line.codings, line.unit)
    for coding in line.codings:
        found = _linked(profile, line, coding)
        if found is not None:
            return _decide_link(*found, line.codings, line.unit)
    return None


@lru_cache(maxsize=16384)
def decide_by_catalogue(codings: tuple[Coding, ...], unit: str, service: str) -> Decision:
    """What the official tables say of a line whose service is the order code ``service``."""
    own = _own_order_code(codings)
    if own:
        return _row_of(own, codings, unit, "code")
    if service:
        decision = _row_of(service, codings, unit, "", by_service=True)
        if decision.problem is not Undecided.NO_ITEM:
            return decision
    linked = _loinc_links(codings)
    if len(linked) > 1 and service in linked:
        linked = (service,)
    if len(linked) == 1:
        return _row_of(linked[0], codings, unit, "nhi-loinc")
    problem = Undecided.NO_ITEM if service else Undecided.NO_ORDER
    return Decision(service, 0, "", "", "", "", problem=problem)


@lru_cache(maxsize=16384)
def _decide_link(link: CodeLink, origin: str, codings: tuple[Coding, ...], unit: str) -> Decision:
    code, number = link.order_code, link.item_number
    if not code:
        return Decision("", 0, "", "", "", "", problem=Undecided.NOT_UPLOADED)
    if number is None:
        return _row_of(code, codings, unit, origin)
    name, name_origin = _row_name(code, number, codings)
    return Decision(code, number, name, name_origin, origin, origin)


def _row_of(
    code: str, codings: tuple[Coding, ...], unit: str, evidence: str, *, by_service: bool = False
) -> Decision:
    """The row of ``code`` that the codings name; the lab's own row where no table is official."""
    tabled = "report-items"
    items = report_items(code)
    if not items and report_type_of(code) not in NARRATIVE_TYPES:
        items, tabled = numbered_rows(code), "programme-items"
    if not items:
        name, origin = _lab_name(codings, code)
        return Decision(code, 0, name, origin, "sequence", evidence, by_service)
    item = find_item(code, codings, unit)
    problem = None
    if item is None and len(items) == 1:
        item = items[0]
        # A LOINC code that NHI links to this very order is as good as the order code.
        if by_service and code not in _loinc_links(codings):
            problem = Undecided.UNLESS_ALONE
    if item is None:
        return Decision(code, 0, "", "", "", evidence, problem=Undecided.NO_ITEM)
    return Decision(code, item.number, item.name, tabled, tabled, evidence, by_service, problem)


def _row_name(code: str, number: int, codings: tuple[Coding, ...]) -> tuple[str, str]:
    for item in report_items(code):
        if item.number == number:
            return item.name, "report-items"
    programme = programme_item(code, str(number))
    if programme is not None and programme.name:
        return programme.name, "programme-items"
    return _lab_name(codings, code)


def _lab_name(codings: tuple[Coding, ...], code: str) -> tuple[str, str]:
    for coding in codings:
        if coding.display.strip() and coding.display != code:
            return coding.display, "code"
    for coding in codings:
        if coding.code and coding.code != code and not is_loinc(coding):
            return coding.code, "code"
    return "", ""


def _own_order_code(codings: tuple[Coding, ...]) -> str:
    """The one NHI order code among ``codings``; two different ones are no evidence."""
    said = {
        coding.code
        for coding in codings
        if coding.system in NHI_SYSTEMS and _NHI_CODE.fullmatch(coding.code)
    }
    known = said or {coding.code for coding in codings if _is_known(coding.code)}
    return next(iter(known)) if len(known) == 1 else ""


def _is_known(code: str) -> bool:
    return order_code(code) is not None or has_programme(code)


def _loinc_links(codings: tuple[Coding, ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for coding in codings:
        if is_loinc(coding):
            found.update(dict.fromkeys(loinc_order_codes(coding.code)))
    return tuple(found)


def _linked(profile: SourceProfile, line: Line, coding: Coding) -> tuple[CodeLink, str] | None:
    name = _local_name(coding)
    if coding.system and (found := _link_of(profile, line, f"{name}|{coding.system}")):
        return found
    return _link_of(profile, line, name)


def _link_of(profile: SourceProfile, line: Line, name: str) -> tuple[CodeLink, str] | None:
    link = profile.code_map.find(name, line.specimen, line.unit, line.method)
    if link is not None:
        return link, "code-map"
    link = profile.codes.get(name) if name else None
    return None if link is None else (link, "profile.codes")


def _local_name(coding: Coding) -> str:
    """Files often have no codes: there the name is what a person can link."""
    return coding.code or coding.display
