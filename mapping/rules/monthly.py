"""Checks of the claim keys that only the monthly layout has (SPEC114 table 2, pp. 15-19)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mapping.finding import Finding
from mapping.monthly import is_outside_claims

_UNKNOWN_SERIAL = "Z000"


def claim_key_findings(header: Mapping[str, str]) -> Iterator[Finding]:
    """Codes 06, 08 and 23 of a monthly header.

    The order serial (h17) is 0 for Y00000-Y00010, Z0000 (p. 17) and the Z codes of table 8 (pp.
    52-56), and counts from 1 for all others; Z000 is for the daily upload alone (p. 4: the monthly
    one brings the right serial).
    """
    order_code, order_serial = header.get("h18", ""), header.get("h17", "")
    if order_code and order_serial.isascii() and order_serial.isdigit():
        is_zero = not order_serial.strip("0")
        if is_outside_claims(order_code) and not is_zero:
            yield Finding("08", "h17", "hdata", order_serial)
        elif is_zero and not is_outside_claims(order_code):
            yield Finding("06", "h17", "hdata", order_serial)
    if header.get("h26") == _UNKNOWN_SERIAL:
        yield Finding("23", "h26", "hdata", _UNKNOWN_SERIAL)
