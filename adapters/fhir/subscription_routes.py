"""Subscriptions at the HTTP face: made, read, searched, changed and ended by their owner."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

from aiohttp import hdrs, web

from adapters.fhir.answers import Answer
from adapters.fhir.endpoints import Networks
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
from adapters.fhir.outcome import error_outcome
from adapters.fhir.representation import Format
from adapters.fhir.result_view import instant
from adapters.fhir.strict_json import read_json
from adapters.fhir.strict_xml import read_xml
from adapters.fhir.subscription import read_subscription, subscription_resource
from adapters.ports.subscriptions import (
    Subscription,
    SubscriptionRefused,
    SubscriptionStore,
    SubscriptionWish,
)
from mapping.errors import LabbrokerError, UnreadablePayload

MAX_BYTES = 100_000
PATH = "/Subscription"

_log = logging.getLogger(__name__)
Body: TypeAlias = Callable[[web.Request], Awaitable[bytes]]


class SubscriptionRoutes:
    """The handlers. ``networks`` are those that endpoints may be in beside public ones;
    ``clinics_of`` tells for whom a source reads: none, and it subscribes to nothing. ``body``
    takes the body of a request."""

    def __init__(
        self,
        store: SubscriptionStore,
        networks: Networks,
        clinics_of: Callable[[str], frozenset[str]],
        body: Body,
    ) -> None:
        self._store = store
        self._networks = networks
        self._clinics_of = clinics_of
        self._body = body

    def add_to(self, router: web.UrlDispatcher) -> None:
        """``/Subscription`` and ``/Subscription/{id}``."""
        router.add_post(PATH, self.create)
        router.add_get(PATH, self.search, allow_head=False)
        router.add_get(PATH + "/{id}", self.read, allow_head=False)
        router.add_put(PATH + "/{id}", self.replace)
        router.add_delete(PATH + "/{id}", self.remove)

    async def create(self, request: web.Request) -> web.StreamResponse:
        """201 with ``Location``; the status is ``requested`` until something has arrived."""
        source_id = self._subscriber(request)
        wish = await self._wish(request)
        try:
            made = await self._store.create(source_id, wish)
        except LabbrokerError as error:
            return self._unkept(request, error)
        _log.info("fhir subscription made: source=%s id=%s", source_id, made.subscription_id)
        return self._shown(request, made, 201)

    async def replace(self, request: web.Request) -> web.StreamResponse:
        """200; with ``If-Match`` 412 where another version stands."""
        source_id, asked = self._subscriber(request), request.match_info["id"]
        wish = await self._wish(request, asked)
        version = _version(request.headers.get(hdrs.IF_MATCH, ""))
        try:
            made = await self._store.replace(source_id, asked, wish, version)
        except LabbrokerError as error:
            return self._unkept(request, error)
        if made is None:
            if await self._store.find(source_id, asked) is None:
                raise problem(
                    404,
                    "not-found",
                    "There is no such resource; POST makes one.",
                )
            raise problem(
                412, "conflict", "Not the version of If-Match stands; read it and send it again."
            )
        _log.info("fhir subscription changed: source=%s id=%s", source_id, asked)
        return self._shown(request, made, 200)

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """204, also where there is none."""
        source_id, asked = self._subscriber(request), request.match_info["id"]
        try:
            await self._store.remove(source_id, asked)
        except LabbrokerError as error:
            return self._unkept(request, error)
        # What is asked for may be any text, of a patient too.
        known = asked if asked.isascii() and asked.isdigit() and len(asked) < 10 else "-"
        _log.info("fhir subscription ended: source=%s id=%s", source_id, known)
        return response_of(request, Answer(204, None))

    async def read(self, request: web.Request) -> web.StreamResponse:
        """200 with ``ETag``; another's is none."""
        answer_form(request)
        found = await self._store.find(self._subscriber(request), request.match_info["id"])
        if found is None:
            raise problem(404, "not-found", "There is no such resource.")
        return self._shown(request, found, 200)

    async def search(self, request: web.Request) -> web.StreamResponse:
        """All of the caller's own, on one page."""
        answer_form(request)
        kept = await self._store.of(self._subscriber(request))
        for name, value in request.query.items():
            if name == "status":
                kept = tuple(each for each in kept if each.status in value.split(","))
            elif name == "url":
                kept = tuple(each for each in kept if each.wish.endpoint == value)
            elif name not in ("_format", "_count"):
                text = "Subscriptions are searched by status and url."
                raise problem(400, "not-supported", text)
        base = base_url(request)
        bundle: dict[str, Any] = {
            "resourceType": "Bundle",
            "type": "searchset",
            "timestamp": instant(datetime.now(UTC)),
            "total": len(kept),
        }
        entries = [
            {
                "fullUrl": f"{base}{PATH}/{each.subscription_id}",
                "resource": subscription_resource(each),
                "search": {"mode": "match"},
            }
            for each in kept
        ]
        if entries:
            bundle["entry"] = entries
        return response_of(request, Answer(200, bundle, {"Cache-Control": "no-store"}))

    def _subscriber(self, request: web.Request) -> str:
        source_id = request[SOURCE]
        if not self._clinics_of(source_id):
            text = "Whoever reads for a clinic subscribes; this credential does not."
            raise problem(403, "forbidden", text)
        return source_id

    async def _wish(self, request: web.Request, asked: str = "") -> SubscriptionWish:
        form = sent_form(request)
        answer_form(request)
        raw = await self._body(request)
        try:
            read = read_json if form is Format.JSON else read_xml
            document = read(raw, MAX_BYTES)
        except UnreadablePayload as error:
            raise Refused(Answer(400, error_outcome(error, language_of(request)))) from None
        if asked and isinstance(document, dict) and document.get("id", asked) != asked:
            raise problem(400, "invalid", "The id is not the URL's.", "Subscription.id")
        return read_subscription(document, self._networks)

    @staticmethod
    def _unkept(request: web.Request, error: LabbrokerError) -> web.StreamResponse:
        language = language_of(request)
        if isinstance(error, SubscriptionRefused):
            return response_of(request, Answer(422, error_outcome(error, language)))
        return not_stored(request, error, language)

    @staticmethod
    def _shown(request: web.Request, kept: Subscription, status: int) -> web.StreamResponse:
        headers = {"ETag": f'W/"{kept.version}"', "Cache-Control": "no-store"}
        if status == 201:
            place = f"{base_url(request)}{PATH}/{kept.subscription_id}"
            headers["Location"] = f"{place}/_history/{kept.version}"
        wants = request.method == hdrs.METH_GET or preference_of(request) != "minimal"
        return response_of(
            request, Answer(status, subscription_resource(kept) if wants else None, headers)
        )


def _version(if_match: str) -> int | None:
    tag = if_match.strip().removeprefix("W/").strip('"')
    if not if_match.strip() or tag == "*":
        return None
    return int(tag) if tag.isascii() and tag.isdigit() and len(tag) < 10 else -1
