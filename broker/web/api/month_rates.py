"""The four rates of a month."""

from __future__ import annotations

from broker.access.roles import Permission
from broker.rates.month import Month, rates_of
from broker.web.api.operation import Answer, Call, Operation, not_found
from broker.web.api.shapes import DAY, TEXT, or_null, text, told
from broker.web.console.desk import DESK
from broker.web.identity import person_of


async def rates(call: Call) -> Answer:
    """The four rates of a month of what the caller sees, or of one clinic of it."""
    desk, person = call.request.app[DESK], person_of(call.request)
    clinic = call.query.get("institution")
    if clinic is not None and not person.sees(clinic):
        raise not_found()
    reach = person.reach if clinic is None else frozenset({clinic})
    asked = call.query.get("month", f"{desk.today:%Y-%m}")
    month = Month(int(asked[:4]), int(asked[5:]))
    found = await desk.read(lambda c: rates_of(c, reach, month, desk.clock()))
    tier = found.tier()
    return {
        "month": asked,
        "data_on": found.data_on.isoformat(),
        "rates": {
            name.value: {
                "uploaded": str(rate.uploaded),
                "due": str(rate.due),
                "percent": None if rate.percent is None else str(rate.percent),
                "formula": rate.formula("en"),
                "data_on": rate.data_on.isoformat(),
            }
            for name, rate in found.rates.items()
        },
        "points": None if tier is None else str(tier.points),
    }


OPERATIONS = (
    Operation(
        "GET",
        "/rates",
        "showRates",
        "The four rates of a month, with formula and data date",
        Permission.SEE_RATES,
        rates,
        query={
            "month": text(7, pattern="(19|20)[0-9]{2}-(0[1-9]|1[0-2])"),
            "institution": text(10, pattern="[0-9A-Z]{10}"),
        },
        answers=told(
            month=TEXT,
            data_on=DAY,
            rates={
                "type": "object",
                "description": "By the name of the rate.",
                "additionalProperties": told(
                    uploaded=TEXT, due=TEXT, percent=or_null(TEXT), formula=TEXT, data_on=DAY
                ),
            },
            points=or_null(TEXT),
        ),
    ),
)
