"""A patient's wish that an order is not uploaded (精神疾病, HIV, 性侵害), brought by the clinic.

Card data has no field for it. The wish is kept with the order of the visit, and later card data
does not undo it; only the same hand does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from adapters.ports.intake import Door, Media, Payload
from broker.states import RecordState
from broker.store.schema import record
from broker.store.visits import find_visits, set_opted_out
from mapping.errors import LabbrokerError

_STILL_HERE = (RecordState.HELD, RecordState.READY, RecordState.SUPERSEDED)


class NoSuchOrder(LabbrokerError):
    """Says nothing of the person: the text may be logged."""

    code = "no-such-order"
    en = (
        "No visit of this person at {institution_code} on {visit_on} has an order {order_code}.",
        "Check the day of the visit (h11), the order code and the national id; the clinic's card "
        "data of the visit must have come in before.",
    )
    zh = (
        "此人於 {visit_on} 在 {institution_code} 的就醫資料中沒有醫令 {order_code}。",
        "請確認就醫日期（h11）、醫令代碼與身分證號；須先收到該次就醫的健保卡上傳資料。",
    )


class NotOptOut(LabbrokerError):
    code = "not-an-opt-out"
    en = ("{what} is missing or malformed.", "See `labbroker optout --help`.")
    zh = ("{what} 缺漏或格式不符。", "請見 `labbroker optout --help`。")


@dataclass(frozen=True, slots=True)
class OptOut:
    """What a person asks for: all lines of ``order_code`` at the visits of one day. ``by`` is who;
    ``opted_out`` False takes the wish back."""

    institution_code: str
    national_id: str
    visit_on: date
    order_code: str
    by: str
    opted_out: bool = True

    def __repr__(self) -> str:
        return f"OptOut({self.institution_code}, {self.visit_on}, {self.order_code})"

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of :func:`read_opt_out`."""
        return {
            "institution_code": self.institution_code,
            "national_id": self.national_id,
            "visit_on": self.visit_on.isoformat(),
            "order_code": self.order_code,
            "by": self.by,
            "opted_out": self.opted_out,
        }

    def payload(self, at: datetime) -> Payload:
        """The bytes of a receipt: the evidence of who asked for it and when."""
        raw = json.dumps({"opt_out": self.to_json(), "at": at.isoformat()}, ensure_ascii=False)
        return Payload("", Door.COMMAND, Media.CORRECTION, raw.encode(), name="optout")


@dataclass(frozen=True, slots=True)
class OptOutOutcome:
    """``on_their_way`` records had left or are in a package: they are not called back."""

    orders: int
    on_their_way: int
    requeued: int = 0

    def to_json(self) -> dict[str, int]:
        return {"orders": self.orders, "on_their_way": self.on_their_way}


def read_opt_out(plain: dict[str, Any]) -> OptOut:
    """Checked values. Raises :class:`NotOptOut`, which never repeats the national id."""
    national_id = str(plain.get("national_id", "")).strip().upper()
    if not (len(national_id) == 10 and national_id.isascii() and national_id.isalnum()):
        raise NotOptOut(what="national id (10)")
    try:
        visit_on = date.fromisoformat(str(plain.get("visit_on", "")))
    except ValueError:
        raise NotOptOut(what="--visit-on YYYY-MM-DD") from None
    texts = {
        name: str(plain.get(name, "")).strip() for name in ("institution_code", "order_code", "by")
    }
    for name, text in texts.items():
        if not text:
            raise NotOptOut(what=name)
    return OptOut(
        texts["institution_code"].upper(),
        national_id,
        visit_on,
        texts["order_code"].upper(),
        texts["by"],
        plain.get("opted_out") is not False,
    )


def require_order(connection: Connection, request: OptOut) -> None:
    """Raises :class:`NoSuchOrder` where no order is meant."""
    if not _visits_of(connection, request):
        raise NoSuchOrder(
            institution_code=request.institution_code,
            visit_on=request.visit_on,
            order_code=request.order_code,
        )


def apply_opt_out(connection: Connection, request: OptOut) -> OptOutOutcome:
    """Mark the orders; what was ready is held, what waited is read again."""
    ids = _visits_of(connection, request)
    orders = requeued = 0
    for visit_id in ids:
        marked, queued = set_opted_out(
            connection, visit_id, request.order_code, opted_out=request.opted_out
        )
        orders += marked
        requeued += queued
    on_their_way = connection.scalar(
        select(func.count())
        .select_from(record)
        .where(
            record.c.visit_id.in_(ids),
            record.c.order_code == request.order_code,
            record.c.state.not_in([state.value for state in _STILL_HERE]),
        )
    )
    return OptOutOutcome(orders, on_their_way or 0, requeued)


def _visits_of(connection: Connection, request: OptOut) -> list[int]:
    return [
        visit_id
        for visit_id, visit in find_visits(
            connection, request.institution_code, request.national_id
        )
        if visit.visit_on == request.visit_on
        and any(order.order_code == request.order_code for order in visit.orders)
    ]
