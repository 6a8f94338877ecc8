"""NHI's lists of cases not uploaded, as the institutions brought them."""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Index, Integer, LargeBinary, String, Table

from broker.store.schema import Id, Instant, metadata

# ``row_count`` stays empty until all rows are stored.
unuploaded_list = Table(
    "unuploaded_list",
    metadata,
    Column("id", Id, primary_key=True),
    Column("institution_code", String, nullable=False),
    Column("from_on", Date),
    Column("until_on", Date),
    Column("sha256", LargeBinary(32), nullable=False),
    Column("taken_at", Instant, nullable=False),
    Column("row_count", Integer),
    Index("unuploaded_list_once", "institution_code", "sha256", unique=True),
)

unuploaded_row = Table(
    "unuploaded_row",
    metadata,
    Column("list_id", ForeignKey("unuploaded_list.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("institution_code", String, nullable=False, server_default=""),
    Column("national_id", String, nullable=False),
    Column("card_on", Date, nullable=False),
    Column("card_at", String, nullable=False),
    Column("visit_type", String, nullable=False),
    Column("visit_serial", String, nullable=False),
    Column("order_code", String, nullable=False),
    Column("quantity", String, nullable=False),
    Column("card_mark", String, nullable=False),
    Column("incomplete", String, nullable=False),
    sqlite_with_rowid=False,
)
