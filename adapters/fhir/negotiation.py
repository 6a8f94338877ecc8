"""What a request asks for, and answers in the form that it asked for (R4 http.html)."""

from __future__ import annotations

import logging

from aiohttp import hdrs, web

from adapters.fhir.answers import Answer
from adapters.fhir.outcome import error_outcome, issue, outcome
from adapters.fhir.representation import Format, acceptable, format_of, write
from adapters.ports.intake import StorageUnavailable
from mapping.errors import LabbrokerError, Language

_VERSIONS = ("4.0", "4.0.0", "4.0.1", "4.3", "4.3.0")
RETRY_AFTER_SECONDS = "30"
SOURCE = web.RequestKey("fhir_source_id", str)
"""The source behind the credential of a request."""

_log = logging.getLogger(__name__)
_BEHIND_BASE = ("/DiagnosticReport", "/Observation", "/Subscription", "/$process-message")


class Refused(Exception):
    """An answer that ends the request before anything is stored."""

    def __init__(self, refused: Answer) -> None:
        self.answer = refused
        super().__init__(f"refused with {refused.status}")


def sent_form(request: web.Request) -> Format:
    """The format of the body. 415 for what is not FHIR in UTF-8, not R4, or compressed."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise problem(415, "not-supported", "Send the body without compression.")
    form = format_of(request.content_type)
    version = _parameter(request, "fhirversion")
    if form is None or (version and version not in _VERSIONS):
        text = "Send FHIR R4 as application/fhir+json or application/fhir+xml."
        raise problem(415, "not-supported", text)
    if _parameter(request, "charset").lower() not in ("", "utf-8", "utf8"):
        raise problem(415, "not-supported", "FHIR is always UTF-8.")
    return form


def _parameter(request: web.Request, name: str) -> str:
    for part in request.headers.get(hdrs.CONTENT_TYPE, "").split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return ""


def answer_form(request: web.Request) -> Format:
    """The format of the answer: ``_format``, else ``Accept``. 406 for neither JSON nor XML."""
    form = acceptable(_wanted(request))
    if form is None:
        text = "Answers are application/fhir+json or application/fhir+xml."
        raise problem(406, "not-supported", text)
    return form


def language_of(request: web.Request) -> Language:
    """Chinese where it is asked for first, else English."""
    asked = request.headers.get(hdrs.ACCEPT_LANGUAGE, "").strip().lower()
    return "zh" if asked.startswith("zh") else "en"


def preference_of(request: web.Request) -> str:
    """The ``return=`` of the Prefer header, or ``""``."""
    for part in ",".join(request.headers.getall("Prefer", [])).replace(";", ",").split(","):
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "return":
            return value.strip().strip('"')
    return ""


def base_url(request: web.Request) -> str:
    """The URL of the service without closing slash."""
    path = request.path
    for behind in _BEHIND_BASE:
        if behind in path:
            path = path[: path.rindex(behind)]
    return f"{request.scheme}://{request.host}{path.rstrip('/')}"


def problem(status: int, issue_type: str, text: str, place: str = "") -> Refused:
    """A refusal in one sentence; ``place`` is a FHIRPath."""
    headers = {"WWW-Authenticate": 'Bearer realm="labbroker"'} if status == 401 else {}
    told = issue("error", issue_type, text, place=place)
    return Refused(Answer(status, outcome(told), headers))


def not_stored(
    request: web.Request, error: LabbrokerError, language: Language
) -> web.StreamResponse:
    """503 where the store may take it later, else 500."""
    _log.warning("fhir payload not stored: %s", error.code)
    busy = isinstance(error, StorageUnavailable)
    headers = {"Retry-After": RETRY_AFTER_SECONDS} if busy else {}
    return response_of(
        request, Answer(503 if busy else 500, error_outcome(error, language), headers)
    )


def response_of(request: web.Request, answered: Answer) -> web.Response:
    """The answer in the format that was asked for."""
    form = acceptable(_wanted(request)) or Format.JSON
    if answered.resource is None:
        return web.Response(status=answered.status, headers=answered.headers)
    return web.Response(
        status=answered.status,
        body=write(answered.resource, form),
        headers={"Content-Type": f"{form.value}; charset=utf-8", **answered.headers},
    )


def _wanted(request: web.Request) -> str:
    # A plus sign in a query is a space, and senders forget to escape it.
    asked = request.query.get("_format", "").strip().replace(" ", "+")
    return asked or ",".join(request.headers.getall(hdrs.ACCEPT, []))
