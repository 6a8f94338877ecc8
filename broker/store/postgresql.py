"""Opening the store in PostgreSQL, which several brokers share.

A commit returns when PostgreSQL has it on disk (``synchronous_commit``; where replicas must have
it too, that is PostgreSQL's own setting). A node that was cut off or stopped in the middle of a
transaction keeps no lock: the server ends its session.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import QueuePool

from adapters.ports.intake import StorageUnavailable
from broker.store.dialect import suit_postgresql
from broker.store.location import StoreUnreachable
from broker.store.migrations import upgrade
from broker.store.row_security import owns_tables
from broker.store.schema import meta, metadata
from broker.store.storage_fault import StorageFault, storage_fault

_READ_ONLY = "25006"
# One key for everything: whoever writes anything but receipts holds it until its commit.
WRITE_LOCK = 7_301_462_113
_UPGRADE_LOCK = WRITE_LOCK + 1
# Locks are of a database, and stores in schemas of their own share nothing in it.
_TAKE_TURN = f"SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), {WRITE_LOCK}))"
_CONNECT_SECONDS = 10
_IDLE_WRITER_SECONDS = 10
_IDLE_READER_SECONDS = 600
_NOT_THE_OWNER = (
    "its tables belong to another role, and row level security hides them from this one"
)


def open_shared_writer(url: str) -> Engine:
    """An engine for writing; creates and upgrades the tables. Raises :class:`StoreUnreachable`
    and ``SchemaUnknown``."""
    suit_postgresql(metadata)
    engine = _engine(url, _IDLE_WRITER_SECONDS, read_only=False)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
            upgrade(connection)
            if not owns_tables(connection):
                raise StoreUnreachable(reason=_NOT_THE_OWNER)
    except DBAPIError as error:
        engine.dispose()
        raise StoreUnreachable(reason=_reason(error)) from None
    except BaseException:
        engine.dispose()
        raise
    return engine


def open_shared_reader(url: str) -> Engine | None:
    """A read-only engine; None where the database holds no store. What is read through it raises
    ``StorageUnavailable`` while PostgreSQL is away, which every worker waits out. Raises
    :class:`StoreUnreachable`."""
    engine = _engine(url, _IDLE_READER_SECONDS, read_only=True)
    try:
        is_there = inspect(engine).has_table(meta.name)
    except DBAPIError as error:
        engine.dispose()
        raise StoreUnreachable(reason=_reason(error)) from None
    if not is_there:
        engine.dispose()
        return None
    event.listen(engine, "handle_error", _wait_it_out)
    return engine


def take_turn(connection: Connection) -> None:
    """Wait until no other node changes anything but receipts; until the commit none will."""
    connection.exec_driver_sql(_TAKE_TURN)


def _engine(url: str, idle_seconds: int, *, read_only: bool) -> Engine:
    options = [
        "-c timezone=UTC",
        "-c client_min_messages=error",
        f"-c idle_in_transaction_session_timeout={idle_seconds * 1000}",
        "-c tcp_keepalives_idle=5",
        "-c tcp_keepalives_interval=2",
        "-c tcp_keepalives_count=3",
    ]
    if read_only:
        options.append("-c default_transaction_read_only=on")
    else:
        # No setting of the server makes an acknowledgement mean less than "on disk".
        options.append("-c synchronous_commit=on")
    try:
        place = make_url(url)
        # What the url says itself, such as a schema of its own.
        said = place.query.get("options", ())
        options += [said] if isinstance(said, str) else said
        engine = create_engine(
            place.difference_update_query(["options"]),
            poolclass=QueuePool,
            pool_size=6,
            max_overflow=10,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "options": " ".join(options),
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 3,
                "tcp_user_timeout": 15_000,
            },
        )
    except (ArgumentError, ModuleNotFoundError) as error:
        raise StoreUnreachable(reason=_install_hint(error)) from None
    event.listen(engine, "handle_error", _hide_details)
    return engine


def _install_hint(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return "install labbroker[postgres]"
    return "the url is not one that SQLAlchemy knows"


def _hide_details(context: Any) -> None:
    """What PostgreSQL says of an error may quote a row, which may be a patient's. What is said of
    a connection that could not be made quotes none."""
    state = getattr(context.original_exception, "sqlstate", None)
    if state is None and context.connection is None:
        return
    text = f"{type(context.original_exception).__name__} ({state or 'no state'})"
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None:
            error.args = (text,)


def _wait_it_out(context: Any) -> StorageUnavailable | None:
    """What SQLAlchemy is to raise in the place of its own exception."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        # A reader that writes is a fault of ours, and no waiting mends it.
        return None
    error = context.sqlalchemy_exception or context.original_exception
    fault = storage_fault(error)
    if fault is None and context.is_disconnect:
        fault = StorageFault.AWAY
    return StorageUnavailable(reason=fault.value) if fault is StorageFault.AWAY else None


def _reason(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())
