"""The tables. Raw bytes stay as received; instants are microseconds since 1970 UTC.

``receipt`` what came in · ``visit`` what the clinic ordered · ``record`` one order's result on its
way to NHI · ``package`` frozen ZIPs · ``attempt`` each send, written before it starts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    literal_column,
    text,
)
from sqlalchemy.engine import Dialect

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as integer microseconds so that it sorts and never drifts."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else microseconds_of(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else instant_of(value)


def microseconds_of(at: datetime) -> int:
    """As an :class:`Instant` is stored, for a statement that does not know of it."""
    return (at - _EPOCH) // _MICROSECOND


def instant_of(microseconds: int) -> datetime:
    """What an :class:`Instant` holds, where it is read without one."""
    return _EPOCH + _MICROSECOND * microseconds


Id = BigInteger().with_variant(Integer(), "sqlite")
"""A key that the store gives: SQLite's own row number, and 64 bits elsewhere."""

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

receipt = Table(
    "receipt",
    metadata,
    Column("id", Id, primary_key=True),
    Column("source_id", String, nullable=False),
    Column("door", String, nullable=False),
    Column("media", String, nullable=False),
    Column("control_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
    # source + control id + bytes, hashed: analysers count from 1 each morning, so the control id
    # alone says nothing.
    Column("identity", LargeBinary(16), nullable=False, unique=True),
    Column("received_at", Instant, nullable=False),
    Column("state", String, nullable=False),
    Column("acknowledgement", String, nullable=False),
    Column("error_code", String, nullable=False, server_default=""),
    Column("error_text", String, nullable=False, server_default=""),
    # What happened and what to do, by language, as JSON; for people who read it elsewhere.
    Column("error_texts", Text, nullable=False, server_default=""),
    Column("content", String, nullable=False, server_default=""),
    Column("repeats", Integer, nullable=False, server_default="0"),
    Column("findings", Text, nullable=False, server_default="[]"),
    # Last, so that lists never read through the pages of a large body.
    Column("raw", LargeBinary, nullable=False),
)
Index("receipt_open", receipt.c.id, sqlite_where=receipt.c.state == "stored")
Index("receipt_quarantined", receipt.c.id, sqlite_where=receipt.c.state == "quarantined")

visit = Table(
    "visit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("receipt_id", ForeignKey("receipt.id"), nullable=False),
    Column("institution_code", String, nullable=False),
    Column("national_id", String, nullable=False),
    Column("card_at", Instant, nullable=False),
    Column("visit_type", String, nullable=False),
    Column("visit_serial", String, nullable=False),
    Column("visit_on", Date, nullable=False),
    Column("birth_on", Date, nullable=False),
    # Twins on a parent's card differ in these alone; "" where the visit is no newborn's, since
    # NULLs are never equal in a unique index.
    Column("newborn", String, nullable=False, server_default=""),
    Column("body", Text, nullable=False),
    Index(
        "visit_key",
        "institution_code",
        "national_id",
        "card_at",
        "visit_type",
        "visit_serial",
        "birth_on",
        "newborn",
        unique=True,
    ),
    # Who is looked for when a national id is missing or mistyped.
    Index("visit_birth", "institution_code", "birth_on", "visit_on"),
    Index("visit_day", "visit_on"),
)

# The orders of the visits that a laboratory may answer, to be found without opening the visits.
visit_order = Table(
    "visit_order",
    metadata,
    Column("visit_id", ForeignKey("visit.id"), primary_key=True),
    Column("order_code", String, primary_key=True),
    Column("placer_order_number", String, primary_key=True),
    # The visit's, as each child's is its parent's: a key of PostgreSQL's holds it.
    Column("institution_code", String, nullable=False, server_default=""),
    # Neither taken back nor opted out.
    Column("wanted", Boolean, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "visit_order_number",
    visit_order.c.placer_order_number,
    sqlite_where=text("placer_order_number != ''"),
)

record = Table(
    "record",
    metadata,
    Column("id", Id, primary_key=True),
    Column("receipt_id", ForeignKey("receipt.id"), nullable=False),
    # Which result of the receipt this is; a replay of the receipt finds the same row again.
    Column("slot", String, nullable=False),
    Column("place", String, nullable=False),
    Column("order_identity", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("held_reason", String, nullable=False, server_default=""),
    Column("uploader_code", String, nullable=False, server_default=""),
    Column("clinic_code", String, nullable=False, server_default=""),
    Column("lab_code", String, nullable=False, server_default=""),
    Column("order_code", String, nullable=False, server_default=""),
    Column("national_id", String, nullable=False, server_default=""),
    Column("visit_id", ForeignKey("visit.id")),
    Column("clock_started_at", Instant),
    Column("due_at", Instant),
    Column("ready_at", Instant),
    # The first confirmed upload of the order fixes the time that counts.
    Column("confirmed_at", Instant),
    Column("checked_at", Instant),
    Column("package_id", ForeignKey("package.id")),
    Column("verdict_code", String, nullable=False, server_default=""),
    Column("verdict_fields", String, nullable=False, server_default=""),
    # A digest of the twelve values by which NHI replaces an earlier upload of the order.
    Column("correction_key", String, nullable=False, server_default=""),
    # Some version of the order was accepted: its key is frozen and its first time counts.
    Column("was_accepted", Boolean, nullable=False, server_default=false()),
    # The version that a person put right, where this one is that correction.
    Column("corrects_id", ForeignKey("record.id")),
    # The visits that a person could mean, where no rule could decide.
    Column("candidates", Text, nullable=False, server_default=""),
    # Whom a result speaks of that found no visit, besides its national id: by these a visit that
    # comes later finds it. Empty where it found one.
    Column("birth_on", Date),
    Column("placer_order_number", String, nullable=False, server_default=""),
    # When a later word said the very same; "" where none did.
    Column("said_again_at", String, nullable=False, server_default=""),
    # The rows (r2) of the order that the laboratory announced and has not sent, as a JSON list;
    # "" where the order is whole.
    Column("awaited", Text, nullable=False, server_default=""),
    # For a word that takes results back: what it takes back and when it was said.
    Column("withdrawal", String, nullable=False, server_default=""),
    # What a person must do about a record that has left already: a finding code.
    Column("task", String, nullable=False, server_default=""),
    Column("findings", Text, nullable=False, server_default="[]"),
    Column("body", Text, nullable=False, server_default=""),
    Index("record_slot", "receipt_id", "slot", unique=True),
    Index("record_identity", "order_identity", "version"),
    Index("record_package", "package_id"),
    Index("record_correction", "correction_key", "state"),
)
# What leaves next, institution by institution, without reading what waits behind it.
Index(
    "record_ready_due",
    record.c.uploader_code,
    record.c.due_at,
    sqlite_where=text("state = 'ready'"),
)
Index(
    "record_ready_since",
    record.c.uploader_code,
    record.c.ready_at,
    sqlite_where=text("state = 'ready' AND awaited = ''"),
)
Index(
    "record_part_due",
    record.c.uploader_code,
    record.c.due_at,
    sqlite_where=text("state = 'ready' AND awaited != ''"),
    postgresql_where=text("state = 'ready' AND awaited != ''"),
)
Index(
    "record_held",
    record.c.clinic_code,
    record.c.national_id,
    sqlite_where=text("state = 'held'"),
)
Index(
    "record_held_birth",
    record.c.clinic_code,
    record.c.birth_on,
    sqlite_where=text("state = 'held' AND birth_on IS NOT NULL"),
)
Index(
    "record_held_number",
    record.c.placer_order_number,
    sqlite_where=text("state = 'held' AND placer_order_number != ''"),
)
Index("record_state", record.c.state, record.c.held_reason)
# The newest records of one clinic, and of one laboratory, without those of others.
Index("record_of_clinic", record.c.clinic_code, record.c.id)
Index("record_of_lab", record.c.lab_code, record.c.id)
IS_OF_OTHER_UPLOADER = (
    (record.c.uploader_code != record.c.clinic_code)
    & (record.c.uploader_code != record.c.lab_code)
    & (record.c.uploader_code != literal_column("''"))
)
"""Hardly ever so: one who is neither the clinic nor the laboratory uploads."""
Index(
    "record_of_other_uploader",
    record.c.uploader_code,
    record.c.id,
    sqlite_where=IS_OF_OTHER_UPLOADER,
)
Index("record_order", record.c.order_code, record.c.id)
Index(
    "record_visit",
    record.c.visit_id,
    record.c.order_code,
    sqlite_where=record.c.visit_id.is_not(None),
)
Index("record_task", record.c.id, sqlite_where=text("task != ''"))

# Which visit a person chose for a result; the receipt holds who and when.
choice = Table(
    "choice",
    metadata,
    Column("id", Id, primary_key=True),
    Column("receipt_id", ForeignKey("receipt.id"), nullable=False),
    Column("of_receipt_id", ForeignKey("receipt.id"), nullable=False),
    Column("slot", String, nullable=False),
    # Later words on the same result, taken on the same day, follow the choice.
    Column("order_identity", String, nullable=False),
    Column("collected_on", String, nullable=False),
    Column("visit_id", ForeignKey("visit.id"), nullable=False),
    Column("institution_code", String, nullable=False, server_default=""),
    Index("choice_slot", "of_receipt_id", "slot"),
    Index("choice_identity", "order_identity", "collected_on"),
)

file_serial = Table(
    "file_serial",
    metadata,
    Column("institution_code", String, primary_key=True),
    Column("upload_on", Date, primary_key=True),
    Column("last_serial", Integer, nullable=False),
)

package = Table(
    "package",
    metadata,
    Column("id", Id, primary_key=True),
    Column("stem", String, nullable=False, unique=True),
    Column("institution_code", String, nullable=False),
    Column("upload_on", Date, nullable=False),
    Column("state", String, nullable=False),
    Column("record_count", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("sealed_at", Instant, nullable=False),
    Column("claimed_by", String, nullable=False, server_default=""),
    Column("sent_at", Instant),
    Column("receipt_number", String, nullable=False, server_default=""),
    Column("confirmed_at", Instant),
    Column("checked_at", Instant),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", Instant),
    Column("absences", Integer, nullable=False, server_default="0"),
    Column("error_code", String, nullable=False, server_default=""),
    Column("error_text", String, nullable=False, server_default=""),
    Column("raw_verdict", LargeBinary),
)
Index("package_of_institution", package.c.institution_code, package.c.id)
Index(
    "package_open",
    package.c.next_at,
    sqlite_where=package.c.state.in_(("sealed", "claimed", "inflight", "submitted", "unknown")),
)

package_record = Table(
    "package_record",
    metadata,
    Column("package_id", ForeignKey("package.id"), primary_key=True),
    Column("record_id", ForeignKey("record.id"), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    # What the check report said of the record in this package: "", accepted or rejected.
    Column("verdict", String, nullable=False, server_default=""),
    # The package's, and the record's.
    Column("institution_code", String, nullable=False, server_default=""),
    Column("clinic_code", String, nullable=False, server_default=""),
)
# No record is in two packages that could both be sent.
Index(
    "package_record_once",
    package_record.c.record_id,
    unique=True,
    sqlite_where=text("active = 1"),
    postgresql_where=text("active"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Id, primary_key=True),
    Column("package_id", ForeignKey("package.id"), nullable=False, index=True),
    Column("institution_code", String, nullable=False, server_default=""),
    Column("kind", String, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("outcome", String, nullable=False, server_default=""),
    Column("error_code", String, nullable=False, server_default=""),
    Column("raw_answer", LargeBinary, nullable=False, default=b""),
)

# What a person was warned of: opened once, closed when it is no longer so, kept as history.
alarm = Table(
    "alarm",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", String, nullable=False),
    Column("institution_code", String, nullable=False),
    # The state or held reason of the records.
    Column("reason", String, nullable=False),
    Column("records", Integer, nullable=False),
    Column("due_at", Instant),
    Column("opened_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("closed_at", Instant),
)
Index(
    "alarm_open",
    alarm.c.kind,
    alarm.c.institution_code,
    alarm.c.reason,
    unique=True,
    sqlite_where=alarm.c.closed_at.is_(None),
)
_UNCONFIRMED = text(
    "confirmed_at IS NULL AND "
    "state IN ('held', 'ready', 'sealed', 'inflight', 'unknown', 'rejected')"
)
# What is not at NHI yet, in the order in which it is due.
Index(
    "record_unconfirmed",
    record.c.due_at,
    record.c.uploader_code,
    record.c.clinic_code,
    record.c.state,
    record.c.held_reason,
    sqlite_where=_UNCONFIRMED,
    postgresql_where=_UNCONFIRMED,
)

# The same by who uploads and how it stands, which is how it is planned. The last column is NULL
# in all of them: with it SQLite finds everything here and opens no record.
Index(
    "record_unconfirmed_groups",
    record.c.uploader_code,
    record.c.clinic_code,
    record.c.state,
    record.c.held_reason,
    record.c.due_at,
    record.c.confirmed_at,
    sqlite_where=_UNCONFIRMED,
    postgresql_where=_UNCONFIRMED,
)
