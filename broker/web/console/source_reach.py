"""Which sources a person sees: by their own ids, or by the laboratory that they are of."""

from __future__ import annotations

from broker.access.person import Person
from broker.web.console.desk import Desk


def sees_source(person: Person, desk: Desk, source_id: str) -> bool:
    """Whether the source is one of the settings, and the person's."""
    profile = desk.profiles.get(source_id)
    if profile is None:
        return False
    return person.sees(source_id) or bool(profile.lab_code and person.sees(profile.lab_code))


def sources_of(person: Person, desk: Desk) -> list[str]:
    """The ids of all that :func:`sees_source` is true of."""
    return sorted(name for name in desk.profiles if sees_source(person, desk, name))
