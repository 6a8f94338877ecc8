"""What an unknown local code may mean, each suggestion with its evidence. Pure; suggestions are
for a person and are never applied by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import NamedTuple

from mapping.catalogue.table_files import read_table, split_cell
from mapping.catalogue.tables import loinc_order_codes, order_code, order_codes, report_items
from mapping.item_lookup import name_key
from mapping.name_likeness import likeness
from mapping.units import same_unit, unit_key
from mapping.values import parse_quantity

_NAME, _UNIT, _SPECIMEN, _ORDERED, _LINK, _LOINC = 0.6, 0.12, 0.08, 0.2, 0.3, 0.3
_LEAST_LIKENESS = 0.45
_SPECIMEN_WORDS = {
    "urine": ("urine", "尿", "urin"),
    "stool": ("stool", "feces", "faeces", "糞", "大便"),
    "csf": ("csf", "cerebrospinal", "腦脊髓液"),
    "swab": ("swab", "throat", "nasal", "拭", "咽", "cervix", "sputum", "痰"),
    "fluid": ("fluid", "effusion", "ascites", "腹水", "胸水", "pus", "sputum", "痰"),
    "blood": ("blood", "edta", "plasma", "全血", "血漿", "血液", "citrate"),
    "serum": ("serum", "ser", "血清", "sst", "plasma", "blood", "血液"),
}


@dataclass(frozen=True, slots=True)
class KnownLink:
    """A link that exists: of another source, or another code of the same one. ``confirmed`` says
    that a person decided it."""

    source_id: str
    code: str
    order_code: str
    item_number: int | None = None
    lab_code: str = ""
    name: str = ""
    unit: str = ""
    specimen: str = ""
    ranges: tuple[str, ...] = ()
    """Reference ranges that the source sends with the code, in ``sent_unit``."""
    sent_unit: str = ""
    sent_specimen: str = ""
    """The one unit and specimen with which the source sends the code, ``""`` where unknown."""
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class CodeEvidence:
    """What is known of a local code. ``order_code`` is set where only its row is not known;
    ``ordered`` counts in how many of ``reports`` the visit has an order without a result."""

    code: str
    names: tuple[str, ...] = ()
    order_code: str = ""
    lab_code: str = ""
    units: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    specimens: tuple[str, ...] = ()
    ordered: Mapping[str, int] = field(default_factory=dict)
    together: frozenset[str] = frozenset()
    reports: int = 0
    known: tuple[KnownLink, ...] = ()


class Reason(NamedTuple):
    """``kind``: name, code, row, usual, unit, specimen, range, values, ordered, together,
    elsewhere, loinc.
    ``detail`` is what it rests on; ``weight`` what it adds to the score or takes from it."""

    kind: str
    detail: str
    weight: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """``score`` is 0 to 1. ``identical`` names the source that has the same code, name, unit and
    specimen of the same laboratory confirmed, or is ``""``."""

    order_code: str
    item_number: int | None
    name: str
    score: float
    reasons: tuple[Reason, ...]
    identical: str = ""


class _Candidate(NamedTuple):
    order_code: str
    item_number: int | None


class _Trait(NamedTuple):
    names: tuple[str, ...]
    units: tuple[str, ...]
    specimens: tuple[str, ...]


def suggest_codes(evidence: CodeEvidence, most: int = 5) -> tuple[Suggestion, ...]:
    """The likeliest meanings of a code, best first; empty where nothing speaks for any."""
    found = []
    named = _name_reasons(evidence.names, evidence.code)
    for candidate, trait in _traits().items():
        if evidence.order_code and candidate.order_code != evidence.order_code:
            continue
        reasons = tuple(_reasons(evidence, candidate, trait, named.get(candidate)))
        score = sum(reason.weight for reason in reasons)
        if score > 0 and any(reason.weight >= _ORDERED * 0.5 for reason in reasons):
            found.append(_suggestion(candidate, min(score, 1.0), reasons, evidence))
    # Of two equally good the one that tells its row, then the lower code, so that all see the same.
    found.sort(key=lambda each: (-each.score, each.order_code, each.item_number or 0))
    return tuple(found[:most])


def _suggestion(
    candidate: _Candidate, score: float, reasons: tuple[Reason, ...], evidence: CodeEvidence
) -> Suggestion:
    known = order_code(candidate.order_code)
    name = known.name_zh if known else candidate.order_code
    for row in report_items(candidate.order_code):
        if row.number == candidate.item_number:
            name = f"{name} · {row.name}"
    ordered = tuple(sorted(reasons, key=lambda reason: -abs(reason.weight)))
    return Suggestion(*candidate, name, round(score, 3), ordered, _identical(candidate, evidence))


def _identical(candidate: _Candidate, evidence: CodeEvidence) -> str:
    for link in evidence.known:
        if (
            link.confirmed
            and link.lab_code
            and link.lab_code == evidence.lab_code
            and (link.order_code, link.item_number) == candidate
            and link.code == evidence.code
            and evidence.names == (link.name,)
            and {unit_key(link.unit or link.sent_unit)} == set(map(unit_key, evidence.units))
            and {name_key(link.specimen or link.sent_specimen)}
            == set(map(name_key, evidence.specimens))
        ):
            return link.source_id
    return ""


def _reasons(
    evidence: CodeEvidence, candidate: _Candidate, trait: _Trait, named: Reason | None
) -> Iterator[Reason]:
    if named is not None:
        yield named
    yield from _link_reasons(evidence, candidate)
    if candidate.order_code in loinc_order_codes(evidence.code):
        yield Reason("loinc", evidence.code, _LOINC)
    ordered = evidence.ordered.get(candidate.order_code, 0)
    if ordered and evidence.reports:
        share = ordered / evidence.reports
        # Many orders without a result say little of each.
        weight = _ORDERED * share / max(1.0, len(evidence.ordered) ** 0.5)
        yield Reason("ordered", f"{ordered}/{evidence.reports}", max(weight, _ORDERED * 0.25))
    if candidate.item_number is not None and candidate.order_code in evidence.together:
        yield Reason("together", candidate.order_code, 0.1)
    elif candidate.order_code in evidence.together and not evidence.order_code:
        # Another line of the same reports is that test already.
        yield Reason("together", candidate.order_code, -0.15)
    if named is None and not ordered:
        return
    if candidate.item_number is None and len(report_items(candidate.order_code)) > 1:
        yield Reason("row", "", -0.05)
    elif trait.units or trait.specimens:
        yield Reason("usual", "", 0.02)
    if evidence.units and trait.units:
        fitting = [each for each in evidence.units if any(same_unit(each, u) for u in trait.units)]
        weight = _UNIT if fitting else -2 * _UNIT
        yield Reason("unit", (fitting or evidence.units)[0], weight)
    yield from _specimen_reason(evidence, trait)
    if evidence.values and trait.units:
        numbers = [parse_quantity(value) is not None for value in evidence.values]
        if not any(numbers):
            yield Reason("values", evidence.values[0][:20], -0.1)


# Most of what a suggestion takes; the same codes are looked at again while they wait.
@lru_cache(maxsize=256)
def _name_reasons(names: tuple[str, ...], code: str) -> Mapping[_Candidate, Reason]:
    found = {candidate: _name_reason(names, code, trait) for candidate, trait in _traits().items()}
    return {candidate: reason for candidate, reason in found.items() if reason is not None}


def _name_reason(names: tuple[str, ...], code: str, trait: _Trait) -> Reason | None:
    best: Reason | None = None
    for kind, said, share in (
        *(("name", name, 1.0) for name in names),
        ("code", code, 0.92),
    ):
        for name in trait.names:
            alike = likeness(said, name)
            weight = round(_NAME * alike * share, 3)
            if alike >= _LEAST_LIKENESS and (best is None or weight > best.weight):
                best = Reason(kind, f"{said} ~ {name}", weight)
    return best


def _link_reasons(evidence: CodeEvidence, candidate: _Candidate) -> Iterator[Reason]:
    names = {name_key(name) for name in evidence.names}
    best: Reason | None = None
    ranged: Reason | None = None
    for link in evidence.known:
        if link.order_code != candidate.order_code or (
            link.item_number is not None and link.item_number != candidate.item_number
        ):
            continue
        same_code = link.code == evidence.code
        same_name = bool(link.name) and name_key(link.name) in names
        same_lab = bool(link.lab_code) and link.lab_code == evidence.lab_code
        weight = _LINK * (0.7 * same_code + 0.7 * same_name) + 0.1 * (
            same_lab and (same_code or same_name)
        )
        shared = set(link.ranges) & set(evidence.ranges)
        if shared and any(same_unit(link.sent_unit, unit) for unit in evidence.units):
            ranged = Reason("range", f"{link.source_id} {link.code}: {min(shared)}", 0.1)
        if weight and (best is None or weight > best.weight):
            best = Reason("elsewhere", f"{link.source_id}: {link.code}", round(weight, 3))
    if best is not None:
        yield best
    if ranged is not None:
        yield ranged


def _specimen_reason(evidence: CodeEvidence, trait: _Trait) -> Iterator[Reason]:
    said = " ".join((*evidence.specimens, *evidence.names)).casefold()
    kinds = {kind for kind, words in _SPECIMEN_WORDS.items() if any(word in said for word in words)}
    prefix = evidence.code[:2].upper()
    if prefix in ("U-", "U_"):
        kinds.add("urine")
    if not trait.specimens or not kinds:
        return
    if kinds.intersection(trait.specimens):
        yield Reason("specimen", ", ".join(sorted(kinds)), _SPECIMEN)
    else:
        yield Reason("specimen", ", ".join(sorted(kinds)), -2.5 * _SPECIMEN)


@cache
def _traits() -> dict[_Candidate, _Trait]:
    """What is known of each order code, and of each row of those that have several."""
    names: dict[_Candidate, dict[str, None]] = {}
    units: dict[_Candidate, tuple[str, ...]] = {}
    specimens: dict[str, tuple[str, ...]] = {}
    for code, listed in order_codes().items():
        names[_Candidate(code, None)] = {listed.name_zh: None}
    for row in read_table("order-names"):
        candidate = _Candidate(row["order_code"], None)
        names.setdefault(candidate, {}).update(dict.fromkeys(split_cell(row["names"])))
        units[candidate] = split_cell(row["units"])
        specimens[row["order_code"]] = split_cell(row["specimens"])
    for code in tuple(order_codes()):
        for item in report_items(code):
            candidate = _row(code, item.number)
            names.setdefault(candidate, {})[item.name] = None
            if item.units:
                units[candidate] = (*units.get(candidate, ()), *item.units)
    for row in read_table("item-aliases"):
        if row["kind"] == "name":
            candidate = _row(row["order_code"], int(row["number"]))
            names.setdefault(candidate, {})[row["text"]] = None
            if row["unit"] and candidate.item_number is not None:
                units.setdefault(candidate, (row["unit"],))
    return {
        candidate: _Trait(
            tuple(said),
            tuple(unit for unit in units.get(candidate, ()) if unit != "無"),
            specimens.get(candidate.order_code, ()),
        )
        for candidate, said in names.items()
    }


def _row(code: str, number: int) -> _Candidate:
    return _Candidate(code, number if len(report_items(code)) > 1 else None)
