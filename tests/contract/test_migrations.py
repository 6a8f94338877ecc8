"""Old and new programs on one store: what expands hurts nobody, what contracts waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, insert, select, update

from broker.store.engine import open_writer
from broker.store.leases import knowledge
from broker.store.migrations import MIGRATIONS, Migration, SchemaUnknown, greet, take_leave, upgrade
from broker.store.node_tables import migration, node
from broker.store.schema import meta
from tests.stores import store_at

OLD = MIGRATIONS


def expand(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE choice ADD COLUMN told_by VARCHAR NOT NULL DEFAULT ''")


def contract(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE choice DROP COLUMN told_by")


NEW = (*OLD, Migration(2, "who told", expand))
NEWER = (*NEW, Migration(3, "nobody told", contract, needs=3))


@pytest.fixture
def engine(both_stores: str, tmp_path: Path) -> Iterator[Engine]:
    opened = open_writer(store_at(tmp_path))
    yield opened
    opened.dispose()


def columns(connection: Connection) -> set[str]:
    return set(connection.exec_driver_sql("SELECT * FROM choice").keys())


def test_a_new_store_is_at_the_newest_step_at_once(engine: Engine) -> None:
    with engine.begin() as connection:
        done = connection.execute(select(migration.c.number)).scalars().all()
        assert done == [step.number for step in MIGRATIONS]
        assert upgrade(connection) == MIGRATIONS[-1].number


def test_an_old_program_goes_on_beside_one_that_has_expanded_the_schema(engine: Engine) -> None:
    with engine.begin() as connection:
        greet(connection, "old", known=1)
        assert upgrade(connection, NEW) == 2
        assert "told_by" in columns(connection)
    with engine.begin() as connection:
        assert upgrade(connection, OLD) == 2
        assert knowledge(connection) == 0


def test_a_step_that_contracts_waits_until_no_node_is_alive_that_needs_what_it_drops(
    engine: Engine,
) -> None:
    with engine.begin() as connection:
        greet(connection, "old", known=2)
        assert upgrade(connection, NEWER) == 2
        assert "told_by" in columns(connection)
        take_leave(connection, "old")
        assert upgrade(connection, NEWER) == 3
        assert "told_by" not in columns(connection)
    with engine.begin() as connection, pytest.raises(SchemaUnknown):
        upgrade(connection, NEW)


def test_a_node_that_has_been_silent_for_long_holds_no_step_up(engine: Engine) -> None:
    with engine.begin() as connection:
        greet(connection, "dead", known=2)
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        connection.execute(update(node).values(seen_at=long_ago))
        assert upgrade(connection, NEWER) == 3


def test_a_death_in_the_middle_of_a_step_leaves_the_store_as_it_was(engine: Engine) -> None:
    def die(connection: Connection) -> None:
        expand(connection)
        connection.execute(insert(meta).values(name="half", value="done"))
        raise KeyboardInterrupt

    dying = (*OLD, Migration(2, "dies", die))
    with pytest.raises(KeyboardInterrupt), engine.begin() as connection:
        upgrade(connection, dying)
    with engine.begin() as connection:
        assert "told_by" not in columns(connection)
        names = connection.execute(select(meta.c.name)).scalars().all()
        assert "half" not in names
        assert upgrade(connection, NEW) == 2
