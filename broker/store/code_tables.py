"""What people decided of local codes, codes that wait, and what each code's lines are used to."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, false

from broker.store.schema import Id, Instant, metadata

code_decision = Table(
    "code_decision",
    metadata,
    # Counts the versions of all code maps: a decision is never changed, a later one stands.
    Column("id", Id, primary_key=True),
    Column("source_id", String, nullable=False),
    Column("local_code", String, nullable=False),
    Column("specimen", String, nullable=False, server_default=""),
    Column("unit", String, nullable=False, server_default=""),
    Column("method", String, nullable=False, server_default=""),
    # "" says that the line is never uploaded.
    Column("order_code", String, nullable=False, server_default=""),
    Column("item_number", Integer),
    # The decision takes back the ones before it.
    Column("withdrawn", Boolean, nullable=False, server_default=false()),
    Column("name", String, nullable=False, server_default=""),
    Column("decided_by", String, nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("reason", String, nullable=False, server_default=""),
    Index("code_decision_local", "source_id", "local_code"),
)

# Codes of a clinic's order messages that nobody knows yet: a result's stand in its record, but of
# an order that could not be read there is none.
waiting_code = Table(
    "waiting_code",
    metadata,
    Column("receipt_id", ForeignKey("receipt.id"), primary_key=True),
    Column("place", String, primary_key=True),
    Column("source_id", String, nullable=False),
    Column("code", String, nullable=False),
    Column("name", String, nullable=False),
)

line_habit = Table(
    "line_habit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("source_id", String, nullable=False),
    Column("local_code", String, nullable=False),
    Column("specimen", String, nullable=False),
    Column("kind", String, nullable=False),
    # Whose range it is ("M adult"); "" for units.
    Column("group_name", String, nullable=False),
    Column("value", String, nullable=False),
    # False until a person has confirmed it: a unit after another, a range that was flagged.
    Column("known", Boolean, nullable=False),
    Column("receipt_id", ForeignKey("receipt.id"), nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("decided_by", String, nullable=False, server_default=""),
    Column("decided_at", Instant),
    Index(
        "line_habit_value",
        "source_id",
        "local_code",
        "specimen",
        "kind",
        "group_name",
        "value",
        unique=True,
    ),
)
