"""The lists that the operator imported, for the checks that need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from mapping.rules.claims import Claims
from mapping.rules.context import RuleContext, Validity


@dataclass(frozen=True, slots=True)
class ImportedLists:
    """``None`` for a list that was not imported; :class:`RuleContext` says what each is for."""

    institutions: frozenset[str] | None = None
    order_codes: Mapping[str, Validity] | None = None
    claims: Claims | None = None

    def context(
        self, today: date, upload_on: date | None = None, *, sealed: bool = False
    ) -> RuleContext:
        """What the checks know on ``today``, with these lists."""
        return RuleContext(
            today=today,
            upload_on=upload_on,
            sealed=sealed,
            institutions=self.institutions,
            order_codes=self.order_codes,
            claims=self.claims,
        )


NO_LISTS = ImportedLists()
