"""A work in a savepoint of its own, or several in one, each as safe as alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from sqlalchemy import Connection

from broker.store.storage_fault import storage_fault

T = TypeVar("T")


def attempt(
    connection: Connection, work: Callable[[Connection], T]
) -> tuple[T | None, Exception | None]:
    """What ``work`` returned, or why it failed: then it has changed nothing. Raises what says that
    the disk or the database is at fault."""
    savepoint = connection.begin_nested()
    try:
        result = work(connection)
    except Exception as error:
        if storage_fault(error):
            raise  # The disk, not the work: the whole group fails.
        savepoint.rollback()
        return None, error
    savepoint.commit()
    return result, None


def attempt_together(
    connection: Connection, works: Sequence[Callable[[Connection], T]]
) -> list[T | Exception]:
    """What each of ``works`` returned, or why it failed: one that fails has changed nothing and
    costs no other, and all see what those before them did.

    All run in one savepoint. Where one of them fails, what they did is undone and each runs again
    in a savepoint of its own: a work must bear that. Raises what says that the disk or the
    database is at fault.
    """
    if len(works) > 1:
        savepoint = connection.begin_nested()
        try:
            results: list[T | Exception] = [work(connection) for work in works]
        except Exception as error:
            if storage_fault(error):
                raise
            savepoint.rollback()
        else:
            savepoint.commit()
            return results
    return [_alone(connection, work) for work in works]


def _alone(connection: Connection, work: Callable[[Connection], T]) -> T | Exception:
    result, error = attempt(connection, work)
    return cast("T", result) if error is None else error
