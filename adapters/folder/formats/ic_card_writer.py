"""Visits → an IC-card upload file of format 1.0, for rehearsals with people who do not exist."""

from __future__ import annotations

from collections.abc import Iterable

from mapping.big5 import encode
from mapping.rocdate import roc_date, roc_datetime
from mapping.visit import Order, Visit

_EXAMINATION = "3"
_EXAMINATION_TAKEN_BACK = "C"
_OWN_ORDER = "03"


def write_ic_card(visits: Iterable[Visit]) -> bytes:
    """The file as a clinic's system exports it: Big5, CRLF, empty fields left out (IC10).

    What needs a card or a security module (A11, A16, A22, A79) is left out. What format 1.0 has
    no field for (kind of institution, dispensing code, visit identifiers) is not written. Raises
    ``ValueError`` for characters outside CP950.
    """
    lines = ['<?xml version="1.0" encoding="Big5"?>', "<RECS>"]
    for visit in visits:
        lines += _record(visit)
    lines += ["</RECS>", ""]
    return encode("\r\n".join(lines))


def _record(visit: Visit) -> list[str]:
    with_serial = visit.visit_serial.isdigit() or not visit.visit_serial
    header = {"A00": "1", "A01": "1" if with_serial else "2", "A02": "1.0"}
    card_at = roc_datetime(visit.card_at)
    body = {
        "A12": visit.national_id,
        "A13": roc_date(visit.birth_on),
        "A14": visit.institution_code,
        "A15": visit.provider_id,
        "A17": card_at,
        "A18": visit.visit_serial,
        "A19": visit.makeup_code,
        "A20": roc_date(visit.newborn_birth_on) if visit.newborn_birth_on else "",
        "A21": visit.newborn_mark,
        "A23": visit.visit_type,
        "A54": _actual_day(visit, card_at),
    }
    lines = ["<REC>", "<MSH>", *_fields(header), "</MSH>", "<MB>", "<MB1>", *_fields(body)]
    lines.append("</MB1>")
    for order in visit.orders:
        lines += ["<MB2>", *_fields(_order(order)), "</MB2>"]
    return [*lines, "</MB>", "</REC>"]


def _order(order: Order) -> dict[str, str]:
    return {
        "A71": roc_datetime(order.ordered_at) if order.ordered_at else "",
        "A72": _EXAMINATION_TAKEN_BACK if order.cancelled else _EXAMINATION,
        "A73": order.order_code,
        "A74": order.body_parts,
        "A77": format(order.quantity, "f"),
        "A78": order.card_mark or _OWN_ORDER,
    }


def _actual_day(visit: Visit, card_at: str) -> str:
    day = roc_date(visit.visit_on)
    return "" if day == card_at[:7] else day


def _fields(fields: dict[str, str]) -> list[str]:
    return [f"<{tag}>{_escaped(text)}</{tag}>" for tag, text in fields.items() if text]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
