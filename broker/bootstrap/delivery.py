"""Builds what carries results to clinics: the outboxes, what writes them, what sends them."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Engine

from adapters.document.report_pdf import write_pdf
from adapters.document.table import write_csv
from adapters.document.workbook import write_xlsx
from adapters.fhir.hook import HookDelivery
from adapters.fhir.merged_words import merged_lines
from adapters.fhir.result_ids import report_id
from adapters.folder.delivering import FolderDelivery
from adapters.hl7.oru_writer import Envelope, write_oru
from adapters.hl7.sender import Destination, MllpSender, Pace
from adapters.ports.emptying import OutboxLoop
from adapters.ports.report_view import ReportView
from adapters.ports.results import StoredReport
from broker.bootstrap.subscriptions import SubscriptionSenders
from broker.config.secret import SecretUnavailable
from broker.delivery.agreement import (
    DeliveryAgreement,
    DeliveryFormat,
    DeliveryKind,
    DeliveryTls,
)
from broker.delivery.outbox import NotTheirs, StoredOutbox
from broker.delivery.reading import ReportReading
from broker.nodes import Node
from broker.results import ReadResults
from broker.store.rows import AnyRow
from broker.store.writer import Writer
from mapping.errors import LabbrokerError
from mapping.moment import TAIPEI
from mapping.report import Observation

_LOOK_SECONDS = 60.0
_RESTART_SECONDS = 5.0
WRITERS: Mapping[DeliveryFormat, Callable[[ReportView], bytes]] = {
    DeliveryFormat.CSV: write_csv,
    DeliveryFormat.XLSX: write_xlsx,
    DeliveryFormat.PDF: write_pdf,
}
"""Writers of documents; each may raise LabbrokerError."""


class Sender(Protocol):
    """What empties one outbox."""

    def wake(self) -> None: ...

    async def run(self) -> None: ...


def standing_lines(stored: StoredReport) -> Sequence[Observation]:
    """All words on a result → its lines as they stand."""
    return [line.observation for line in merged_lines(stored)]


def report_reading(results: ReadResults) -> ReportReading:
    """What reads reports for delivery, the console and the API."""
    return ReportReading(results, standing_lines)


class Rendering:
    """Implements :class:`broker.delivery.outbox.Renderer`."""

    def __init__(self, reading: ReportReading) -> None:
        self._reading = reading

    def __call__(
        self, agreement: DeliveryAgreement, row: AnyRow, now: datetime
    ) -> tuple[str, bytes]:
        control_id = f"LB{row.id}"
        if agreement.kind is DeliveryKind.FHIR_HOOK:
            word = self._reading.word(row.clinic_code, row.receipt_id, row.number)
            if word is None:
                raise NotTheirs
            return control_id, _notification(row, report_id(word), now)
        view = self._reading.view(
            row.clinic_code,
            row.receipt_id,
            row.number,
            trends=agreement.format is DeliveryFormat.PDF,
            heading=agreement.heading,
        )
        if view is None:
            raise NotTheirs
        form = DeliveryFormat.HL7 if agreement.kind is DeliveryKind.MLLP else agreement.format
        stamp = row.queued_at.astimezone(TAIPEI).strftime("%Y%m%d%H%M%S")
        name = f"{row.clinic_code}-{stamp}-{row.id:08d}.{form.value}"
        if form is DeliveryFormat.HL7:
            return name, write_oru(view.report, _envelope(agreement, view, control_id, now))
        return name, WRITERS[form](view)


def _envelope(
    agreement: DeliveryAgreement, view: ReportView, control_id: str, now: datetime
) -> Envelope:
    return Envelope(
        control_id,
        now,
        view.lab_code,
        view.clinic_code,
        receiving_application=agreement.receiving_application,
        receiving_facility=agreement.receiving_facility,
        charset=agreement.charset,
    )


def _notification(row: AnyRow, resource_id: str, now: datetime) -> bytes:
    """Which DiagnosticReport there is to read, and nothing of its content."""
    status = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "subscription", "valueString": row.destination},
            {"name": "type", "valueCode": "event-notification"},
            {"name": "event-number", "valueString": str(row.id)},
            {
                "name": "focus",
                "valueReference": {"reference": f"DiagnosticReport/{resource_id}"},
            },
        ],
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "history",
        "timestamp": _instant(now),
        "entry": [
            {
                "resource": status,
                "request": {"method": "GET", "url": "Subscription/$status"},
                "response": {"status": "200"},
            }
        ],
    }
    return json.dumps(bundle, separators=(",", ":")).encode()


def _instant(at: datetime) -> str:
    return at.astimezone(TAIPEI).isoformat(timespec="seconds")


class Deliveries:
    """The senders of all destinations. ``keep`` runs a coroutine as long as the service lives."""

    def __init__(
        self,
        agreements: Sequence[DeliveryAgreement],
        writer: Writer,
        reader: Engine,
        results: ReadResults,
        clock: Callable[[], datetime],
        environ: Mapping[str, str],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        node: Node | None = None,
        subscriptions: SubscriptionSenders | None = None,
    ) -> None:
        self.subscriptions = subscriptions
        self.reading = report_reading(results)
        self._clock = clock
        self._environ = environ
        self._sleep = sleep
        self._hooks: list[HookDelivery] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._senders: list[Sender] = []
        self._outboxes: list[StoredOutbox] = []
        render = Rendering(self.reading)
        for each in agreements:
            if each.kind is not DeliveryKind.INBOX:
                outbox = StoredOutbox(
                    each, writer, reader, render, clock, node, partial(_is_of_clinic, each)
                )
                self._senders.append(self._sender(each, outbox))
                self._outboxes.append(outbox)

    def start(self, keep: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]) -> None:
        """Let every sender work."""
        for sender, outbox in zip(self._senders, self._outboxes, strict=True):
            self._tasks.append(keep(self._run(sender, outbox)))
        if self.subscriptions is not None:
            self.subscriptions.start()
        if self._senders or self.subscriptions is not None:
            self._tasks.append(keep(self._look_again()))

    def wake(self) -> None:
        """Something may have been queued."""
        for sender in self._senders:
            sender.wake()
        if self.subscriptions is not None:
            self.subscriptions.wake()

    async def stop(self) -> None:
        """End what is under way: it is sent again at the next start."""
        if self.subscriptions is not None:
            await self.subscriptions.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for hook in self._hooks:
            await hook.close()

    async def _run(self, sender: Sender, outbox: StoredOutbox) -> None:
        """One destination that meets a fault of ours must stop no other, nor itself for good."""
        while True:
            try:
                await sender.run()
            except Exception as error:  # noqa: BLE001 - told by the outbox
                with suppress(LabbrokerError):
                    await outbox.fell(error)
            await self._sleep(_RESTART_SECONDS)

    async def _look_again(self) -> None:
        """Another node, or a person, may have queued something."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.wake()

    def _sender(self, agreement: DeliveryAgreement, outbox: StoredOutbox) -> Sender:
        if agreement.kind is DeliveryKind.MLLP:
            to = Destination(agreement.host, agreement.port, _client_tls(agreement.tls))
            pace = Pace(answer=agreement.answer_seconds)
            return MllpSender(outbox, to, pace, sleep=self._sleep)
        if agreement.kind is DeliveryKind.FOLDER:
            assert agreement.folder is not None  # noqa: S101 - the settings were checked
            return OutboxLoop(outbox, FolderDelivery(agreement.folder).deliver, sleep=self._sleep)
        hook = HookDelivery(
            agreement.url,
            lambda: self._secret(agreement),
            self._clock,
            tls=_client_tls(agreement.tls),
            answer_seconds=agreement.answer_seconds,
        )
        self._hooks.append(hook)
        return OutboxLoop(outbox, hook.deliver, sleep=self._sleep)

    def _secret(self, agreement: DeliveryAgreement) -> str:
        if agreement.secret is None:
            raise SecretUnavailable(place=agreement.name, reason="none is set", reason_zh="未設定")
        return agreement.secret.read(self._environ).reveal()


def _is_of_clinic(agreement: DeliveryAgreement, row: AnyRow) -> bool:
    """The settings may have given a destination's name to another clinic since it was queued."""
    return bool(row.clinic_code) and row.clinic_code == agreement.clinic_code


def _client_tls(tls: DeliveryTls | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=tls.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    return context
