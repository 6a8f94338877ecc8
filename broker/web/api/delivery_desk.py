"""What the pages and the API have to show results by, and to send them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from adapters.ports.report_view import ReportView
from broker.delivery.agreement import DeliveryFormat
from broker.delivery.reading import ReportReading

Document = Callable[[ReportView], bytes]
"""Writes one form of a report. Pure."""


@dataclass(frozen=True, slots=True)
class DeliveryDesk:
    """What shows results: ``documents`` by their form, ``wake`` tells the senders of new work."""

    reading: ReportReading
    documents: Mapping[DeliveryFormat, Document]
    wake: Callable[[], None]


DELIVERY = web.AppKey("delivery", DeliveryDesk)
