"""Where a value came from, in words; and the fields of the format by their official names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from broker.web.console.looks import masked_value, without_ids
from broker.web.console.wording import say
from mapping.catalogue.code_pages import code_pages
from mapping.catalogue.tables import code_table
from mapping.editions.edition import edition_on
from mapping.errors import Language
from mapping.finding import Finding
from mapping.record import Field, Fields

_KINDS = (
    ("person:", "person"),
    ("visit.", "visit"),
    ("order.", "visit"),
    ("profile.codes", "codes"),
    ("profile.", "profile"),
    ("agreement", "agreement"),
    ("intake.", "intake"),
    ("seal", "seal"),
    ("report-items", "tables"),
    ("order-codes", "tables"),
    ("programme-items", "tables"),
    ("reagents", "tables"),
    ("sequence", "sequence"),
)


@dataclass(frozen=True, slots=True)
class ShownField:
    """A field of the record for people. ``meaning`` says what a code of a short table means."""

    tag: str
    name: str
    value: str
    meaning: str
    origin: str
    place: str
    assumed: bool
    faulty: bool = False


def origin_kind(origin: str) -> str:
    """``lab``, ``visit``, ``profile``, ``person`` …: whose word a value is."""
    plain = origin.removeprefix("assumed:")
    for start, kind in _KINDS:
        if plain.startswith(start):
            return kind
    return "lab"


def field_name(tag: str, on: date, language: Language) -> str:
    """The official name of a field; the tag itself where the edition has none."""
    rule = edition_on(on).rule(tag)
    if rule is None:
        return tag
    return rule.name_zh if language == "zh" else rule.name_en


def shown_field(
    tag: str,
    field: Field,
    on: date,
    language: Language,
    *,
    clear: bool = False,
    faulty: bool = False,
) -> ShownField:
    """``clear``: the patient's own fields are shown too."""
    value = field.value if clear else without_ids(masked_value(tag, field.value))
    kind = origin_kind(field.origin)
    return ShownField(
        tag,
        field_name(tag, on, language),
        value,
        _meaning(tag, field.value, on, language),
        say(language, f"provenance.{kind}"),
        "" if kind == "person" else without_ids(field.origin.removeprefix("assumed:")),
        field.origin.startswith("assumed:"),
        faulty,
    )


def shown_fields(
    fields: Fields,
    on: date,
    language: Language,
    faulty: frozenset[str] = frozenset(),
    *,
    clear: bool = False,
) -> list[ShownField]:
    """All fields of one part of the record, in the order of the format."""
    edition = edition_on(on)
    order = {rule.tag: number for number, rule in enumerate((*edition.header, *edition.rows))}
    return [
        shown_field(tag, field, on, language, clear=clear, faulty=tag in faulty)
        for tag, field in sorted(fields.items(), key=lambda each: order.get(each[0], 999))
    ]


def shown_finding(finding: Finding, language: Language) -> tuple[str, str]:
    """Message and remedy without anything that says who the patient is."""
    safe = replace(finding, value=masked_value(finding.field, finding.value))
    return without_ids(safe.message(language)), without_ids(safe.remedy(language))


def code_in_words(code: str, language: Language) -> str:
    """What the NHI calls a code of its check report; "" for one of ours."""
    page = code_pages().get(code)
    return page.name(language) if page is not None else ""


def _meaning(tag: str, value: str, on: date, language: Language) -> str:
    rule = edition_on(on).rule(tag)
    if rule is None or not rule.codes or not value:
        return ""
    found = code_table(rule.codes).get(value)
    if found is None:
        return ""
    return found.name_zh if language == "zh" else found.name_en
