"""Which checks cannot run, because the operator imported no list for them."""

from __future__ import annotations

from mapping.finding import Finding, Severity
from mapping.rules.context import RuleContext


def unchecked_codes(context: RuleContext) -> tuple[Finding, ...]:
    """One ``check-not-run`` for each NHI code that needs a list which ``context`` lacks.

    ``value`` is the NHI code; the parameter ``list`` is ``institutions``, ``order-codes`` or
    ``claims``. Codes 28 and 37 still check the form of the code without their list.
    """
    lists = (
        ("26", "claims", context.claims),
        ("28", "institutions", context.institutions),
        ("31", "claims", context.claims),
        ("37", "order-codes", context.order_codes),
    )
    return tuple(
        Finding("check-not-run", "", "", code, Severity.INFORMATION, (("list", name),))
        for code, name, imported in lists
        if imported is None
    )
