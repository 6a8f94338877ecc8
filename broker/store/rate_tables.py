"""What the rates are counted from: each order apart, narrow, in the order in which it is read."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, String, Table, text

from broker.store.schema import Instant, metadata, record

# One row for each order code of a card event that the official list wants reports of. It repeats
# what the visit says, so that a month of many institutions is one scan without their bodies.
rate_order = Table(
    "rate_order",
    metadata,
    Column("institution_code", String, primary_key=True),
    Column("visit_on", Date, primary_key=True),
    Column("visit_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_code", String, primary_key=True),
    # The other code of a pair whose one report counts for both; else the order code again.
    Column("paired_code", String, nullable=False),
    # Thousandths of 總量, so that sums are exact on every engine.
    Column("due", BigInteger, nullable=False),
    Column("opted_out", BigInteger, nullable=False),
    Column("provider_id", String, nullable=False),
    Column("handed_over", Boolean),
    # When the card data came in.
    Column("arrived_at", Instant, nullable=False),
    Index("rate_order_visit", "visit_id"),
    Index("rate_order_day", "visit_on", "institution_code"),
    sqlite_with_rowid=False,
)

# The few whose report may be another order's.
_PAIRED = text("paired_code != order_code")
Index(
    "rate_order_paired",
    rate_order.c.visit_on,
    rate_order.c.institution_code,
    rate_order.c.visit_id,
    sqlite_where=_PAIRED,
    postgresql_where=_PAIRED,
)

# The accepted results of orders, so that rates of many institutions open no record.
_LIVING = text("was_accepted AND state != 'superseded' AND visit_id IS NOT NULL")
Index(
    "record_uploaded",
    record.c.visit_id,
    record.c.order_code,
    record.c.confirmed_at,
    record.c.due_at,
    record.c.checked_at,
    record.c.uploader_code,
    # Said by the condition too, and asked of the row again unless the index has them.
    record.c.state,
    record.c.was_accepted,
    sqlite_where=_LIVING,
    postgresql_where=_LIVING,
)
