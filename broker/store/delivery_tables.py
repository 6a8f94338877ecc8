"""The tables of delivery: what clinics are to receive, each try, and results that are critical."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    func,
    literal_column,
    true,
)

from broker.store.schema import Instant, metadata

_ID = BigInteger().with_variant(Integer(), "sqlite")

outgoing = Table(
    "outgoing",
    metadata,
    # The order in which a destination receives.
    Column("id", _ID, primary_key=True),
    Column("destination", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("clinic_code", String, nullable=False),
    Column("lab_code", String, nullable=False),
    Column("receipt_id", ForeignKey("receipt.id"), nullable=False),
    # Which report of the receipt, from 1.
    Column("number", Integer, nullable=False),
    # How often a person had it sent anew; 0 for what went by itself.
    Column("again", Integer, nullable=False, server_default="0"),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("queued_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("ended_at", Instant),
    # MSA-1, an HTTP status, the name of a file, or who read it.
    Column("answer", String, nullable=False, server_default=""),
    Column("error_code", String, nullable=False, server_default=""),
    # When a person has seen to what was refused, and who.
    Column("settled_at", Instant),
    Column("settled_by", String, nullable=False, server_default=""),
    Column("name", String, nullable=False, server_default=""),
    Column("sha256", LargeBinary(32)),
    # Fixed before the first try, so that every try sends the same; gone when it has arrived.
    Column("body", LargeBinary),
    Index("outgoing_once", "destination", "receipt_id", "number", "again", unique=True),
    Index("outgoing_clinic", "clinic_code", "kind", "id"),
    Index("outgoing_lab", "lab_code", "id"),
    Index("outgoing_receipt", "receipt_id"),
)
# SQLite uses a partial index only where a query says its condition in the very same words.
IS_OPEN = outgoing.c.state.in_(
    [literal_column(f"'{state}'") for state in ("queued", "sent", "failed")]
)
"""What has not arrived yet."""
Index(
    "outgoing_open",
    outgoing.c.destination,
    outgoing.c.id,
    sqlite_where=IS_OPEN,
    postgresql_where=IS_OPEN,
)
IS_REFUSED = (outgoing.c.state == literal_column("'refused'")) & outgoing.c.settled_at.is_(None)
"""What the other side has said no to, and nobody has seen to."""
Index(
    "outgoing_refused",
    outgoing.c.destination,
    outgoing.c.clinic_code,
    sqlite_where=IS_REFUSED,
    postgresql_where=IS_REFUSED,
)

IS_UNSETTLED = outgoing.c.state != literal_column("'acknowledged'")
"""Whatever may still be asked for by its state: what has arrived is nearly everything."""
Index(
    "outgoing_unsettled",
    outgoing.c.state,
    outgoing.c.id,
    sqlite_where=IS_UNSETTLED,
    postgresql_where=IS_UNSETTLED,
)
# So written that of all indexes its own alone can be used, which holds little.
IS_UNREAD = (
    func.coalesce(outgoing.c.kind, literal_column("''")) == literal_column("'inbox'")
) & IS_OPEN
"""A result in an inbox that nobody has read."""
Index(
    "outgoing_unread",
    outgoing.c.clinic_code,
    outgoing.c.id,
    sqlite_where=IS_UNREAD,
    postgresql_where=IS_UNREAD,
)

delivery_attempt = Table(
    "delivery_attempt",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("outgoing_id", ForeignKey("outgoing.id"), nullable=False, index=True),
    Column("clinic_code", String, nullable=False, server_default=""),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("outcome", String, nullable=False, server_default=""),
    Column("error_code", String, nullable=False, server_default=""),
)

critical_result = Table(
    "critical_result",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("receipt_id", ForeignKey("receipt.id"), nullable=False),
    Column("number", Integer, nullable=False),
    # The place of the line in its report, from 1.
    Column("line", Integer, nullable=False),
    # Alike for the same value of the same result, said once more; b"" where nothing joins them.
    Column("said", LargeBinary(16), nullable=False),
    Column("clinic_code", String, nullable=False),
    Column("lab_code", String, nullable=False),
    Column("source_id", String, nullable=False),
    # "flag" or "limit".
    Column("reason", String, nullable=False),
    Column("found_at", Instant, nullable=False),
    Column("confirmed_at", Instant),
    Column("confirmed_by", String, nullable=False, server_default=""),
    # The result that it is of, and the line of it: alike for all words on them.
    Column("result", LargeBinary(16)),
    Column("item", LargeBinary(16)),
    # When the laboratory said it, by its own clock.
    Column("said_at", Instant),
    # The critical value of the same line before this one.
    Column("earlier_id", Integer),
    # What a later word made of it: "", "critical" (another row), "normal" or "withdrawn".
    Column("ending", String, nullable=False, server_default=""),
    Column("ended_at", Instant),
    Column("ended_receipt_id", Integer),
    Column("ended_said_at", Instant),
    # Who took note of the correction.
    Column("noted_at", Instant),
    Column("noted_by", String, nullable=False, server_default=""),
    # Whether a person is waited for: to confirm the value, or to take note of its correction.
    Column("waits", Boolean, nullable=False, server_default=true()),
    Index("critical_result_of", "result"),
    Index("critical_result_line", "receipt_id", "number", "line", unique=True),
    Index("critical_result_clinic", "clinic_code", "id"),
)
Index(
    "critical_result_open",
    critical_result.c.clinic_code,
    critical_result.c.found_at,
    sqlite_where=critical_result.c.waits,
    postgresql_where=critical_result.c.waits,
)

subscription = Table(
    "subscription",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("source_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    # R4 subscription-status.
    Column("status", String, nullable=False),
    Column("type_name", String, nullable=False),
    Column("criteria", String, nullable=False),
    Column("national_id", String, nullable=False),
    Column("chart_number", String, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("payload", String, nullable=False),
    Column("reason", String, nullable=False),
    # The names of its headers, a line each; what they say is encrypted.
    Column("header_names", String, nullable=False),
    Column("headers", LargeBinary),
    Column("end_at", Instant),
    # Tries that failed, one after the other, and why the last one did.
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("error", String, nullable=False, server_default=""),
    Column("made_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("removed_at", Instant),
    Index("subscription_source", "source_id", "id"),
)

api_call = Table(
    "api_call",
    metadata,
    Column("caller", String, primary_key=True),
    Column("key", String, primary_key=True),
    # Of method, path and body: one key is for one call.
    Column("digest", LargeBinary(32), nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary),
    Index("api_call_begun", "begun_at"),
)

alarm_notice = Table(
    "alarm_notice",
    metadata,
    Column("alarm_id", ForeignKey("alarm.id"), primary_key=True),
    Column("institution_code", String, nullable=False, server_default=""),
    # Name of the notice's way in the settings.
    Column("target", String, primary_key=True),
    # "opened" or "over".
    Column("event", String, primary_key=True),
    Column("told_at", Instant, nullable=False),
)
