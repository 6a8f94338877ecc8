"""What the checks know besides the record itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from mapping.editions.edition import Edition, edition_on
from mapping.rules.claims import Claims

Validity: TypeAlias = tuple[date, date | None]
"""First and last day in force; ``None``: still in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleContext:
    """Days are Taipei days.

    ``upload_on`` is the upload date when it is known, ``sealed`` that h16 must be there.
    ``institutions`` (ten-character codes) and ``order_codes`` (code → validity) are the lists
    that the operator imported; without them codes 28 and 37 check the form only.
    ``claims`` are the institutions' imported claims; without them codes 26 and 31 do not run
    (:func:`mapping.rules.unchecked_codes` says so). ``used_serials`` are the file serials of this
    institution and day that are taken (code 27).
    """

    today: date
    upload_on: date | None = None
    sealed: bool = False
    institutions: frozenset[str] | None = None
    order_codes: Mapping[str, Validity] | None = None
    used_serials: frozenset[int] = frozenset()
    claims: Claims | None = None

    @property
    def edition(self) -> Edition:
        """The edition in force on the upload date, else today."""
        return edition_on(self.upload_on or self.today)
