"""How each clinic stands by its own card data: the short figure of the status and the demo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import Connection

from broker.store.rate_orders import quantity_of
from broker.store.rate_tallies import institution_kinds, tally_of

_TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Standing:
    """Quantities (總量) of one clinic's orders; opted-out ones stand apart, in no other number."""

    clinic_code: str
    due: Decimal
    uploaded: Decimal
    on_time: Decimal
    opted_out: Decimal

    @property
    def percent(self) -> Decimal | None:
        """The 24-hour rate in percent to one place; None where no order is due."""
        return percent_of(self.on_time, self.due)


def standings(connection: Connection, first: date, last: date) -> list[Standing]:
    """Each clinic with orders of visits from ``first`` to ``last``, counted as ``rates`` counts."""
    found = institution_kinds(connection, None, first, (first, last), last)
    tallies = [(code, tally_of(kinds)) for code, kinds in found]
    return [
        Standing(
            code,
            *(
                quantity_of(thousandths)
                for thousandths in (tally.due, tally.uploaded, tally.on_time, tally.opted_out)
            ),
        )
        for code, tally in tallies
    ]


def percent_of(part: Decimal, whole: Decimal) -> Decimal | None:
    """To one place; None where there is no whole."""
    if not whole:
        return None
    return (100 * part / whole).quantize(_TENTH, ROUND_HALF_UP)


def plain_number(value: Decimal) -> int | str:
    """For JSON: a whole number as such, a fraction as its exact decimal text."""
    return int(value) if value == value.to_integral_value() else format(value.normalize(), "f")
