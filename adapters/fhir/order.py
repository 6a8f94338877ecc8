"""Orders and specimens behind a result: ServiceRequest, Specimen, and the numbers of both sides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.fhir.elements import (
    Element,
    codings_of,
    concept_text,
    element_of,
    elements_of,
    text_of,
)
from adapters.fhir.identifiers import typed_value, untyped_value
from adapters.fhir.reading import Reading
from adapters.fhir.references import Node, logical_identifier, target_type
from mapping.moment import Moment
from mapping.report import Coding, Specimen


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """What the payload says of the order: ``node`` is its ServiceRequest, where there is one."""

    placer_order_number: str = ""
    service: tuple[Coding, ...] = ()
    ordered_at: Moment | None = None
    node: Node | None = None


def read_order(based_on: Iterable[Element], source: Node, reading: Reading) -> PlacedOrder:
    """The first ServiceRequest of ``based_on``, or what a logical reference says of it.

    The placer's number is the identifier of type PLAC (HL7 table 0203), else the requisition,
    else the identifier without a type (R4 servicerequest.html#notes).
    """
    number = ""
    for reference in based_on:
        node = reading.index.resolve(reference, source, "ServiceRequest")
        if node is not None:
            identifiers = elements_of(node.resource, "identifier")
            requisition = text_of(element_of(node.resource, "requisition"), "value")
            return PlacedOrder(
                typed_value(identifiers, "PLAC") or requisition or untyped_value(identifiers),
                codings_of(element_of(node.resource, "code")),
                reading.moment(text_of(node.resource, "authoredOn"), f"{node.place}.authoredOn"),
                node,
            )
        if not number and target_type(reference, None) in ("", "ServiceRequest"):
            number = text_of(logical_identifier(reference), "value")
    return PlacedOrder(number)


def read_specimen(node: Node | None, reading: Reading) -> tuple[Specimen, str]:
    """A Specimen and its accession number. Times: R4 specimen.html collection, receivedTime."""
    if node is None:
        return Specimen(), ""
    resource, place = node.resource, node.place
    collection = element_of(resource, "collection")
    period = element_of(collection, "collectedPeriod")
    collected_at = reading.collection_moment(
        text_of(collection, "collectedDateTime"), f"{place}.collection.collectedDateTime"
    ) or reading.collection_moment(
        text_of(period, "start") or text_of(period, "end"), f"{place}.collection.collectedPeriod"
    )
    specimen = Specimen(
        kind=concept_text(element_of(resource, "type")),
        collected_at=collected_at,
        received_at=reading.moment(text_of(resource, "receivedTime"), f"{place}.receivedTime"),
    )
    accession = text_of(element_of(resource, "accessionIdentifier"), "value")
    return specimen, accession
