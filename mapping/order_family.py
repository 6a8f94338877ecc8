"""Which order codes stand for nearly the same test: evidence for a person, never for a machine."""

from __future__ import annotations

from functools import cache

from mapping.catalogue.table_files import read_table

_NUMBER_LENGTH = 5


def same_family(one: str, other: str) -> bool:
    """Whether two order codes differ in their last letter alone (the level of hospital, as 09005B
    and 09005C), or NHI links both to one LOINC code (ConceptMap nhi-loinc)."""
    if not one or not other:
        return False
    if one[:_NUMBER_LENGTH] == other[:_NUMBER_LENGTH]:
        return True
    return not _links().get(one, frozenset()).isdisjoint(_links().get(other, frozenset()))


@cache
def _links() -> dict[str, frozenset[str]]:
    links: dict[str, set[str]] = {}
    for row in read_table("loinc-links"):
        links.setdefault(row["order_code"], set()).add(row["loinc"])
    return {code: frozenset(found) for code, found in links.items()}
