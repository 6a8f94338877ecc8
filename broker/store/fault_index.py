"""What keeps records from going out, one narrow row a fault, kept by the database itself.

A hundred thousand waiting records are grouped by their causes without reading their bodies. The
triggers follow every change of a record, whoever makes it; nobody writes the table by hand.
"""

# ruff: noqa: S608 - every part of the statements is a constant of this module
from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from sqlalchemy import BigInteger, Column, Connection, Index, String, Table, text

from broker.states import HeldReason, RecordState
from broker.store.dialect import is_shared
from broker.store.schema import Id, metadata

fault = Table(
    "fault",
    metadata,
    Column("id", Id, primary_key=True),
    Column("record_id", Id, nullable=False),
    Column("code", String, nullable=False),
    Column("field", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("value", String, nullable=False),
    Column("lab_code", String, nullable=False),
    Column("clinic_code", String, nullable=False),
    Column("order_code", String, nullable=False),
    Column("due_at", BigInteger),
    Index("fault_record", "record_id"),
)

# Nothing that a person could do moves these.
QUIET = (
    HeldReason.OPTED_OUT,
    HeldReason.OTHER_PARTY_UPLOADS,
    HeldReason.WAITING_FINAL,
    HeldReason.WAITING_VERDICT,
)
LONGEST_VALUE = 400
"""More of a value is not needed to know its shape."""
_STATES = f"('{RecordState.HELD.value}', '{RecordState.REJECTED.value}')"
_QUIET_REASONS = "(" + ", ".join(f"'{reason.value}'" for reason in QUIET) + ")"
_WAITS = f"NEW.state IN {_STATES} AND NEW.held_reason NOT IN {_QUIET_REASONS}"
_ERRORS = "json_each(NEW.findings) AS f WHERE json_extract(f.value, '$.severity') = 'error'"
_PARAMETER = (
    "(SELECT json_extract(p.value, '$[1]') FROM json_each(f.value, '$.parameters') AS p"
    " WHERE json_extract(p.value, '$[0]') = '{}')"
)
# Without an error of its own it is told by its state: see ``broker.worklist.blocking_findings``.
_KEEP = f"""
INSERT INTO fault
    (record_id, code, field, subject, value, lab_code, clinic_code, order_code, due_at)
SELECT NEW.id, json_extract(f.value, '$.code'), coalesce(json_extract(f.value, '$.field'), ''),
    coalesce(nullif({_PARAMETER.format("nhi_code")}, ''), nullif({_PARAMETER.format("code")}, ''),
        NEW.order_code),
    substr(coalesce(json_extract(f.value, '$.value'), ''), 1, {LONGEST_VALUE}),
    NEW.lab_code, NEW.clinic_code, NEW.order_code, NEW.due_at
FROM {_ERRORS};
INSERT INTO fault
    (record_id, code, field, subject, value, lab_code, clinic_code, order_code, due_at)
SELECT NEW.id, '', '', '', '', NEW.lab_code, NEW.clinic_code, NEW.order_code, NEW.due_at
WHERE NOT EXISTS (SELECT 1 FROM {_ERRORS});
"""
_SQLITE_TRIGGERS = {
    "record_waits": f"AFTER INSERT ON record WHEN {_WAITS} BEGIN {_KEEP} END",
    "record_let_go": (
        "AFTER UPDATE OF state, held_reason, findings, verdict_code, lab_code, clinic_code,"
        " order_code, due_at"
        f" ON record WHEN OLD.state IN {_STATES} AND NOT ({_WAITS})"
        " BEGIN DELETE FROM fault WHERE record_id = OLD.id; END"
    ),
    "record_waits_again": (
        "AFTER UPDATE OF state, held_reason, findings, verdict_code, lab_code, clinic_code,"
        " order_code, due_at"
        f" ON record WHEN {_WAITS}"
        f" BEGIN DELETE FROM fault WHERE record_id = NEW.id; {_KEEP} END"
    ),
    "record_gone": (
        f"BEFORE DELETE ON record WHEN OLD.state IN {_STATES}"
        " BEGIN DELETE FROM fault WHERE record_id = OLD.id; END"
    ),
}

_POSTGRESQL_LIST = "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass('record')"
_SQLITE_LIST = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
_ERROR_ROWS = (
    "json_array_elements(NEW.findings::json) AS f(value) WHERE f.value ->> 'severity' = 'error'"
)
_PARAMETER_ROW = (
    "(SELECT p.value ->> 1 FROM json_array_elements(f.value -> 'parameters') AS p(value)"
    " WHERE p.value ->> 0 = '{}' LIMIT 1)"
)
_AS_A_WHOLE = """
INSERT INTO fault
    (record_id, code, field, subject, value, lab_code, clinic_code, order_code, due_at)
VALUES (NEW.id, '', '', '', '', NEW.lab_code, NEW.clinic_code, NEW.order_code, NEW.due_at);
"""
# JSON may hold a NUL, which PostgreSQL cannot give as text: such a record is told as a whole.
_POSTGRESQL_FUNCTION = f"""
CREATE OR REPLACE FUNCTION labbroker_keep_faults() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM fault WHERE record_id = OLD.id;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    IF {_WAITS} THEN
        BEGIN
            INSERT INTO fault
                (record_id, code, field, subject, value, lab_code, clinic_code, order_code,
                    due_at)
            SELECT NEW.id, f.value ->> 'code', coalesce(f.value ->> 'field', ''),
                coalesce(nullif({_PARAMETER_ROW.format("nhi_code")}, ''),
                    nullif({_PARAMETER_ROW.format("code")}, ''), NEW.order_code),
                left(coalesce(f.value ->> 'value', ''), {LONGEST_VALUE}),
                NEW.lab_code, NEW.clinic_code, NEW.order_code, NEW.due_at
            FROM {_ERROR_ROWS};
            IF NOT FOUND THEN
                {_AS_A_WHOLE}
            END IF;
        EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
            {_AS_A_WHOLE}
        END;
    END IF;
    RETURN NEW;
END $$
"""
_CALL = "FOR EACH ROW {} EXECUTE FUNCTION labbroker_keep_faults()"
_POSTGRESQL_TRIGGERS = {
    "record_waits": "AFTER INSERT ON record " + _CALL.format(f"WHEN ({_WAITS})"),
    "record_waits_again": (
        "AFTER UPDATE OF state, held_reason, findings, verdict_code, lab_code, clinic_code,"
        " order_code, due_at"
        " ON record " + _CALL.format(f"WHEN (OLD.state IN {_STATES} OR {_WAITS})")
    ),
    "record_gone": "BEFORE DELETE ON record " + _CALL.format(f"WHEN (OLD.state IN {_STATES})"),
}

WaitingFault: TypeAlias = tuple[int, int | None, str, str, str, str, str]
"""Record, when it is due (the stored number), code, field, laboratory, subject, value. The code is
``""`` where only the record as a whole says what it waits for."""


def create_fault_index(connection: Connection) -> None:
    """Create the triggers where they are missing and take in what waits already."""
    shared = is_shared(connection)
    listed = _POSTGRESQL_LIST if shared else _SQLITE_LIST
    triggers = _POSTGRESQL_TRIGGERS if shared else _SQLITE_TRIGGERS
    missing = triggers.keys() - set(connection.execute(text(listed)).scalars())
    if missing and shared:
        connection.exec_driver_sql(_POSTGRESQL_FUNCTION)
    for name in sorted(missing):
        connection.exec_driver_sql(f"CREATE TRIGGER {name} {triggers[name]}")
    if missing:
        connection.exec_driver_sql(f"UPDATE record SET state = state WHERE state IN {_STATES}")


def waiting_faults(connection: Connection) -> Iterator[WaitingFault]:
    """Every fault that waits for a person, the most urgent record first."""
    result = connection.exec_driver_sql(
        "SELECT record_id, due_at, code, field, lab_code, subject, value FROM fault"
        " ORDER BY due_at IS NULL, due_at, record_id"
    )
    # The driver's own tuples: a hundred thousand rows of SQLAlchemy's take a second.
    cursor: Any = result.cursor
    yield from cursor
