"""NHI's own figures, as the institutions brought them."""

from __future__ import annotations

from sqlalchemy import Column, Date, String, Table

from broker.store.schema import Instant, metadata

# An overview of a period as NHI knew it on a day; ``days`` is a JSON list.
nhi_overview = Table(
    "nhi_overview",
    metadata,
    Column("institution_code", String, primary_key=True),
    Column("from_on", Date, primary_key=True),
    Column("until_on", Date, primary_key=True),
    Column("data_on", Date, primary_key=True),
    Column("taken_at", Instant, nullable=False),
    Column("days", String, nullable=False),
)
