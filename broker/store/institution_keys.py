"""The institution in every key of PostgreSQL's tables, so that they can be distributed by it.

On SQLite a row is found by its own number, which is the row's place in the file. On PostgreSQL the
key of each table whose rows belong to an institution holds that institution's code too, and so do
the foreign keys between such tables and what is unique in them: Citus asks for no more.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)

INSTITUTION_COLUMN: Mapping[str, str] = {
    # By the clinic that ordered: the visit, what is said of it and what it is told.
    "visit": "institution_code",
    "visit_order": "institution_code",
    "choice": "institution_code",
    "rate_order": "institution_code",
    "unuploaded_list": "institution_code",
    "unuploaded_row": "institution_code",
    "nhi_overview": "institution_code",
    "lab_report": "clinic_code",
    "record": "clinic_code",
    "fault": "clinic_code",
    "package_record": "clinic_code",
    "outgoing": "clinic_code",
    "delivery_attempt": "clinic_code",
    "critical_result": "clinic_code",
    # By the institution that uploads, which may be another one than the clinic.
    "file_serial": "institution_code",
    "package": "institution_code",
    "package_file": "institution_code",
    "attempt": "institution_code",
    "card_view": "institution_code",
    # By either.
    "alarm": "institution_code",
    "alarm_notice": "institution_code",
}
"""The column that says whose the row is."""

REFERENCE: Mapping[str, str] = {
    "receipt": "of a source, and of no institution before it is read; rows of all refer to it",
}
"""Tables that every node of a distributed store needs whole, and why."""

LOCAL: Mapping[str, str] = {
    "meta": "of the store itself",
    "migration": "of the store itself",
    "node": "of the store itself",
    "lease": "of the store itself",
    "generation": "of the store itself",
    "person": "one person may belong to several institutions",
    "recovery_code": "of a person",
    "web_session": "of a person",
    "api_token": "of a person",
    "sign_in_failure": "of an address or a login",
    "api_call": "of a caller",
    "audit_event": "one chain over all institutions",
    "audit_head": "one chain over all institutions",
    "waiting_code": "of a source",
    "code_decision": "of a source",
    "line_habit": "of a source",
    "fhir_resource": "of a source",
    "fhir_identifier": "of a source",
    "subscription": "of a source",
}
"""Tables that stay where they are, and why."""

# Where the parent's institution is not the one that the row itself belongs to.
_CROSSING: Mapping[tuple[str, str], str] = {
    ("record", "package_id"): "uploader_code",
    ("package_record", "package_id"): "institution_code",
}


def keyed_by_institution(metadata: MetaData) -> MetaData:
    """The same tables, with the institution in every key. ``metadata`` stays as it is."""
    keyed = MetaData()
    for table in metadata.tables.values():
        copy = table.to_metadata(keyed)
        if table.name in INSTITUTION_COLUMN:
            _key(copy)
            _make_unique_within(copy)
    for table in keyed.tables.values():
        if table.name in INSTITUTION_COLUMN:
            _refer_within(table)
    return keyed


def _key(table: Table) -> None:
    own = table.c[INSTITUTION_COLUMN[table.name]]
    if table.name != "record":
        # Whoever writes a row says whose it is; of a record alone it may not be known yet.
        own.server_default = None
    columns: list[Column[object]] = list(table.primary_key.columns)
    if "id" in table.c:
        table.c.id.autoincrement = True
    if own not in columns:
        own.primary_key = True
        columns.append(own)
    table.append_constraint(PrimaryKeyConstraint(*columns, name=f"{table.name}_pkey"))


def _make_unique_within(table: Table) -> None:
    own = table.c[INSTITUTION_COLUMN[table.name]]
    for index in [each for each in table.indexes if each.unique]:
        if own not in index.columns.values():
            table.indexes.discard(index)
            where = index.dialect_options["postgresql"]["where"]
            Index(index.name, *index.columns, own, unique=True, postgresql_where=where)
    for constraint in list(table.constraints):
        if isinstance(constraint, UniqueConstraint) and own not in constraint.columns.values():
            table.constraints.discard(constraint)
            table.append_constraint(UniqueConstraint(*constraint.columns, own))


def _refer_within(table: Table) -> None:
    for constraint in list(table.foreign_key_constraints):
        parent = constraint.referred_table
        if parent.name not in INSTITUTION_COLUMN:
            continue
        (element,) = constraint.elements
        child = element.parent
        table.constraints.discard(constraint)
        table.foreign_keys.discard(element)
        child.foreign_keys.discard(element)
        own = _CROSSING.get((table.name, child.name), INSTITUTION_COLUMN[table.name])
        table.append_constraint(
            ForeignKeyConstraint(
                [child, table.c[own]],
                [parent.c.id, parent.c[INSTITUTION_COLUMN[parent.name]]],
                name=f"{table.name}_{child.name}_fkey",
            )
        )
