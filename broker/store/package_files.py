"""The frozen bytes of packages in a shared store: whichever node sends them has them."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, insert, select

from broker.store.node_tables import package_file
from broker.store.schema import package


def store_package_file(connection: Connection, package_id: int, raw: bytes) -> None:
    """Keep the bytes, in the transaction that makes the package."""
    whose = select(package.c.institution_code).where(package.c.id == package_id)
    connection.execute(
        insert(package_file).values(
            package_id=package_id, institution_code=whose.scalar_subquery(), raw=raw
        )
    )


def load_package_file(reader: Engine, package_id: int) -> bytes | None:
    """None where they are on the disk of the one node alone."""
    with reader.connect() as connection:
        raw = connection.execute(
            select(package_file.c.raw).where(package_file.c.package_id == package_id)
        ).scalar()
    return None if raw is None else bytes(raw)
