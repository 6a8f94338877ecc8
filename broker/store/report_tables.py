"""Where each report is found again, and each resource that a source named by FHIR."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from broker.store.schema import Id, Instant, metadata

# Where each report that came in is found again, for whoever may read it.
lab_report = Table(
    "lab_report",
    metadata,
    Column("id", Id, primary_key=True),
    Column("receipt_id", ForeignKey("receipt.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("source_id", String, nullable=False),
    Column("lab_code", String, nullable=False),
    Column("clinic_code", String, nullable=False),
    Column("national_id", String, nullable=False),
    Column("chart_number", String, nullable=False),
    # Alike for all words on one result; empty where nothing joins them.
    Column("identity", LargeBinary(16), nullable=False),
    Column("taken_from", Instant),
    Column("taken_until", Instant),
    Column("stored_at", Instant, nullable=False),
    Index("lab_report_place", "receipt_id", "number", unique=True),
    Index("lab_report_clinic", "clinic_code", "id"),
    Index("lab_report_source", "source_id", "id"),
    # The one index that is not in the order of storing: words on one result are of one person.
    Index("lab_report_person", "national_id", "id"),
)

# What each source calls its own resources, and which receipt spoke of them last.
fhir_resource = Table(
    "fhir_resource",
    metadata,
    Column("id", Id, primary_key=True),
    Column("source_id", String, nullable=False),
    Column("type_name", String, nullable=False),
    Column("resource_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("receipt_id", ForeignKey("receipt.id"), nullable=False),
    Column("entry", Integer, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Index("fhir_resource_receipt", "receipt_id"),
    Index("fhir_resource_version", "source_id", "type_name", "resource_id", "version", unique=True),
)

fhir_identifier = Table(
    "fhir_identifier",
    metadata,
    Column("source_id", String, primary_key=True),
    Column("type_name", String, primary_key=True),
    Column("identifier", String, primary_key=True),
    Column("resource_id", String, primary_key=True),
)
