"""What every answer tells the browser: load nothing from outside, frame nothing, keep nothing.

Sources: OWASP ASVS 5.0, 3.4.1-3.4.6 and 14.3.2.
"""

from __future__ import annotations

from aiohttp import web

from broker.web.entrance import is_encrypted

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS: tuple[tuple[str, str], ...] = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # The path of a page names a record: it is told to no other site, and not to ourselves.
    ("Referrer-Policy", "no-referrer"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    # A handler may say otherwise, as the one of the static files does.
    ("Cache-Control", "no-store"),
)
_STRICT_TRANSPORT = ("Strict-Transport-Security", "max-age=31536000")


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For ``on_response_prepare``; what a handler has set itself stays."""
    for name, value in HEADERS:
        response.headers.setdefault(name, value)
    if is_encrypted(request):
        response.headers.setdefault(*_STRICT_TRANSPORT)
    if "Server" in response.headers:
        del response.headers["Server"]
