"""NHI's list of cases not uploaded (未上傳案件日報表), against what is known here.

The list is made of IC-card data, as old as two days, and is no basis of the reward (seed 000,
query page of the report, remarks). A row is one order line of one card event.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple


class UnuploadedRow(NamedTuple):
    """``card_at`` is A17 as written, ``card_on`` its day. ``quantity`` (A77) is text as written;
    ``card_mark`` is A78; ``incomplete`` 1: image without report, 2: report without image."""

    national_id: str
    card_on: date
    card_at: str
    visit_type: str
    visit_serial: str
    order_code: str
    quantity: str
    card_mark: str = ""
    incomplete: str = ""


class Outcome(StrEnum):
    """What is known here of a row, the most pressing first."""

    REJECTED = "rejected"
    HELD = "held"
    UNKNOWN = "unknown"
    """Neither the visit nor a result ever came here."""
    NO_ORDER = "no_order"
    """The visit is known, this order of it is not."""
    NO_RESULT = "no_result"
    """Visit and order are known; the laboratory has sent nothing."""
    READY = "ready"
    ON_THE_WAY = "on_the_way"
    """In a package, sent, or waiting for the check report."""
    UPLOADED = "uploaded"
    """Accepted by NHI: the list is older, or NHI could not tie it to the card data."""
    OPTED_OUT = "opted_out"
    IMAGE_ONLY = "image_only"
    """No report is due for this order, only an image."""


NEEDS_A_PERSON = (Outcome.REJECTED, Outcome.HELD, Outcome.UNKNOWN, Outcome.NO_ORDER)

IMAGE_ONLY_CODES = frozenset(
    {
        *("34004C", "01271C", "23506C", "01272C", "01273C"),
        *("00315C", "00316C", "00317C", "34006B", "34005B"),
    }
)
"""No report, only an image (seed 000, remark on the report, 2022-11)."""

_PAIRS = (
    "32001C 32002C|32007C 32008C|32011C 32012C|32013C 32014C|32015C 32016C|32017C 32018C|"
    "32009C 32010C|32022C 32023C"
)
_CODES = {
    code: (code, other)
    for pair in _PAIRS.split("|")
    for code, other in (pair.split(), reversed(pair.split()))
}

_STATES: Mapping[str, Outcome] = {
    "accepted": Outcome.UPLOADED,
    "checking": Outcome.ON_THE_WAY,
    "inflight": Outcome.ON_THE_WAY,
    "sealed": Outcome.ON_THE_WAY,
    "unknown": Outcome.ON_THE_WAY,
    "ready": Outcome.READY,
    "rejected": Outcome.REJECTED,
    "held": Outcome.HELD,
}
_BEST = (
    Outcome.UPLOADED,
    Outcome.ON_THE_WAY,
    Outcome.READY,
    Outcome.REJECTED,
    Outcome.HELD,
    Outcome.OPTED_OUT,
)


def codes_of(order_code: str) -> tuple[str, ...]:
    """The order codes whose report counts for ``order_code``: first and second film of an X-ray
    are claimed apart and reported together."""
    return _CODES.get(order_code) or (order_code,)


@lru_cache(maxsize=1024)
def outcome_of(states: tuple[tuple[str, str], ...], visit_known: bool, ordered: bool) -> Outcome:
    """``states`` are ``(state, held reason)`` of all records of the order at the visit; superseded
    ones say nothing."""
    found = {
        Outcome.OPTED_OUT if reason == "opted_out" else _STATES[state]
        for state, reason in states
        if state in _STATES
    }
    for outcome in _BEST:
        if outcome in found:
            return outcome
    if not visit_known:
        return Outcome.UNKNOWN
    return Outcome.NO_RESULT if ordered else Outcome.NO_ORDER
