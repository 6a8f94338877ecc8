"""Errors of the API in one shape: ``application/problem+json`` (RFC 9457).

Members: ``type`` (``urn:labbroker:problem:<code>``), ``title``, ``status``, ``code``; ``detail``
where there is more to say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from aiohttp import web

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def problem(
    status: int,
    code: str,
    title: str,
    detail: str = "",
    *,
    more: Mapping[str, Any] = _NOTHING,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """``more`` are further members; ``title`` and ``detail`` never hold patient data."""
    body: dict[str, Any] = {
        "type": f"urn:labbroker:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
    }
    if detail:
        body["detail"] = detail
    return web.Response(
        status=status,
        text=json.dumps(body | dict(more), ensure_ascii=False) + "\n",
        content_type="application/problem+json",
        headers=headers,
    )
