"""The HTTP face of the FHIR door: results in, answered after they are durable (R4 http.html)."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import ClientPayloadError, hdrs, web

from adapters.fhir.answers import Answer, Judged, answer, judge, refusal_answer
from adapters.fhir.capability import capability_statement
from adapters.fhir.errors import PayloadTooLarge
from adapters.fhir.outcome import error_outcome, issue, outcome
from adapters.fhir.representation import Format, acceptable, format_of, write
from adapters.fhir.strict_json import MAX_BYTES
from adapters.ports.intake import Accepted, Door, Intake, Media, Payload, StorageUnavailable
from mapping.errors import LabbrokerError, Language

Authenticate: TypeAlias = Callable[[web.Request], Awaitable[str | None] | str | None]
"""The ``source_id`` behind a request's credential, or None. Sees headers, never the body."""

OFF_LOOP_BYTES = 200_000
RETRY_AFTER_SECONDS = "30"

_log = logging.getLogger(__name__)
_MEDIA = {Format.JSON: Media.FHIR_JSON, Format.XML: Media.FHIR_XML}
_SOURCE = web.RequestKey("fhir_source_id", str)
_VERSIONS = ("4.0", "4.0.0", "4.0.1", "4.3", "4.3.0")
_Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


def fhir_application(
    intake: Intake,
    authenticate: Authenticate,
    max_bytes: int = MAX_BYTES,
    body_seconds: float = 60.0,
) -> web.Application:
    """The sub-application to mount at ``/fhir``.

    ``POST`` of a Bundle to the base (with or without closing slash), of a DiagnosticReport or an
    Observation to its type, ``GET /metadata``. Every request but the last is authenticated before
    its body is read; at most ``max_bytes`` are taken, within ``body_seconds``.
    """
    routes = _Routes(intake, max_bytes, body_seconds)
    application = web.Application(
        middlewares=[_faults_as_outcomes, _authenticated_by(authenticate)],
        client_max_size=max_bytes,
    )
    router = application.router
    router.add_post("", routes.receive_bundle)
    router.add_post("/", routes.receive_bundle)
    router.add_post("/DiagnosticReport", routes.receive_resource)
    router.add_post("/Observation", routes.receive_resource)
    router.add_get("/metadata", _metadata, allow_head=False)
    return application


class _Routes:
    def __init__(self, intake: Intake, max_bytes: int, body_seconds: float) -> None:
        self._intake = intake
        self._max_bytes = max_bytes
        self._body_seconds = body_seconds
        self._storing: set[asyncio.Future[Accepted]] = set()

    async def receive_bundle(self, request: web.Request) -> web.StreamResponse:
        return await self._receive(request, "Bundle")

    async def receive_resource(self, request: web.Request) -> web.StreamResponse:
        return await self._receive(request, request.path.rpartition("/")[2])

    async def _receive(self, request: web.Request, type_name: str) -> web.StreamResponse:
        form = _sent_form(request)
        _answer_form(request)
        language = _language(request)
        raw = await self._body(request)
        source_id = request[_SOURCE]
        limit = self._max_bytes
        if len(raw) > OFF_LOOP_BYTES:
            judged = await asyncio.to_thread(judge, raw, form, source_id, limit)
        else:
            judged = judge(raw, form, source_id, limit)
        if judged.payload is not None and judged.payload.type_name != type_name:
            raise _problem(400, "invalid", f"Expected a {type_name} at this URL.")
        payload = Payload(source_id, Door.HTTP, _MEDIA[form], raw, judged.control_id, request.path)
        try:
            receipt = await self._stored(payload)
        except LabbrokerError as error:
            return _not_stored(request, error, language)
        answered = answer(judged, receipt, _base(request), _preference(request), language)
        _log.info(
            "fhir payload stored: receipt=%d source=%s bytes=%d status=%d refused=%s",
            receipt.receipt_id,
            source_id,
            len(raw),
            answered.status,
            _refused_as(judged),
        )
        return await self._deliver(request, _response(request, answered), receipt.receipt_id)

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

    async def _body(self, request: web.Request) -> bytes:
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
            raise _problem(408, "timeout", "The body came too slowly.") from None
        except (ClientPayloadError, web.RequestPayloadError, ConnectionError):
            raise _problem(400, "incomplete", "The body ended early.") from None
        if max(size, received) > self._max_bytes:
            error = PayloadTooLarge(size=max(size, received), limit=self._max_bytes)
            refused = refusal_answer(error, _language(request))
            raise _Refused(refused)
        if not received:
            raise _problem(400, "required", "The body is empty.")
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


class _Refused(Exception):
    """An answer that ends the request before anything is stored."""

    def __init__(self, refused: Answer) -> None:
        self.answer = refused
        super().__init__(f"refused with {refused.status}")


def _authenticated_by(authenticate: Authenticate) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def authenticated(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.method == hdrs.METH_GET and request.path.endswith("/metadata"):
            return await handler(request)
        source_id = authenticate(request)
        if inspect.isawaitable(source_id):
            source_id = await source_id
        if not source_id:
            raise _problem(401, "login", "A valid credential is required.")
        request[_SOURCE] = source_id
        return await handler(request)

    return authenticated


@web.middleware
async def _faults_as_outcomes(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Every refusal as an OperationOutcome; a fault of ours says nothing of the payload."""
    try:
        return await handler(request)
    except _Refused as refused:
        response = _response(request, refused.answer)
    except web.HTTPException as error:
        told = issue("error", "not-found" if error.status == 404 else "not-supported", error.reason)
        response = _response(request, Answer(error.status, outcome(told)))
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
    except Exception as error:  # noqa: BLE001 - the boundary: no traceback may carry a body
        _log.error("fhir request failed: %s", type(error).__name__)
        told = issue("fatal", "exception", "An unexpected fault happened; nothing was stored.")
        response = _response(request, Answer(500, outcome(told)))
    if not request.content.is_eof():
        response.force_close()
    return response


async def _metadata(request: web.Request) -> web.Response:
    return _response(request, Answer(200, capability_statement()))


def _sent_form(request: web.Request) -> Format:
    """The format of the body. 415 for what is not FHIR in UTF-8, not R4, or compressed."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise _problem(415, "not-supported", "Send the body without compression.")
    form = format_of(request.content_type)
    version = _parameter(request, "fhirversion")
    if form is None or (version and version not in _VERSIONS):
        text = "Send FHIR R4 as application/fhir+json or application/fhir+xml."
        raise _problem(415, "not-supported", text)
    if _parameter(request, "charset").lower() not in ("", "utf-8", "utf8"):
        raise _problem(415, "not-supported", "FHIR is always UTF-8.")
    return form


def _parameter(request: web.Request, name: str) -> str:
    for part in request.headers.get(hdrs.CONTENT_TYPE, "").split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return ""


def _answer_form(request: web.Request) -> Format:
    """The format of the answer: ``_format``, else ``Accept``. 406 for neither JSON nor XML."""
    wanted = request.query.get("_format") or ",".join(request.headers.getall(hdrs.ACCEPT, []))
    form = acceptable(wanted)
    if form is None:
        text = "Answers are application/fhir+json or application/fhir+xml."
        raise _problem(406, "not-supported", text)
    return form


def _language(request: web.Request) -> Language:
    asked = request.headers.get(hdrs.ACCEPT_LANGUAGE, "").strip().lower()
    return "zh" if asked.startswith("zh") else "en"


def _preference(request: web.Request) -> str:
    for part in ",".join(request.headers.getall("Prefer", [])).replace(";", ",").split(","):
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "return":
            return value.strip().strip('"')
    return ""


def _base(request: web.Request) -> str:
    path = request.path.rstrip("/")
    for type_name in ("DiagnosticReport", "Observation"):
        path = path.removesuffix(f"/{type_name}")
    return f"{request.scheme}://{request.host}{path}"


def _problem(status: int, issue_type: str, text: str) -> _Refused:
    headers = {"WWW-Authenticate": 'Bearer realm="labbroker"'} if status == 401 else {}
    return _Refused(Answer(status, outcome(issue("error", issue_type, text)), headers))


def _not_stored(
    request: web.Request, error: LabbrokerError, language: Language
) -> web.StreamResponse:
    _log.warning("fhir payload not stored: %s", error.code)
    busy = isinstance(error, StorageUnavailable)
    headers = {"Retry-After": RETRY_AFTER_SECONDS} if busy else {}
    return _response(request, Answer(503 if busy else 500, error_outcome(error, language), headers))


def _refused_as(judged: Judged) -> str:
    return judged.error.code if judged.error else "no"


def _response(request: web.Request, answered: Answer) -> web.Response:
    wanted = request.query.get("_format") or ",".join(request.headers.getall(hdrs.ACCEPT, []))
    form = acceptable(wanted) or Format.JSON
    if answered.resource is None:
        return web.Response(status=answered.status, headers=answered.headers)
    return web.Response(
        status=answered.status,
        body=write(answered.resource, form),
        headers={"Content-Type": f"{form.value}; charset=utf-8", **answered.headers},
    )
