"""Templates are translated before anybody asks for them, and a fault in one stops nothing."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from jinja2 import DictLoader, Environment

from broker.web.console import template_warming
from broker.web.console.rendering import environment
from broker.web.console.template_warming import warm_templates


def use(made: Environment, monkeypatch: pytest.MonkeyPatch, after: float = 0.0) -> web.AppRunner:
    """An application that warms the templates of ``made``, ``after`` seconds from its start."""
    monkeypatch.setattr(template_warming, "environment", lambda: made)
    monkeypatch.setattr(template_warming, "_AFTER_SECONDS", after)
    monkeypatch.setattr(template_warming, "_PAUSE_SECONDS", 0.0)
    application = web.Application()
    application.cleanup_ctx.append(warm_templates)
    return web.AppRunner(application)


async def test_every_template_is_translated_after_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = environment.__wrapped__()
    runner = use(made, monkeypatch)
    await runner.setup()
    (task,) = asyncio.all_tasks() - {asyncio.current_task()}
    await task
    assert made.cache is not None
    assert {name for _, name in made.cache} == set(made.list_templates())
    await runner.cleanup()


async def test_a_service_stops_while_its_templates_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    made = environment.__wrapped__()
    runner = use(made, monkeypatch, after=3600.0)
    await runner.setup()
    await runner.cleanup()
    assert not made.cache
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_template_with_a_fault_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = use(Environment(loader=DictLoader({"a.html": "{% if"})), monkeypatch)  # noqa: S701
    await runner.setup()
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    await runner.cleanup()
