"""How commands about access reach the store: through the running service, else by themselves."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from broker.cli.control_client import ask_service
from broker.people_desk import PEOPLE_ORDERS
from broker.store.engine import open_reader, open_writer
from broker.store.location import StoreLocation
from broker.web.control import find_control


def ask_about_people(store: StoreLocation, order: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """What came of an order of :data:`broker.people_desk.PEOPLE_ORDERS`. Where no service runs the
    store is made if it is not there: people can be added before the first start."""
    control = find_control(store.folder)
    if control is not None:
        return ask_service(control, order, json.dumps(dict(told)).encode())
    engine = open_writer(store)
    try:
        with engine.begin() as connection:
            return PEOPLE_ORDERS[order](connection, told, datetime.now(UTC))
    finally:
        engine.dispose()


@contextmanager
def reading(store: StoreLocation) -> Iterator[Connection]:
    """Raises ``StoreMissing``."""
    reader = open_reader(store)
    try:
        with reader.connect() as connection:
            yield connection
    finally:
        reader.dispose()


def people_asker(given: str | None) -> str:
    """Who asks at the command line, as the audit trail names them: never a login of the console."""
    return f"cli:{given or getpass.getuser()}"
