"""Conditional creates and updates (R4 http.html#ccreate, #update, #cond-update, #concurrency).

Whether a result is known is asked of the ledger, for the one source that sends. A create whose
identifier is known with another content is refused with 409: to pass a changed result over in
silence would lose it, to take it as an update would say what the sender did not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import parse_qsl

from adapters.fhir.elements import element_of, text_of
from adapters.fhir.negotiation import problem
from adapters.fhir.payload import FhirPayload
from adapters.fhir.result_ids import receipt_of
from adapters.fhir.steps import Step, Wish, content_digest
from adapters.fhir.structure import RESULT_TYPES
from adapters.ports.resources import KnownResource, ResourceLedger

_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}", re.ASCII)
_VERSION = re.compile(r'(?:W/)?"?([0-9]{1,9})"?', re.ASCII)


def bundle_wishes(payload: FhirPayload) -> list[Wish]:
    """The wishes of a transaction or batch, as far as they are about results."""
    if payload.bundle_type not in ("transaction", "batch"):
        return []
    wishes = []
    items = payload.document.get("entry", [])
    for number, (item, entry) in enumerate(zip(items, payload.entries, strict=True)):
        if entry.node is None or entry.type_name not in RESULT_TYPES:
            continue
        request = element_of(item, "request")
        place = f"Bundle.entry[{number}].request"
        wish = Wish(number, entry.type_name, place, element_of(item, "resource"))
        if entry.method == "PUT":
            wish = update_wish(wish, text_of(request, "url"), text_of(request, "ifMatch"))
        elif text_of(request, "ifNoneExist"):
            wish = replace(wish, identifier=criteria(text_of(request, "ifNoneExist"), place))
        wishes.append(wish)
    return wishes


def update_wish(wish: Wish, url: str, if_match: str) -> Wish:
    """``Type/id`` or ``Type?identifier=…``, relative to the base."""
    path, asked, query = url.partition("?")
    steps = path.strip("/").split("/")
    if steps[0] != wish.type_name or len(steps) > 2 or (len(steps) == 2) == bool(asked):
        text = f"{wish.place}: an update names {wish.type_name}/id or {wish.type_name}?identifier=."
        raise problem(400, "invalid", text, wish.place)
    if asked:
        return replace(wish, update=True, identifier=criteria(query, wish.place), if_match=if_match)
    own = text_of(wish.resource, "id")
    if _ID.fullmatch(steps[1]) is None or own != steps[1]:
        raise problem(400, "invalid", "The resource must have the id of its URL.", wish.place)
    return replace(wish, update=True, resource_id=own, if_match=if_match)


def criteria(query: str, place: str) -> str:
    """``identifier=system|value`` → ``system|value``; 400 for any other condition."""
    found = parse_qsl(query.removeprefix("?"), keep_blank_values=True)
    if len(found) != 1 or found[0][0] != "identifier" or not found[0][1].strip("|"):
        text = "Conditions are taken in the form identifier=system|value."
        raise problem(400, "not-supported", text, place)
    value = found[0][1]
    return value if "|" in value else f"|{value}"


async def plan(ledger: ResourceLedger, source_id: str, wishes: Iterable[Wish]) -> list[Step]:
    """What is to be done. Raises ``Refused``: 404, 409, or 412."""
    steps: list[Step] = []
    for wish in wishes:
        step = await (_update if wish.update else _create)(ledger, source_id, wish)
        target = (wish.type_name, step.resource_id)
        if step.resource_id and any(
            (earlier.wish.type_name, earlier.resource_id) == target for earlier in steps
        ):
            text = "Two entries are about the same resource."
            raise problem(400, "invalid", text, wish.place)
        steps.append(step)
    return steps


async def _create(ledger: ResourceLedger, source_id: str, wish: Wish) -> Step:
    if not wish.identifier:
        return Step(wish)
    known = await _one(ledger, source_id, wish)
    if known is None:
        return Step(wish)
    if known.digest != content_digest(wish.resource):
        text = (
            "A result with this identifier is known with other content; nothing was stored. "
            "Send the change as an update (PUT)."
        )
        raise problem(409, "conflict", text, wish.place)
    return Step(wish, known.version, known.resource_id, known, kept=True)


async def _update(ledger: ResourceLedger, source_id: str, wish: Wish) -> Step:
    resource_id = wish.resource_id
    if wish.identifier:
        known = await _one(ledger, source_id, wish)
        resource_id = known.resource_id if known else ""
        own = text_of(wish.resource, "id")
        if known is not None and own not in ("", resource_id):
            text = "The identifier is known under another id than the resource has."
            raise problem(400, "invalid", text, wish.place)
    else:
        known = await _by_id(ledger, source_id, wish)
    stands = known.version if known else 0
    if wish.if_match:
        match = _VERSION.fullmatch(wish.if_match.strip())
        same = known is not None and known.digest == content_digest(wish.resource)
        # The same content again is a repeat whose first answer was lost, and no conflict.
        if match is None or (int(match[1]) != stands and not same):
            text = f"The version that stands is {stands}, not the one of If-Match."
            raise problem(412, "conflict", text, wish.place)
    return Step(wish, stands + 1, resource_id, known)


async def _one(ledger: ResourceLedger, source_id: str, wish: Wish) -> KnownResource | None:
    found = await ledger.by_identifier(source_id, wish.type_name, wish.identifier)
    if len(found) > 1:
        text = f"{len(found)} results have this identifier; nothing was stored."
        raise problem(412, "multiple-matches", text, wish.place)
    return found[0] if found else None


async def _by_id(ledger: ResourceLedger, source_id: str, wish: Wish) -> KnownResource | None:
    known = await ledger.by_id(source_id, wish.type_name, wish.resource_id)
    receipt_id = receipt_of(wish.resource_id)
    if known is not None or receipt_id is None:
        return known
    # Ids of this form are given here: a sender may use those that he was given.
    sha256 = await ledger.payload_sha256(source_id, receipt_id)
    if sha256 is None:
        raise problem(404, "not-found", "There is no such resource.", wish.place)
    return KnownResource(wish.resource_id, 1, receipt_id, 0, sha256, b"")
