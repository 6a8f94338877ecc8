"""The HTTP face of the FHIR door (R4 http.html): which URL leads where, and who may go there."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import hdrs, web

from adapters.fhir.answers import Answer
from adapters.fhir.capability import capability_statement
from adapters.fhir.endpoints import Networks
from adapters.fhir.negotiation import SOURCE, Refused, problem, response_of
from adapters.fhir.outcome import issue, outcome
from adapters.fhir.receiving import Receiving
from adapters.fhir.serving import Serving
from adapters.fhir.strict_json import MAX_BYTES
from adapters.fhir.subscription_routes import SubscriptionRoutes
from adapters.ports.intake import Intake
from adapters.ports.resources import ResourceLedger
from adapters.ports.results import ResultStore
from adapters.ports.subscriptions import SubscriptionStore

Authenticate: TypeAlias = Callable[[web.Request], Awaitable[str | None] | str | None]
"""The ``source_id`` behind a request's credential, or None. Sees headers, never the body."""

_log = logging.getLogger(__name__)
_Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
_TYPE = "/{type:DiagnosticReport|Observation}"
_MESSAGE = "/$process-message"
_SUBSCRIPTION = re.compile(r"/Subscription(?:/[^/]*)?\Z")
_WRITES = frozenset({hdrs.METH_POST, hdrs.METH_PUT})


def _no_clinics(_: str) -> frozenset[str]:
    return frozenset()


def fhir_application(
    intake: Intake,
    authenticate: Authenticate,
    max_bytes: int = MAX_BYTES,
    body_seconds: float = 60.0,
    *,
    results: ResultStore | None = None,
    ledger: ResourceLedger | None = None,
    clinics_of: Callable[[str], frozenset[str]] = _no_clinics,
    subscriptions: SubscriptionStore | None = None,
    endpoint_networks: Networks = (),
) -> web.Application:
    """The sub-application to mount at ``/fhir``.

    ``POST`` of a Bundle to the base (with or without closing slash) or to ``$process-message``,
    of a DiagnosticReport or an Observation to its type; with a ``ledger`` also ``PUT``; with
    ``results`` also read and search. ``GET /metadata`` alone is open; every other request is
    authenticated before its body is read; at most ``max_bytes`` are taken, within
    ``body_seconds``. A source with ``clinics_of`` its own reads for them and sends nothing; with
    ``subscriptions`` it may also subscribe to their results, at public addresses or in
    ``endpoint_networks``.
    """
    receiving = Receiving(intake, max_bytes, body_seconds, ledger)
    application = web.Application(
        middlewares=[_faults_as_outcomes, _authenticated_by(authenticate, clinics_of)],
        client_max_size=max_bytes,
    )
    router = application.router
    router.add_post("", receiving.receive_bundle)
    router.add_post("/", receiving.receive_bundle)
    router.add_post(_MESSAGE, receiving.receive_message)
    router.add_post(_TYPE, receiving.receive_resource)
    if ledger is not None:
        router.add_put(_TYPE, receiving.receive_resource)
        router.add_put(_TYPE + "/{id}", receiving.receive_resource)
    if results is not None:
        serving = Serving(results, ledger, clinics_of)
        router.add_get(_TYPE, serving.search, allow_head=False)
        router.add_post(_TYPE + "/_search", serving.search)
        router.add_get(_TYPE + "/{id}", serving.read, allow_head=False)
    if subscriptions is not None:
        SubscriptionRoutes(
            subscriptions, endpoint_networks, clinics_of, receiving.take_body
        ).add_to(router)
    statement = capability_statement(
        updates=ledger is not None,
        reads=results is not None,
        subscriptions=subscriptions is not None,
    )

    async def metadata(request: web.Request) -> web.Response:
        return response_of(request, Answer(200, statement))

    router.add_get("/metadata", metadata, allow_head=False)
    return application


def _authenticated_by(
    authenticate: Authenticate, clinics_of: Callable[[str], frozenset[str]]
) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def authenticated(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.method == hdrs.METH_GET and request.path.endswith("/metadata"):
            return await handler(request)
        source_id = authenticate(request)
        if inspect.isawaitable(source_id):
            source_id = await source_id
        if not source_id:
            raise problem(401, "login", "A valid credential is required.")
        sends = request.method in _WRITES and not (
            request.path.endswith("/_search") or _SUBSCRIPTION.search(request.path)
        )
        if sends and clinics_of(source_id):
            raise problem(403, "forbidden", "This credential reads results and sends none.")
        request[SOURCE] = source_id
        return await handler(request)

    return authenticated


@web.middleware
async def _faults_as_outcomes(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Every refusal as an OperationOutcome; a fault of ours says nothing of the payload."""
    try:
        return await handler(request)
    except Refused as refused:
        response = response_of(request, refused.answer)
    except web.HTTPException as error:
        told = issue("error", "not-found" if error.status == 404 else "not-supported", error.reason)
        response = response_of(request, Answer(error.status, outcome(told)))
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
    except Exception as error:  # noqa: BLE001 - the boundary: no traceback may carry a body
        _log.error("fhir request failed: %s", type(error).__name__)
        told = issue("fatal", "exception", "An unexpected fault happened; nothing was stored.")
        response = response_of(request, Answer(500, outcome(told)))
    if not request.content.is_eof():
        response.force_close()
    return response
