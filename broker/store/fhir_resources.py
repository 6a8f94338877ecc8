"""What each source calls its results: ids with versions, and identifiers. Every query names the
source first."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from adapters.ports.resources import KnownResource, WrittenResource
from broker.store.dialect import insert_new
from broker.store.report_tables import fhir_identifier, fhir_resource
from broker.store.rows import AnyRow
from broker.store.schema import receipt


def register_resources(
    connection: Connection, source_id: str, receipt_id: int, written: Sequence[WrittenResource]
) -> None:
    """Note new versions; what the receipt has noted already stays as it is."""
    known = {
        (row.type_name, row.entry)
        for row in connection.execute(
            select(fhir_resource.c.type_name, fhir_resource.c.entry).where(
                fhir_resource.c.receipt_id == receipt_id, fhir_resource.c.source_id == source_id
            )
        )
    }
    fresh = [each for each in written if (each.type_name, each.entry) not in known]
    if fresh:
        connection.execute(
            insert(fhir_resource),
            [
                {
                    "source_id": source_id,
                    "type_name": each.type_name,
                    "resource_id": each.resource_id,
                    "version": each.version,
                    "receipt_id": receipt_id,
                    "entry": each.entry,
                    "digest": each.digest,
                }
                for each in fresh
            ],
        )
    names = [
        {
            "source_id": source_id,
            "type_name": each.type_name,
            "identifier": identifier,
            "resource_id": each.resource_id,
        }
        for each in fresh
        for identifier in each.identifiers
    ]
    if names:
        connection.execute(insert_new(connection, fhir_identifier).on_conflict_do_nothing(), names)


def resource_by_id(
    connection: Connection, source_id: str, type_name: str, resource_id: str
) -> KnownResource | None:
    """The newest version under an id."""
    row = connection.execute(
        select(fhir_resource, receipt.c.sha256)
        .join(receipt, receipt.c.id == fhir_resource.c.receipt_id)
        .where(
            fhir_resource.c.source_id == source_id,
            fhir_resource.c.type_name == type_name,
            fhir_resource.c.resource_id == resource_id,
        )
        .order_by(fhir_resource.c.version.desc())
        .limit(1)
    ).first()
    return _known(row) if row is not None else None


def resources_by_identifier(
    connection: Connection, source_id: str, type_name: str, identifier: str
) -> tuple[KnownResource, ...]:
    """The newest versions of all that were ever registered with the identifier."""
    ids = connection.execute(
        select(fhir_identifier.c.resource_id).where(
            fhir_identifier.c.source_id == source_id,
            fhir_identifier.c.type_name == type_name,
            fhir_identifier.c.identifier == identifier,
        )
    ).scalars()
    found = (resource_by_id(connection, source_id, type_name, each) for each in ids.all())
    return tuple(known for known in found if known is not None)


def payload_sha256(connection: Connection, source_id: str, receipt_id: int) -> bytes | None:
    """The digest of a receipt's bytes; None for what this source did not send."""
    digest: bytes | None = connection.execute(
        select(receipt.c.sha256).where(receipt.c.id == receipt_id, receipt.c.source_id == source_id)
    ).scalar()
    return digest


def _known(row: AnyRow) -> KnownResource:
    return KnownResource(
        row.resource_id, row.version, row.receipt_id, row.entry, row.sha256, row.digest
    )
