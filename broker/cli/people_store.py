"""How commands about access reach the store: through the running service, else by themselves."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from broker.cli.control_client import ask_service
from broker.cli.store_access import changing
from broker.people_desk import PEOPLE_ORDERS
from broker.store.location import StoreLocation
from broker.web.control import find_control


def ask_about_people(store: StoreLocation, order: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """What came of an order of :data:`broker.people_desk.PEOPLE_ORDERS`. Where no service runs the
    store is made if it is not there: people can be added before the first start."""
    control = find_control(store.folder)
    if control is not None:
        return ask_service(control, order, json.dumps(dict(told)).encode())
    with changing(store) as connection:
        return PEOPLE_ORDERS[order](connection, told, datetime.now(UTC))


def people_asker(given: str | None) -> str:
    """Who asks at the command line, as the audit trail names them: never a login of the console."""
    return f"cli:{given or getpass.getuser()}"
