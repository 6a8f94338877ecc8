"""Machines at the API: a token in ``Authorization: Bearer``, or a client certificate."""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import web

from broker.store.sessions import digest_of_token
from broker.store.tokens import Bearer, digest_of_certificate, find_token, touch_token
from broker.web.entrance import access_of


async def bearer_of(request: web.Request) -> Bearer | None:
    """Who the token or the certificate acts as; None where there is none that holds."""
    digest = bearer_digest(request)
    if digest is None:
        return None
    access = access_of(request)
    now = access.clock()

    def look() -> Bearer | None:
        with access.reader.connect() as connection:
            return find_token(connection, digest, now)

    found = await asyncio.to_thread(look)
    if found is not None and found.is_stale(now):
        await access.write(lambda c: touch_token(c, found.token_id, now))
    return found


def certificate_of(request: web.Request) -> bytes | None:
    """The client certificate (DER) that TLS has verified; None where none was shown."""
    tls = request.get_extra_info("ssl_object")
    return tls.getpeercert(binary_form=True) if isinstance(tls, ssl.SSLObject) else None


def bearer_digest(request: web.Request) -> bytes | None:
    """By what the store knows the token or the certificate; None where neither was shown."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return digest_of_token(token.strip())
    shown = certificate_of(request)
    return None if shown is None else digest_of_certificate(shown)
