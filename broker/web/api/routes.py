"""The one table of the API, its routes and its document."""

from __future__ import annotations

import re

from aiohttp import web

from broker.cli.version import installed_version
from broker.web.api import (
    audit,
    codes,
    critical,
    deliveries,
    entry,
    events,
    inbox,
    month_rates,
    nhi_files,
    people,
    rate_details,
    records,
    setup,
    sources,
    today,
    uploads,
    worklist,
)
from broker.web.api.answering import handler_of, problems
from broker.web.api.delivery_desk import DELIVERY, DeliveryDesk
from broker.web.api.live_views import LIVE, LiveViews
from broker.web.api.openapi import BASE, openapi_document
from broker.web.api.operation import Answer, Call, Operation
from broker.web.console.desk import DESK
from broker.web.entrance import ACCESS
from broker.web.identity import Guard


async def _document(call: Call) -> Answer:
    return openapi_document(OPERATIONS, installed_version())


OPERATIONS: tuple[Operation, ...] = (
    *today.OPERATIONS,
    *records.OPERATIONS,
    *worklist.OPERATIONS,
    *entry.OPERATIONS,
    *inbox.OPERATIONS,
    *deliveries.OPERATIONS,
    *critical.OPERATIONS,
    *uploads.OPERATIONS,
    *month_rates.OPERATIONS,
    *rate_details.OPERATIONS,
    *nhi_files.OPERATIONS,
    *sources.OPERATIONS,
    *codes.OPERATIONS,
    *setup.OPERATIONS,
    *people.OPERATIONS,
    *audit.OPERATIONS,
    *events.OPERATIONS,
    Operation("GET", "/openapi.json", "describe", "This document", Guard.ANYBODY, _document),
)
"""All that the API does."""


def install_api(application: web.Application, delivery: DeliveryDesk) -> None:
    """Add the API to an application that has its access guard and the console's desk."""
    application[DELIVERY] = delivery
    application[LIVE] = live = LiveViews(application[DESK], application[ACCESS])

    async def end_views(_: web.Application) -> None:
        live.end_all()

    application.on_shutdown.append(end_views)
    # Outermost, so that what is said before a handler is found has the same shape.
    application.middlewares.insert(0, problems)
    application.add_routes([_route(each) for each in OPERATIONS])


def _route(operation: Operation) -> web.RouteDef:
    path = re.sub(r"\{(\w+)\}", lambda found: _part(operation, found[1]), operation.path)
    return web.route(operation.method, BASE + path, handler_of(operation))


def _part(operation: Operation, name: str) -> str:
    whole = operation.path_parts[name].get("type") == "integer"
    return f"{{{name}:[0-9]{{1,12}}}}" if whole else f"{{{name}:[^/]{{1,100}}}}"
