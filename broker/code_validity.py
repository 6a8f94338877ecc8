"""Whether order codes are in force, by the fee schedule that the operator imported ([lists])."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from mapping.rules import Validity


@dataclass(frozen=True, slots=True)
class CodeValidity:
    """``listed`` is empty where no fee schedule is imported: then nothing is said of any code.
    ``today`` is the Taipei day. A code that has ended may still be meant, by older results."""

    today: date
    listed: Mapping[str, Validity] = field(default_factory=dict)

    def of(self, order_code: str) -> Validity | None:
        """First and last day in force; None where the schedule does not say."""
        return self.listed.get(order_code)

    def has_ended(self, order_code: str) -> bool:
        """Whether its last day is over."""
        known = self.of(order_code)
        return known is not None and known[1] is not None and known[1] < self.today
