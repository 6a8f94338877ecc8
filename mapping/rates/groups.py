"""Groups of family doctors (家醫群, 醫療群): which clinic belongs to which, and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Membership:
    """A clinic in a group, both end days included; None: no end is known."""

    group_code: str
    institution_code: str
    group_name: str = ""
    valid_from: date | None = None
    valid_until: date | None = None


class Groups:
    """Who belongs to which group on a day."""

    def __init__(self, memberships: Iterable[Membership] = ()) -> None:
        self._memberships: dict[str, list[Membership]] = {}
        self._names: dict[str, str] = {}
        for each in memberships:
            self._memberships.setdefault(each.institution_code, []).append(each)
            self._names[each.group_code] = each.group_name or each.group_code

    def __bool__(self) -> bool:
        return bool(self._memberships)

    def group_of(self, institution_code: str, on: date) -> str:
        """The code of the clinic's group on a day, ``""`` where it is in none. Where a list names
        several, the one that began last."""
        valid = [
            each
            for each in self._memberships.get(institution_code, ())
            if (each.valid_from is None or each.valid_from <= on)
            and (each.valid_until is None or on <= each.valid_until)
        ]
        return max(valid, key=_began).group_code if valid else ""

    def name_of(self, group_code: str) -> str:
        """What a group is called; its code where the list gives no name."""
        return self._names.get(group_code, group_code)

    def members(self, group_code: str, on: date) -> tuple[str, ...]:
        """The clinics of a group on a day, in the order of their codes."""
        return tuple(
            code for code in sorted(self._memberships) if self.group_of(code, on) == group_code
        )


def _began(membership: Membership) -> tuple[date, str]:
    return membership.valid_from or date.min, membership.group_code
