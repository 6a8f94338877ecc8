"""Asks the running service of a data folder through its control door."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp

from broker.store.engine import StoreBusy
from broker.web.control import ControlAddress
from mapping.errors import LabbrokerError, Language

_PATIENCE = aiohttp.ClientTimeout(total=600)


class ServiceRefused(LabbrokerError):
    """The running service said no; its own code and texts are passed on."""

    code = "service-refused"
    en = ("{en_sentence}", "{en_remedy}")
    zh = ("{zh_sentence}", "{zh_remedy}")

    def __init__(self, told: Mapping[str, Any]) -> None:
        texts: dict[str, object] = {}
        languages: tuple[Language, ...] = ("en", "zh")
        for language in languages:
            sentence, remedy = told[language]
            texts |= {f"{language}_sentence": sentence, f"{language}_remedy": remedy}
        self.told_code = str(told["code"])
        super().__init__(**texts)


def ask_service(
    control: ControlAddress, order: str, body: bytes, query: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What the service answers to an order. Raises :class:`ServiceRefused`, or ``StoreBusy`` where
    it does not answer."""
    return asyncio.run(_ask(control, order, body, query or {}))


async def _ask(
    control: ControlAddress, order: str, body: bytes, query: Mapping[str, str]
) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {control.token}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as session,
            session.post(control.url(order), headers=headers, params=query, data=body) as answer,
        ):
            if answer.status == 409:
                raise ServiceRefused(await answer.json())
            if answer.status != 200:
                raise StoreBusy(folder=f"(answered {answer.status})")
            told: dict[str, Any] = await answer.json()
            return told
    except (aiohttp.ClientError, TimeoutError) as error:
        raise StoreBusy(folder="(not answering)") from error
