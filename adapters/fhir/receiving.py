"""Results in: read the body, judge it, keep it durably, and only then answer (R4 http.html)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import defaultdict
from dataclasses import replace

from aiohttp import ClientPayloadError, hdrs, web

from adapters.fhir.answers import Judged, answer, judge, refusal_answer
from adapters.fhir.conditions import bundle_wishes, criteria, plan, update_wish
from adapters.fhir.errors import PayloadTooLarge
from adapters.fhir.message_answer import message_answer
from adapters.fhir.negotiation import (
    SOURCE,
    Refused,
    answer_form,
    base_url,
    language_of,
    not_stored,
    preference_of,
    problem,
    response_of,
    sent_form,
)
from adapters.fhir.payload import FhirPayload
from adapters.fhir.representation import Format
from adapters.fhir.steps import Step, Wish
from adapters.ports.intake import Accepted, Door, Intake, Media, Payload
from adapters.ports.resources import ResourceLedger
from mapping.errors import LabbrokerError

OFF_LOOP_BYTES = 200_000

_log = logging.getLogger(__name__)
_MEDIA = {Format.JSON: Media.FHIR_JSON, Format.XML: Media.FHIR_XML}


class Receiving:
    """The handlers that take results. Without a ``ledger`` there are no updates and conditions."""

    def __init__(
        self,
        intake: Intake,
        max_bytes: int,
        body_seconds: float,
        ledger: ResourceLedger | None,
    ) -> None:
        self._intake = intake
        self._max_bytes = max_bytes
        self._body_seconds = body_seconds
        self._ledger = ledger
        self._storing: set[asyncio.Future[Accepted]] = set()
        # One write with a condition at a time for each source: of two creates that ask for the
        # same identifier at once, the second must find the first.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def receive_bundle(self, request: web.Request) -> web.StreamResponse:
        """``POST`` of a Bundle to the base."""
        return await self._receive(request, "Bundle")

    async def receive_message(self, request: web.Request) -> web.StreamResponse:
        """``POST $process-message`` (R4 messageheader-operation-process-message.html)."""
        if request.query.get("async") == "true":
            raise problem(400, "not-supported", "Messages are answered at once, never later.")
        return await self._receive(request, "Bundle", as_message=True)

    async def receive_resource(self, request: web.Request) -> web.StreamResponse:
        """``POST`` of a result to its type, or ``PUT`` to its id or a condition."""
        return await self._receive(request, request.match_info["type"])

    async def _receive(
        self, request: web.Request, type_name: str, *, as_message: bool = False
    ) -> web.StreamResponse:
        form = sent_form(request)
        answer_form(request)
        language = language_of(request)
        raw = await self.take_body(request)
        source_id = request[SOURCE]
        if len(raw) > OFF_LOOP_BYTES:
            judged = await asyncio.to_thread(judge, raw, form, source_id, self._max_bytes)
        else:
            judged = judge(raw, form, source_id, self._max_bytes)
        if judged.payload is not None and judged.payload.type_name != type_name:
            raise problem(400, "invalid", f"Expected a {type_name} at this URL.")
        if as_message and judged.payload is not None and judged.payload.bundle_type != "message":
            raise problem(400, "invalid", "Expected a Bundle of type message.", "Bundle.type")
        payload = Payload(source_id, Door.HTTP, _MEDIA[form], raw, judged.control_id, request.path)
        try:
            receipt, steps = await self._kept(request, judged, payload)
        except LabbrokerError as error:
            return not_stored(request, error, language)
        if as_message:
            answered = message_answer(judged, receipt, base_url(request), language)
        else:
            answered = answer(
                judged, receipt, base_url(request), preference_of(request), language, steps
            )
        _log.info(
            "fhir payload stored: receipt=%d source=%s bytes=%d status=%d refused=%s",
            receipt.receipt_id,
            source_id,
            len(raw),
            answered.status,
            judged.error.code if judged.error else "no",
        )
        return await self._deliver(request, response_of(request, answered), receipt.receipt_id)

    async def _kept(
        self, request: web.Request, judged: Judged, payload: Payload
    ) -> tuple[Accepted, list[Step]]:
        """The receipt, and what was done for each result where that is more than a create."""
        found = judged.payload
        wishes = [] if found is None or judged.error else _wishes(request, found)
        if self._ledger is None:
            if any(wish.update or wish.identifier for wish in wishes):
                raise problem(501, "not-supported", "Updates and conditions are not kept here.")
            return await self._stored(payload), []
        if request.method == hdrs.METH_PUT and not wishes:
            # Not usable: kept all the same, and refused with the reasons.
            return await self._stored(payload), []
        if not any(wish.update or wish.identifier for wish in wishes):
            steps = [Step(wish) for wish in wishes]
            return await self._registered(self._ledger, payload, steps), []
        async with self._turns[payload.source_id]:
            steps = await plan(self._ledger, payload.source_id, wishes)
            alone = found is not None and found.type_name != "Bundle"
            if alone and steps[0].kept and steps[0].known is not None:
                return Accepted(steps[0].known.receipt_id, duplicate=True), steps
            repeated = _repeated(payload, steps)
            if repeated is not None:
                return repeated, [replace(step, version=step.version - 1) for step in steps]
            receipt = await self._registered(
                self._ledger, replace(payload, control_id=_control_id(payload, steps)), steps
            )
            return receipt, steps

    async def _registered(
        self, ledger: ResourceLedger, payload: Payload, steps: list[Step]
    ) -> Accepted:
        """Store, then name what was stored. Where the process dies in between, the sender has no
        answer and sends again: the same bytes get the same receipt, and the names come then."""
        receipt = await self._stored(payload)
        made = [(step, step.written(receipt.receipt_id)) for step in steps if not step.kept]
        named = [each for step, each in made if step.wish.update or each.identifiers]
        if named:
            await ledger.register(payload.source_id, receipt.receipt_id, named)
        return receipt

    async def _stored(self, payload: Payload) -> Accepted:
        """Once offered, a payload is stored also where the peer leaves meanwhile, and the intake
        is told that nobody heard the answer."""
        storing = asyncio.ensure_future(self._intake.receive(payload))
        try:
            return await asyncio.shield(storing)
        except asyncio.CancelledError:
            self._storing.add(storing)
            storing.add_done_callback(self._unheard)
            raise

    def _unheard(self, storing: asyncio.Future[Accepted]) -> None:
        self._storing.discard(storing)
        if not storing.cancelled() and storing.exception() is None:
            self._intake.acknowledged(storing.result().receipt_id, delivered=False)

    async def take_body(self, request: web.Request) -> bytes:
        """The whole body; an oversized one is cut off before it is in memory."""
        size = request.content_length or 0
        chunks: list[bytes] = []
        received = 0
        try:
            async with asyncio.timeout(self._body_seconds):
                while size <= self._max_bytes and received <= self._max_bytes:
                    chunk = await request.content.readany()
                    if not chunk:
                        break
                    received += len(chunk)
                    chunks.append(chunk)
        except TimeoutError:
            raise problem(408, "timeout", "The body came too slowly.") from None
        except (ClientPayloadError, web.RequestPayloadError, ConnectionError):
            raise problem(400, "incomplete", "The body ended early.") from None
        if max(size, received) > self._max_bytes:
            error = PayloadTooLarge(size=max(size, received), limit=self._max_bytes)
            refused = refusal_answer(error, language_of(request))
            raise Refused(refused)
        if not received:
            raise problem(400, "required", "The body is empty.")
        return b"".join(chunks)

    async def _deliver(
        self, request: web.Request, response: web.Response, receipt_id: int
    ) -> web.StreamResponse:
        """Write the answer here, so that the intake learns whether it reached the peer."""
        delivered = False
        try:
            await response.prepare(request)
            await response.write_eof()
            transport = request.transport
            delivered = transport is not None and not transport.is_closing()
        except ConnectionError:
            _log.info("fhir answer undelivered: receipt=%d", receipt_id)
        finally:
            self._intake.acknowledged(receipt_id, delivered)
        return response


def _wishes(request: web.Request, payload: FhirPayload) -> list[Wish]:
    if payload.type_name == "Bundle":
        return bundle_wishes(payload)
    name = payload.type_name
    wish = Wish(0, name, name, payload.document)
    if request.method == hdrs.METH_PUT:
        resource_id = request.match_info.get("id", "")
        url = f"{name}/{resource_id}" if resource_id else f"{name}?{request.query_string}"
        return [update_wish(wish, url, request.headers.get(hdrs.IF_MATCH, ""))]
    asked = request.headers.get("If-None-Exist", "")
    if not asked and "identifier" in request.query:
        # fhirpy asks so for get_or_create.
        asked = f"identifier={request.query['identifier']}"
        return [replace(wish, identifier=criteria(asked.replace("%", "%25"), name))]
    return [replace(wish, identifier=criteria(asked, name))] if asked else [wish]


def _repeated(payload: Payload, steps: list[Step]) -> Accepted | None:
    """The receipt of these very bytes, where nothing newer has come for any of their results."""
    digest = hashlib.sha256(payload.raw).digest()
    receipts = {
        step.known.receipt_id if step.known and step.known.payload_sha256 == digest else 0
        for step in steps
        if step.wish.update
    }
    if len(receipts) == 1 and 0 not in receipts:
        return Accepted(receipts.pop(), duplicate=True)
    return None


def _control_id(payload: Payload, steps: list[Step]) -> str:
    """With the versions that are updated: bytes that were sent before may come again to put an
    old state back, and are no repeat then."""
    versions = [step.version for step in steps if step.wish.update and step.version > 1]
    return f"{payload.control_id}+{sum(versions)}" if versions else payload.control_id
