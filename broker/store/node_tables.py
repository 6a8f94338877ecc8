"""What several brokers on one store need to know of each other."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, String, Table

from broker.store.schema import Instant, metadata

migration = Table(
    "migration",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String, nullable=False),
    Column("done_at", Instant, nullable=False),
)

node = Table(
    "node",
    metadata,
    Column("holder", String, primary_key=True),
    Column("known_schema", Integer, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

# Who does what now. ``token`` grows with each holder: what an earlier one writes is refused.
lease = Table(
    "lease",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("token", BigInteger, nullable=False),
    # Empty where nobody holds it.
    Column("until_at", Instant),
)

# Grows with each change of what results are read by: visits, code maps, habits, hand work.
generation = Table(
    "generation",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# What a node sees of an institution's card, as long as the node is alive.
card_view = Table(
    "card_view",
    metadata,
    Column("institution_code", String, primary_key=True),
    Column("holder", String, primary_key=True),
    Column("is_ready", Boolean, nullable=False),
    Column("has_agent", Boolean, nullable=False),
    Column("reason", String, nullable=False),
    Column("valid_until", Instant),
)

# The frozen bytes, where another node than the one that sealed them may have to send them.
package_file = Table(
    "package_file",
    metadata,
    Column("package_id", ForeignKey("package.id"), primary_key=True, autoincrement=False),
    Column("institution_code", String, nullable=False, server_default=""),
    Column("raw", LargeBinary, nullable=False),
)
