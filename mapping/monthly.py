"""The monthly layout: told apart from the daily one, and made from it and back.

The monthly file (檢驗(查)結果每月上傳, SPEC114 table 2, pp. 15-26) follows the claim instead of the
card event. It completes records that went out with ``Z000`` and corrects what was claimed. What
both layouts carry is one field under two tags; which, is the edition's data (``daily`` in
``mapping/editions/monthly-*.toml``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache

from mapping.editions.edition import Variant, editions
from mapping.record import Field, UploadRecord, plain_values, replace_header
from mapping.rocdate import roc_date, roc_datetime, roc_month

MONTHLY_CORRECTION_KEY = (
    *("h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9", "h10", "h17", "h18", "h23"),
)
"""Monthly records that agree in these are versions of one order (SPEC114 table 7, p. 51)."""

_CARD_TIME, _CLAIM_KIND = 13, 1
_IDENTIFIER_LENGTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimKeys:
    """Where an order stands in the institution's claim (SPEC114 pp. 15-19).

    ``kind`` is 1 (送核) or 2 (補報), ``case_type`` the two characters of 案件分類,
    ``case_serial`` and ``order_serial`` are 流水編號 and 醫令序; the latter is 0 where
    :func:`is_outside_claims`. ``period`` is the first and last day of an inpatient claim.
    ``visit_serial`` takes the place of a ``Z000`` of the daily upload; ``""`` keeps the serial
    that is there.
    """

    fee_month: date
    kind: str
    claimed_on: date
    case_type: str
    case_serial: int
    order_serial: int
    period: tuple[date, date] | None = None
    visit_serial: str = ""
    treated_until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardKeys:
    """What only the daily layout carries: the card event, and the body part of CT and MRI.

    ``card_at`` (h5) is aware; ``executed_in`` (h4) is any day of the month of execution.
    """

    executed_in: date
    card_at: datetime
    visit_type: str
    makeup_code: str = "1"
    body_part: str = ""


def variant_of(record: UploadRecord) -> Variant:
    """Which layout a record is in, by three signs of which two decide.

    h5 is a card time of 13 characters or a kind of claim of one; h15 or else h18 holds the order
    code; h6 is a visit type of two characters or a date of seven. No tag and no name tells them
    apart, and any one field may be wrong.
    """
    return variant_of_values(plain_values(record.header))


def variant_of_values(header: Mapping[str, str]) -> Variant:
    """:func:`variant_of` for the plain header values of a record."""
    h5, in_h15 = len(header.get("h5", "")), _is_order_code(header.get("h15", ""))
    if h5 == _CARD_TIME and in_h15:
        return Variant.DAILY
    in_h18 = _is_order_code(header.get("h18", ""))
    h6 = len(header.get("h6", ""))
    monthly = (h5 == _CLAIM_KIND) + (in_h18 and not in_h15) + (h6 > 4)
    daily = (h5 > _CLAIM_KIND) + (in_h15 and not in_h18) + (0 < h6 <= 4)
    return Variant.MONTHLY if monthly > daily else Variant.DAILY


def to_monthly(record: UploadRecord, keys: ClaimKeys) -> UploadRecord:
    """A daily record in the monthly layout, rows and provenance unchanged.

    h16 becomes h19 as it is: :func:`stamp_monthly_upload_time` sets it anew at sealing. Card time,
    visit type, makeup mark and body part have no place there. Values are checked by
    :func:`mapping.rules.check_record`, not here.
    """
    header = {
        tag: field
        for daily, tag in _monthly_tags().items()
        if (field := record.header.get(daily)) is not None
    }
    claimed = {
        "h4": roc_month(keys.fee_month),
        "h5": keys.kind,
        "h6": roc_date(keys.claimed_on),
        "h7": keys.case_type,
        "h8": str(keys.case_serial),
        "h15": roc_date(keys.period[0]) if keys.period else "",
        "h16": roc_date(keys.period[1]) if keys.period else "",
        "h17": str(keys.order_serial),
        "h12": roc_date(keys.treated_until) if keys.treated_until else "",
        "h26": keys.visit_serial,
    }
    header |= {tag: Field(value, "claim") for tag, value in claimed.items() if value}
    return UploadRecord(header, record.rows)


def to_daily(record: UploadRecord, keys: CardKeys) -> UploadRecord:
    """A monthly record in the daily layout; the claim keys have no place there."""
    tags = {tag: daily for daily, tag in _monthly_tags().items()}
    header = {tags[tag]: field for tag, field in record.header.items() if tag in tags}
    card = {
        "h4": roc_month(keys.executed_in),
        "h5": roc_datetime(keys.card_at),
        "h6": keys.visit_type,
        "h8": keys.makeup_code,
        "h25": keys.body_part,
    }
    header |= {tag: Field(value, "visit") for tag, value in card.items() if value}
    return UploadRecord(header, record.rows)


def stamp_monthly_upload_time(record: UploadRecord, at: datetime) -> UploadRecord:
    """A monthly ``record`` with h19 (上傳日期時間) set to ``at``, an aware datetime."""
    return replace_header(record, {"h19": Field(roc_datetime(at), "seal")})


def in_daily_tags(header: Mapping[str, str]) -> dict[str, str]:
    """The values of a monthly header that the daily layout has too, by their daily tags."""
    return {daily: header[tag] for daily, tag in _monthly_tags().items() if tag in header}


def is_outside_claims(order_code: str) -> bool:
    """Whether the code is the format's own, which no claim has: Y00000-Y00010, Z0000 (SPEC114
    p. 17) and the Z codes of table 8 (pp. 52-56)."""
    return order_code.startswith(("Z", "Y000"))


def monthly_tag(daily_tag: str) -> str:
    """The monthly tag of a daily one; a row's tag, and one that has none, is given back."""
    return _monthly_tags().get(daily_tag, daily_tag)


@cache
def _monthly_tags() -> dict[str, str]:
    # The tags stand in every edition alike; a later one that moves them would be a new layout.
    newest = editions(Variant.MONTHLY)[-1]
    return {rule.daily: rule.tag for rule in newest.header if rule.daily}


@lru_cache(maxsize=4096)
def _is_order_code(text: str) -> bool:
    """Short, with a letter: neither a day of seven digits nor a person's id."""
    return (
        0 < len(text) < _IDENTIFIER_LENGTH
        and text.isascii()
        and text.isalnum()
        and not text.isdigit()
    )
