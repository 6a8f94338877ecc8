"""Row level security of PostgreSQL under the application's own filter.

What is read for a person, a token or a clinic is read as the role ``labbroker_people``, which may
select only, and of an institution's tables only rows of the institutions that the transaction
names (``labbroker.institutions``, a JSON list); where it names none there are none. The broker's
own work is done by the owner of the tables, whom PostgreSQL does not filter.
"""

# ruff: noqa: S608 - every part of the statements is a constant of this module
from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, text

from broker.store.schema import meta

PEOPLE_ROLE = "labbroker_people"
SETTING = "labbroker.institutions"
# Counts the versions of the policies: an older program leaves those of a newer one alone.
_VERSION = 1

_REACH = "ANY ((SELECT labbroker_reach())::text[])"
_FUNCTIONS = (
    f"""
CREATE OR REPLACE FUNCTION labbroker_reach() RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(code), '{{}}') FROM jsonb_array_elements_text(
        nullif(current_setting('{SETTING}', true), '')::jsonb) AS named(code)
    WHERE code <> ''
$$
""",
    # As ``broker.store.reach`` tells them apart: what is no institution's code is a source's id.
    """
CREATE OR REPLACE FUNCTION labbroker_reach_has_sources() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(bool_or(code !~ '^[0-9A-Z]{10}$'), false)
    FROM unnest(labbroker_reach()) AS named(code)
$$
""",
)


def _is_of(*columns: str) -> str:
    return " OR ".join(f"{column} = {_REACH}" for column in columns)


def _through(parent: str, condition: str) -> str:
    """As far as rows of ``parent`` are seen, which are filtered themselves."""
    return f"EXISTS (SELECT 1 FROM {parent} WHERE {condition})"


GUARDED: Mapping[str, str] = {
    "visit": f"{_is_of('institution_code')} OR {_through('record r', 'r.visit_id = visit.id')}",
    "visit_order": _through("visit v", "v.id = visit_order.visit_id"),
    "record": (
        f"{_is_of('clinic_code', 'uploader_code', 'lab_code')}"
        " OR ((SELECT labbroker_reach_has_sources()) AND "
        + _through(
            "lab_report l",
            f"l.receipt_id = record.receipt_id AND l.source_id = {_REACH}",
        )
        + ")"
    ),
    "fault": _through("record r", "r.id = fault.record_id"),
    "choice": _through("visit v", "v.id = choice.visit_id"),
    "receipt": (
        f"{_is_of('source_id')} OR {_through('lab_report l', 'l.receipt_id = receipt.id')}"
        f" OR {_through('record r', 'r.receipt_id = receipt.id')}"
    ),
    "lab_report": _is_of("clinic_code", "lab_code", "source_id"),
    "waiting_code": _is_of("source_id"),
    "file_serial": _is_of("institution_code"),
    "package": (
        f"{_is_of('institution_code')}"
        f" OR {_through('package_record p', 'p.package_id = package.id')}"
    ),
    "package_record": _through("record r", "r.id = package_record.record_id"),
    "package_file": _through("package p", "p.id = package_file.package_id"),
    "attempt": _through("package p", "p.id = attempt.package_id"),
    "alarm": _is_of("institution_code"),
    "alarm_notice": _through("alarm a", "a.id = alarm_notice.alarm_id"),
    "outgoing": _is_of("clinic_code", "lab_code"),
    "delivery_attempt": _through("outgoing o", "o.id = delivery_attempt.outgoing_id"),
    "critical_result": _is_of("clinic_code", "lab_code", "source_id"),
    "rate_order": _is_of("institution_code"),
    "unuploaded_list": _is_of("institution_code"),
    "unuploaded_row": _through("unuploaded_list u", "u.id = unuploaded_row.list_id"),
    "nhi_overview": _is_of("institution_code"),
    "audit_event": (
        f"{_is_of('institution')}"
        " OR CASE WHEN kind = 'record' AND subject ~ '^[0-9]{1,18}$' THEN "
        + _through("record r", "r.id = audit_event.subject::bigint")
        + " ELSE false END"
    ),
}
"""The tables whose rows belong to institutions, and which of them ``labbroker_people`` sees."""

OPEN: Mapping[str, str] = {
    "code_decision": "what a source's codes mean: no patient, no clinic",
    "line_habit": "units and ranges of a source's lines: no patient, no clinic",
}
"""Tables that ``labbroker_people`` reads whole, and why."""

CLOSED: Mapping[str, str] = {
    "meta": "of the store itself",
    "migration": "of the store itself",
    "node": "of the store itself",
    "lease": "of the store itself",
    "generation": "of the store itself",
    "card_view": "of the nodes' own work: which of them sees which card",
    "person": "accounts: the sign-in reads them before anybody is known",
    "recovery_code": "accounts",
    "web_session": "accounts",
    "api_token": "accounts",
    "sign_in_failure": "accounts",
    "audit_head": "the end of the trail of all institutions",
    "api_call": "answers to one caller each, found by the caller alone",
    "fhir_resource": "of a source; the FHIR door writes by it",
    "fhir_identifier": "of a source; the FHIR door writes by it",
    "subscription": "of a source, with its secrets; the FHIR door reads them",
}
"""Tables that ``labbroker_people`` may not read at all, and why."""


def install_row_security(connection: Connection) -> None:
    """Make the policies where they are missing or older, the role where this login may make one,
    and give it what it may read."""
    if _version_of(connection) < _VERSION:
        for statement in policy_statements():
            connection.exec_driver_sql(statement)
        _note_version(connection)
    if _may_make_roles(connection):
        connection.exec_driver_sql(_MAKE_ROLE)
    if connection.execute(_LACKS_GRANTS).scalar():
        for statement in grant_statements():
            connection.exec_driver_sql(statement)


def policy_statements() -> Iterator[str]:
    """What makes the policies, in this order, whatever was there before."""
    yield from _FUNCTIONS
    for table, condition in GUARDED.items():
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        yield f"DROP POLICY IF EXISTS {table}_reach ON {table}"
        yield f"CREATE POLICY {table}_reach ON {table} FOR SELECT USING ({condition})"


def grant_statements() -> Iterator[str]:
    """What ``labbroker_people`` is given, in the schema that the store is in."""
    yield _USE_SCHEMA
    for table in (*GUARDED, *OPEN):
        yield f"GRANT SELECT ON {table} TO {PEOPLE_ROLE}"


def is_guarded(connection: Connection) -> bool:
    """Whether this login can read as ``labbroker_people``, whom the policies hold for."""
    return connection.execute(_IS_GUARDED).scalar() is True


def owns_tables(connection: Connection) -> bool:
    """Whether this login sees every row: only the owner of the tables, or a superuser, does."""
    return connection.exec_driver_sql("SELECT row_security_active('record')").scalar() is False


def _version_of(connection: Connection) -> int:
    found = connection.execute(meta.select().where(meta.c.name == "row_security")).one_or_none()
    return 0 if found is None else int(found.value)


def _note_version(connection: Connection) -> None:
    connection.execute(meta.delete().where(meta.c.name == "row_security"))
    connection.execute(meta.insert().values(name="row_security", value=str(_VERSION)))


def _may_make_roles(connection: Connection) -> bool:
    return connection.execute(_MAY_MAKE).scalar() is True


_MAY_MAKE = text(
    "SELECT (rolsuper OR rolcreaterole) AND NOT EXISTS"
    " (SELECT 1 FROM pg_roles WHERE rolname = :role) FROM pg_roles WHERE rolname = current_user"
).bindparams(role=PEOPLE_ROLE)
# Roles belong to all databases of a server: another one may make it at the same moment.
_MAKE_ROLE = f"""
DO $$ BEGIN
    CREATE ROLE {PEOPLE_ROLE} NOLOGIN;
    GRANT {PEOPLE_ROLE} TO CURRENT_USER;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""
_USE_SCHEMA = f"""
DO $$ BEGIN
    IF NOT has_schema_privilege('{PEOPLE_ROLE}', current_schema(), 'USAGE') THEN
        EXECUTE 'GRANT USAGE ON SCHEMA ' || quote_ident(current_schema()) || ' TO {PEOPLE_ROLE}';
    END IF;
END $$
"""
_LACKS_GRANTS = text(
    "SELECT NOT bool_and(has_table_privilege(rolname, named.name, 'SELECT'))"
    " FROM pg_roles, unnest(CAST(:names AS text[])) AS named(name) WHERE rolname = :role"
).bindparams(role=PEOPLE_ROLE, names=[*GUARDED, *OPEN])
_IS_GUARDED = text(
    "SELECT pg_has_role(oid, 'MEMBER') AND NOT rolsuper AND NOT rolbypassrls"
    " FROM pg_roles WHERE rolname = :role"
).bindparams(role=PEOPLE_ROLE)
