"""Subscription (R4 subscription.html) ↔ what is kept of it. Its channel is ``rest-hook``."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from adapters.fhir.elements import element_of, text_of
from adapters.fhir.endpoints import Networks, fault_of_endpoint
from adapters.fhir.literals import LiteralDecimal
from adapters.fhir.moments import read_moment
from adapters.fhir.negotiation import problem
from adapters.fhir.representation import Format, format_of
from adapters.fhir.result_view import instant
from adapters.fhir.search import PATIENT_PARAMETERS, read_search
from adapters.ports.subscriptions import Subscription, SubscriptionStatus, SubscriptionWish

KEPT = "***"
"""Stands for a header's value that was sent before."""
_TYPES = ("DiagnosticReport", "Observation")
_MOST_HEADERS = 10
_LONGEST = 2000
_HEADER = re.compile(
    r"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}): ?([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)"
)
_OURS = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "host", "te", "trailer"}
    | {"expect", "idempotency-key", "transfer-encoding", "upgrade", "proxy-authorization"}
)


def read_subscription(document: Any, networks: Networks) -> SubscriptionWish:
    """What a resource asks for. Raises ``Refused``: 400 for what is no Subscription, 422 for what
    is not done here."""
    if not isinstance(document, dict) or document.get("resourceType") != "Subscription":
        raise problem(400, "invalid", "Expected a Subscription at this URL.")
    _check_form(document)
    channel = element_of(document, "channel")
    if text_of(channel, "type") != "rest-hook":
        raise _refused("Subscription.channel.type", "The channel's type is rest-hook.")
    payload = _payload(text_of(channel, "payload"))
    endpoint = text_of(channel, "endpoint")
    fault = fault_of_endpoint(endpoint, networks, is_base=bool(payload))
    if fault:
        raise _refused("Subscription.channel.endpoint", fault)
    criteria = text_of(document, "criteria")
    type_name, national_id, chart_number = _criteria(criteria)
    end = read_moment(text_of(document, "end")).moment if "end" in document else None
    if "end" in document and end is None:
        raise problem(400, "invalid", "The end is no instant.", "Subscription.end")
    return SubscriptionWish(
        type_name=type_name,
        criteria=criteria,
        endpoint=endpoint,
        payload=payload,
        reason=text_of(document, "reason")[:_LONGEST],
        headers=_headers(channel.get("header", [])),
        national_id=national_id,
        chart_number=chart_number,
        end_at=end.at if end else None,
        is_off=text_of(document, "status") == SubscriptionStatus.OFF,
    )


def subscription_resource(kept: Subscription) -> dict[str, Any]:
    """The resource as its owner may see it; headers by their names alone."""
    wish = kept.wish
    channel: dict[str, Any] = {"type": "rest-hook", "endpoint": wish.endpoint}
    if wish.payload:
        channel["payload"] = wish.payload
    if kept.header_names:
        channel["header"] = [f"{name}: {KEPT}" for name in kept.header_names]
    made: dict[str, Any] = {
        "resourceType": "Subscription",
        "id": kept.subscription_id,
        "meta": {"versionId": str(kept.version), "lastUpdated": instant(kept.updated_at)},
        "status": kept.status.value,
    }
    if wish.end_at is not None:
        made["end"] = instant(wish.end_at)
    made |= {"reason": wish.reason, "criteria": wish.criteria}
    if kept.error:
        made["error"] = kept.error
    return made | {"channel": channel}


def _check_form(document: dict[str, Any]) -> None:
    try:
        _model().model_validate(_plain(document))
    except ValidationError as error:
        steps = [str(step) for step in error.errors()[0]["loc"] if isinstance(step, str)]
        known = [step for step in steps if step in _ELEMENTS]
        place = ".".join(["Subscription", *known])
        raise problem(400, "invalid", "This element is missing or wrong.", place) from None


_ELEMENTS = frozenset(
    {"status", "reason", "criteria", "channel", "type", "endpoint", "payload", "header", "end"}
    | {"contact", "error", "meta", "text", "extension", "contained"}
)


@lru_cache(maxsize=1)
def _model() -> Any:
    return get_fhir_model_class("Subscription")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return float(value) if isinstance(value, LiteralDecimal) else value


def _payload(asked: str) -> str:
    if not asked:
        return ""
    name, _, parameters = asked.partition(";")
    form = format_of(name)
    if form is None or (parameters and "version" not in parameters):
        text = f"The payload is {Format.JSON}, {Format.XML}, or none."
        raise _refused("Subscription.channel.payload", text)
    return form.value


def _criteria(criteria: str) -> tuple[str, str, str]:
    type_name, _, query = criteria.partition("?")
    place = "Subscription.criteria"
    try:
        parameters = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise _refused(place, "The criteria cannot be read as a search.") from None
    if type_name not in _TYPES or any(name not in PATIENT_PARAMETERS for name, _ in parameters):
        text = "The criteria are DiagnosticReport or Observation, with patient.identifier or alone."
        raise _refused(place, text)
    search = read_search(type_name, parameters)
    if search.nothing:
        raise _refused(place, "No patient has an identifier of that system here.")
    return type_name, search.query.national_id, search.query.chart_number


def _headers(given: Any) -> tuple[tuple[str, str | None], ...]:
    place = "Subscription.channel.header"
    if len(given) > _MOST_HEADERS:
        raise _refused(place, f"At most {_MOST_HEADERS} headers are kept.")
    found: list[tuple[str, str | None]] = []
    for each in given:
        match = _HEADER.fullmatch(str(each)) if len(str(each)) <= _LONGEST else None
        if match is None or match[1].lower() in _OURS:
            text = "A header is NAME: VALUE in ASCII, and none that the transport itself sets."
            raise _refused(place, text)
        found.append((match[1], None if match[2] == KEPT else match[2]))
    if len({name.lower() for name, _ in found}) != len(found):
        raise _refused(place, "Each header is there once.")
    return tuple(found)


def _refused(place: str, text: str) -> Exception:
    return problem(422, "not-supported", text, place)
