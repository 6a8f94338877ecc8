"""Works that share a savepoint are as safe from each other, on each engine, as with one of their
own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import IntegrityError

from broker.store.engine import open_writer
from broker.store.savepoints import attempt_together
from broker.store.schema import meta
from tests.stores import store_at

pytestmark = pytest.mark.usefixtures("both_stores")


@pytest.fixture
def engine(both_stores: str, tmp_path: Path) -> Iterator[Engine]:
    opened = open_writer(store_at(tmp_path))
    yield opened
    opened.dispose()


def note(name: str) -> Callable[[Connection], list[str]]:
    """Writes ``name`` and tells all that is written so far."""

    def work(connection: Connection) -> list[str]:
        connection.execute(insert(meta).values(name=f"noted {name}", value=""))
        return noted(connection)

    return work


def noted(connection: Connection) -> list[str]:
    names = connection.execute(select(meta.c.name).where(meta.c.name.like("noted %"))).scalars()
    return sorted(name.removeprefix("noted ") for name in names)


def failing(error: Exception) -> Callable[[Connection], list[str]]:
    def work(connection: Connection) -> list[str]:
        note("never")(connection)
        raise error

    return work


def test_each_sees_what_those_before_it_did(engine: Engine) -> None:
    with engine.begin() as connection:
        assert attempt_together(connection, [note("a"), note("b")]) == [["a"], ["a", "b"]]
        assert attempt_together(connection, [note("c")]) == [["a", "b", "c"]]
        assert attempt_together(connection, []) == []
    with engine.begin() as connection:
        assert noted(connection) == ["a", "b", "c"]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_fails_leaves_nothing_and_costs_no_other(engine: Engine, place: int) -> None:
    error = ValueError()
    works = [note("a"), note("b")]
    works.insert(place, failing(error))
    with engine.begin() as connection:
        results = attempt_together(connection, works)
        assert results.pop(place) is error
        assert results == [["a"], ["a", "b"]]
    with engine.begin() as connection:
        assert noted(connection) == ["a", "b"]


def test_one_that_the_database_refuses_costs_no_other(engine: Engine) -> None:
    with engine.begin() as connection:
        first, again, last = attempt_together(connection, [note("a"), note("a"), note("b")])
        assert (first, last) == (["a"], ["a", "b"])
        assert isinstance(again, IntegrityError)


@pytest.mark.parametrize("works", [[note("a")], [note("a"), note("b")], []])
def test_a_disk_that_fails_is_no_fault_of_a_work(
    engine: Engine, works: list[Callable[[Connection], list[str]]]
) -> None:
    with pytest.raises(OSError, match="gone"), engine.begin() as connection:
        attempt_together(connection, [*works, failing(OSError("gone"))])
    with engine.begin() as connection:
        assert noted(connection) == []
