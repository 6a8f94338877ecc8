"""The templates are translated soon after the start, so that nobody waits for it at a page's first
showing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from broker.web.console.rendering import environment

_AFTER_SECONDS = 3.0
"""First the service's own work after a start, above all its alarms."""
_PAUSE_SECONDS = 0.5
"""Half a minute for all: a service that starts has a backlog to take and to send."""


async def warm_templates(_: web.Application) -> AsyncIterator[None]:
    """A context of the application (``cleanup_ctx``): one template after the other, off the event
    loop, with pauses for those who ask meanwhile."""
    task = asyncio.create_task(_translate())
    yield
    task.cancel()
    # A template with a fault says so where it is shown.
    await asyncio.gather(task, return_exceptions=True)


async def _translate() -> None:
    await asyncio.sleep(_AFTER_SECONDS)
    made = environment()
    for name in made.list_templates():
        await asyncio.to_thread(made.get_template, name)
        await asyncio.sleep(_PAUSE_SECONDS)
