"""Results out: read and search, for the clinic that ordered and the sender that sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import hdrs, web

from adapters.fhir.answers import Answer
from adapters.fhir.merged_words import merged_lines
from adapters.fhir.negotiation import SOURCE, answer_form, base_url, problem, response_of
from adapters.fhir.result_ids import receipt_of, report_id
from adapters.fhir.result_view import line_resource, report_resource
from adapters.fhir.search import find_page, read_search, searchset
from adapters.ports.resources import ResourceLedger
from adapters.ports.results import ResultStore, Viewer

MAX_FORM_BYTES = 20_000

_log = logging.getLogger(__name__)


class Serving:
    """The handlers that show results. ``clinics_of`` tells for which clinics a source may read;
    whoever has none sees what it sent itself."""

    def __init__(
        self,
        results: ResultStore,
        ledger: ResourceLedger | None,
        clinics_of: Callable[[str], frozenset[str]],
    ) -> None:
        self._results = results
        self._ledger = ledger
        self._clinics_of = clinics_of

    async def read(self, request: web.Request) -> web.StreamResponse:
        """``GET [type]/[id]``; 304 where the version is known (``If-None-Match``)."""
        answer_form(request)
        type_name, asked = request.match_info["type"], request.match_info["id"]
        viewer = self._viewer(request)
        found = await self._find(viewer, type_name, asked)
        _log.info(
            "fhir result read: source=%s type=%s found=%d",
            viewer.source_id,
            type_name,
            found is not None,
        )
        if found is None:
            # Another's looks like none at all.
            raise problem(404, "not-found", "There is no such resource.")
        etag = f'W/"{found["meta"]["versionId"]}"'
        updated = datetime.fromisoformat(found["meta"]["lastUpdated"])
        headers = {
            "ETag": etag,
            "Last-Modified": updated.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "Cache-Control": "no-store",
        }
        if etag in request.headers.get(hdrs.IF_NONE_MATCH, "").replace(" ", "").split(","):
            return response_of(request, Answer(304, None, headers))
        return response_of(request, Answer(200, found, headers))

    async def search(self, request: web.Request) -> web.StreamResponse:
        """``GET [type]?…`` and ``POST [type]/_search``, which keeps the patient's number out of
        the logs of whatever stands between."""
        answer_form(request)
        parameters = list(request.query.items())
        if request.method == hdrs.METH_POST:
            parameters += await _form(request)
        viewer = self._viewer(request)
        search = read_search(request.match_info["type"], parameters)
        page = await asyncio.to_thread(
            find_page, search, lambda query: self._results.search(viewer, query)
        )
        _log.info(
            "fhir results searched: source=%s type=%s matches=%d",
            viewer.source_id,
            search.type_name,
            len(page.resources),
        )
        private = request.method == hdrs.METH_POST
        found = searchset(search, page, base_url(request), datetime.now(UTC), private)
        return response_of(request, Answer(200, found, {"Cache-Control": "no-store"}))

    def _viewer(self, request: web.Request) -> Viewer:
        source_id = request[SOURCE]
        return Viewer(source_id, self._clinics_of(source_id))

    async def _find(self, viewer: Viewer, type_name: str, asked: str) -> dict[str, Any] | None:
        receipt_id, own_id, version = receipt_of(asked), asked, 0
        if self._ledger is not None and not viewer.clinics:
            known = await self._ledger.by_id(viewer.source_id, type_name, asked)
            if known is not None:
                receipt_id, version = known.receipt_id, known.version
                own_id = f"r{known.receipt_id}-{known.entry}"
        if receipt_id is None:
            return None
        found = await asyncio.to_thread(
            self._of_receipt, viewer, type_name, receipt_id, own_id, asked
        )
        if found is not None and not viewer.clinics:
            # What a sender updates has the versions that he was told.
            found["meta"]["versionId"] = str(version or 1)
        return found

    def _of_receipt(
        self, viewer: Viewer, type_name: str, receipt_id: int, own_id: str, asked: str
    ) -> dict[str, Any] | None:
        for stored in self._results.of_receipt(viewer, receipt_id):
            if type_name == "DiagnosticReport":
                if any(report_id(word) == own_id for word in stored.words):
                    return report_resource(stored, asked)
                continue
            for line in merged_lines(stored):
                if own_id in line.ids:
                    return line_resource(stored, line, asked)
        return None


async def _form(request: web.Request) -> list[tuple[str, str]]:
    if request.content_type != "application/x-www-form-urlencoded":
        text = "A search by POST is a form."
        raise problem(415, "not-supported", text)
    length = request.content_length
    if length is None or length > MAX_FORM_BYTES:
        raise problem(413, "too-long", "The form is too long, or does not say its length.")
    fields = await request.post()
    return [(name, value) for name, value in fields.items() if isinstance(value, str)]
