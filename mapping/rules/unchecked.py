"""Which checks cannot run, because the operator imported no list for them."""

from __future__ import annotations

from collections.abc import Iterable

from mapping.finding import Finding, Severity
from mapping.rules.context import RuleContext

NOT_RUN = "check-not-run"


def unchecked_codes(
    context: RuleContext, uploaded: Iterable[tuple[str, str]] = ()
) -> tuple[Finding, ...]:
    """One ``check-not-run`` for each NHI code that needs a list which ``context`` lacks.

    ``value`` is the NHI code; the parameter ``list`` is ``institutions``, ``order-codes`` or
    ``claims``. Codes 28 and 37 still check the form of the code without their list. ``uploaded``
    are institutions and months (``YYYMM``) that a file holds: one ``claim-not-covered`` for each
    that no imported claim covers.
    """
    lists = (
        ("26", "claims", context.claims),
        ("28", "institutions", context.institutions),
        ("31", "claims", context.claims),
        ("37", "order-codes", context.order_codes),
    )
    missing = [
        Finding(NOT_RUN, "", "", code, Severity.INFORMATION, (("list", name),))
        for code, name, imported in lists
        if imported is None
    ]
    return (*missing, *_uncovered(context, uploaded))


def _uncovered(context: RuleContext, uploaded: Iterable[tuple[str, str]]) -> Iterable[Finding]:
    if context.claims is None:
        return
    for institution_code, month in sorted(uploaded):
        known = context.claims.of(institution_code)
        if month and (known is None or month not in known.months):
            about = (("month", month),)
            yield Finding(
                "claim-not-covered", "", "", institution_code, Severity.INFORMATION, about
            )
