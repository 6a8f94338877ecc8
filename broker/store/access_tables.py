"""The tables of access: people, their sessions and tokens, and the audit trail."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from broker.store.schema import Instant, metadata

person = Table(
    "person",
    metadata,
    Column("id", Integer, primary_key=True),
    # As typed at the sign-in, in lower case.
    Column("login", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    # A JSON list, sorted.
    Column("institutions", Text, nullable=False, server_default="[]"),
    Column("language", String, nullable=False, server_default="zh"),
    # argon2id in its own text form; "" until the person has chosen a password.
    Column("password_hash", String, nullable=False, server_default=""),
    # SHA-256 of the code with which a password may be chosen, once.
    Column("one_time_digest", LargeBinary(32)),
    Column("one_time_until", Instant),
    # Base32; one is proposed until the first right code of it comes, then it is in force.
    Column("totp_proposed", String, nullable=False, server_default=""),
    Column("totp_secret", String, nullable=False, server_default=""),
    Column("totp_since", Instant),
    # The time step of the last code that was taken: none is taken twice.
    Column("totp_step", Integer, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant),
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True),
    Column("digest", LargeBinary(32), primary_key=True),
)

web_session = Table(
    "web_session",
    metadata,
    # SHA-256 of the token: who reads the store cannot sign in with what it holds.
    Column("digest", LargeBinary(32), primary_key=True),
    Column("person_id", ForeignKey("person.id"), nullable=False),
    # full, or what is still to be done: password, second, enrol.
    Column("stage", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("address", String, nullable=False, server_default=""),
    Index("web_session_person", "person_id"),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("person_id", ForeignKey("person.id"), nullable=False),
    Column("name", String, nullable=False),
    # A JSON list of permissions, sorted.
    Column("scopes", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("until", Instant),
    Column("seen_at", Instant),
    Column("revoked_at", Instant),
)

# Failed sign-ins of late, by account, address and both.
sign_in_failure = Table(
    "sign_in_failure",
    metadata,
    Column("digest", LargeBinary(16), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("paused_until", Instant, nullable=False),
    Index("sign_in_failure_age", "last_at"),
)

# Who saw and did what. Rows are only ever added; each holds the digest of the one before.
audit_event = Table(
    "audit_event",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("person", String, nullable=False),
    Column("action", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("institution", String, nullable=False),
    # A JSON object of texts, keys sorted.
    Column("detail", Text, nullable=False),
    Column("previous", LargeBinary(32), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Index("audit_event_subject", "kind", "subject"),
    Index("audit_event_person", "person", "number"),
    Index("audit_event_institution", "institution", "number"),
)

# One row: how many events there are and the digest of the last, so that a cut tail shows.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("events", Integer, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
)
