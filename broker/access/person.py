"""The one who asks: a person at the console, or the machine behind an API token or certificate."""

from __future__ import annotations

from dataclasses import dataclass

from broker.access.roles import EVERYWHERE, Permission, Role, permissions_of


@dataclass(frozen=True, slots=True)
class Person:
    """``person_id`` 0 is no row of the store: a machine with a certificate.

    ``institutions`` are the clinic codes (and, for a laboratory, its own code and source ids) that
    may be seen. ``scopes`` narrows the role further, as an API token does; None narrows nothing.
    """

    person_id: int
    login: str
    name: str
    role: Role
    institutions: frozenset[str]
    language: str = "zh"
    scopes: frozenset[Permission] | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the role, and the token where there is one, allow it."""
        if self.scopes is not None and permission not in self.scopes:
            return False
        return permission in permissions_of(self.role)

    def sees(self, institution: str) -> bool:
        """Whether what belongs to ``institution`` exists for this person."""
        return self.everywhere or institution in self.institutions

    @property
    def everywhere(self) -> bool:
        return self.role in EVERYWHERE

    @property
    def reach(self) -> frozenset[str] | None:
        """The argument ``institutions`` of a query; None where all may be seen."""
        return None if self.everywhere else self.institutions
