"""What ``labbroker doctor`` says of who can come in at the console."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from broker.bootstrap.people_orders import FIRST_SIGN_IN
from broker.cli.outcome import Outcome, ok, warn
from broker.config.settings import Settings


def check_access(settings: Settings) -> Iterator[Outcome]:
    """Whether the first sign-in is still to be done, and whether others could sign in at all."""
    if not settings.http.enabled:
        return
    path = settings.data_dir / FIRST_SIGN_IN
    if path.exists():
        yield warn(
            "first sign-in",
            ("Nobody has signed in yet.", "尚無人登入。"),
            (
                f"Open /sign-in with the login and the code in {path}.",
                f"請以 {path} 中的帳號與代碼開啟 /sign-in。",
            ),
        )
    encrypted = settings.http.tls is not None or settings.access.behind_tls
    if encrypted or _is_loopback(settings.http.host):
        yield ok("console", ("People can sign in.", "可登入。"))
        return
    yield warn(
        "console",
        (
            "The HTTP door is open to other machines without TLS: nobody can sign in from there.",
            "HTTP 連接埠未加密：其他電腦無法登入。",
        ),
        (
            "Set tls_certificate and tls_key of [http], or behind_tls of [access].",
            "請在 [http] 設定 tls_certificate 與 tls_key，或設定 [access] behind_tls。",
        ),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
