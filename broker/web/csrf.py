"""Against requests that another site makes in a person's name (ASVS 5.0, 3.5.1-3.5.3).

A request that changes something must come from our own pages, as the browser itself says, and
where there is a session it must carry the session's own token, in the form field ``csrf`` or in
the header ``X-CSRF-Token``.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from aiohttp import web

FIELD = "csrf"
HEADER = "X-CSRF-Token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


def token_for(session_token: str) -> str:
    """The token of a session, made from the session's so that nothing more need be kept."""
    return hmac.new(session_token.encode(), b"csrf", hashlib.sha256).hexdigest()


def changes_something(request: web.Request) -> bool:
    """Whether the method is one that must be guarded."""
    return request.method not in _SAFE


def is_from_elsewhere(request: web.Request) -> bool:
    """Whether the browser says that the request was made by a page of another site."""
    fetched = request.headers.get("Sec-Fetch-Site")
    if fetched is not None:
        return fetched not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host


async def carries_token(request: web.Request, session_token: str) -> bool:
    """Whether the request holds the session's token. Reads a form, never another body."""
    given = request.headers.get(HEADER, "")
    if not given and request.content_type in _FORMS:
        field = (await request.post()).get(FIELD, "")
        given = field if isinstance(field, str) else ""
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), token_for(session_token).encode()
    )
