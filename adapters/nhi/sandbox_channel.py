"""The channel to the stand-in gateway: HTTP, with a login by signature.

What may be concluded from a fault is decided in one place for each operation. A package counts as
not delivered only when no byte of it can have been taken: the login failed, the connection was
refused, name or TLS failed, nothing of the body was asked for, or the gateway itself says in its
own words that it took nothing.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import aiohttp

from adapters.nhi.package_body import PackageBody
from adapters.ports.channel import (
    Arrival,
    ChannelReceipt,
    CredentialUnusable,
    NotDelivered,
    OutcomeUnknown,
    QueryAnswer,
    RefusedByGateway,
    SealedPackage,
)
from adapters.ports.credential import Credential
from mapping.errors import LabbrokerError

_RECEIPT_NUMBER = re.compile(r"[0-9]{13}")
_MOST_JSON = 65_536
_MOST_REPORT = 50_000_000
_REFUSALS = {
    "27": "27 流水號重覆",
    "file-name": "檔名不符 (file name)",
    "institution": "醫事機構代碼不符 (institution)",
    "upload-date": "上傳日期僅限當天或前一天 (upload date)",
    "archive": "壓縮檔內容不符 (archive)",
    "too-large": "檔案過大 (too large)",
    "receipt": "查無收件序號 (receipt number)",
    "expired": "檢核報告已逾14天 (report expired)",
}
_TRANSPORT = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    media: str
    raw: bytes

    def fields(self) -> Mapping[str, Any]:
        """The JSON object, or an empty one."""
        if self.media != "application/json":
            return {}
        try:
            fields = json.loads(self.raw)
        except (ValueError, RecursionError):
            return {}
        return fields if isinstance(fields, dict) else {}

    def refusal(self) -> str:
        """The gateway's code when it says itself that it took nothing, else ``""``."""
        fields = self.fields()
        code = fields.get("code")
        return code if fields.get("taken") is False and isinstance(code, str) else ""


class SandboxChannel:
    """Implements ``adapters.ports.channel.SubmissionChannel``; close it, or use ``async with``.

    ``submit`` raises ``NotDelivered`` (or ``CredentialUnusable``), ``RefusedByGateway`` or
    ``OutcomeUnknown``. ``query`` raises ``OutcomeUnknown`` alone, also when the gateway is not
    reached, so that a failed question is never taken for proof. ``fetch_verdict`` raises
    ``NotDelivered`` when it shall be tried later and ``RefusedByGateway`` when the report is gone.
    ``timeout`` is in seconds, for one request.
    """

    name = "sandbox"

    def __init__(
        self, base_url: str, timeout: float = 60.0, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._base = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(timeout, 10.0))
        self._ssl: ssl.SSLContext | bool = True if ssl_context is None else ssl_context
        self._session: aiohttp.ClientSession | None = None
        self._tokens: dict[str, str] = {}

    async def __aenter__(self) -> SandboxChannel:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; logins are forgotten."""
        self._tokens.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def submit(self, package: SealedPackage, credential: Credential) -> ChannelReceipt:
        """Send the frozen bytes once; a second try follows only a session that had ended."""
        answer = await self._send(package, await self._token(package, credential))
        if answer.status == 401 and answer.refusal() == "session":
            self._tokens.pop(package.institution_code, None)
            answer = await self._send(package, await self._token(package, credential))
        if answer.status == 201:
            return _receipt(answer.fields(), package, answer.raw)
        code = answer.refusal()
        if code and answer.status == 503:
            raise NotDelivered(reason=f"the gateway says {_said(code)}")
        if code == "session":
            raise CredentialUnusable(
                institution=package.institution_code, reason="the gateway ended the session"
            )
        if code == "27":
            return _repeated(answer, package)
        if code and 400 <= answer.status < 500:
            raise RefusedByGateway(reason=_said(code), gateway_code=code)
        raise OutcomeUnknown(reason=f"an answer with status {answer.status} that is no receipt")

    async def query(self, package: SealedPackage, credential: Credential) -> QueryAnswer:
        """Ask by file name and checksum. Raises ``OutcomeUnknown`` when that cannot be told."""
        path = f"/packages/{package.stem}.zip?sha256={package.sha256}"
        try:
            answer = await self._get(path, package, credential, _MOST_JSON)
        except NotDelivered as error:
            raise OutcomeUnknown(reason=f"the query failed: {error.code}") from error
        fields = answer.fields()
        state = fields.get("state")
        if answer.status == 200 and state in ("absent", "pending"):
            return QueryAnswer(Arrival(state))
        if answer.status == 200 and state == "arrived":
            return QueryAnswer(Arrival.ARRIVED, _receipt(fields, package, answer.raw))
        if answer.status == 200 and state == "other-bytes":
            raise OutcomeUnknown(reason="the gateway holds other bytes under this file name")
        raise OutcomeUnknown(reason=f"the query was answered with status {answer.status}")

    async def fetch_verdict(
        self, package: SealedPackage, receipt: ChannelReceipt, credential: Credential
    ) -> bytes | None:
        """The ZIP of the check report, or None while the gateway is still checking."""
        if not _RECEIPT_NUMBER.fullmatch(receipt.receipt_number):
            raise RefusedByGateway(reason=_said("receipt"), gateway_code="receipt")
        path = f"/packages/{receipt.receipt_number}/report"
        answer = await self._get(path, package, credential, _MOST_REPORT)
        if answer.status == 202 and answer.fields().get("state") == "checking":
            return None
        if answer.status == 200 and answer.media == "application/zip":
            return answer.raw
        code = answer.refusal()
        if code and answer.status in (404, 410):
            raise RefusedByGateway(reason=_said(code), gateway_code=code)
        raise NotDelivered(reason=f"the report was answered with status {answer.status}")

    async def _send(self, package: SealedPackage, token: str) -> _Answer:
        body = PackageBody(package.raw_zip)
        try:
            return await self._request(
                "POST",
                f"/packages?name={package.stem}.zip",
                _MOST_JSON,
                headers={"Authorization": f"Bearer {token}"},
                data=body,
            )
        except _TRANSPORT as error:
            reason = type(error).__name__
            if isinstance(error, aiohttp.ClientConnectorError) or not body.started:
                raise NotDelivered(reason=reason) from error
            raise OutcomeUnknown(reason=reason) from error

    async def _get(
        self, path: str, package: SealedPackage, credential: Credential, most: int
    ) -> _Answer:
        """Raises ``NotDelivered`` when there is no whole answer."""
        for attempt in (1, 2):
            token = await self._token(package, credential)
            with _not_reached():
                answer = await self._request(
                    "GET", path, most, headers={"Authorization": f"Bearer {token}"}
                )
            if answer.status != 401 or answer.refusal() != "session" or attempt == 2:
                break
            self._tokens.pop(package.institution_code, None)
        return answer

    async def _token(self, package: SealedPackage, credential: Credential) -> str:
        """Log in when there is no session. Raises ``NotDelivered`` or ``CredentialUnusable``."""
        institution = package.institution_code
        known = self._tokens.get(institution)
        if known:
            return known
        with _not_reached():
            asked = await self._request("GET", f"/challenge?institution={institution}", _MOST_JSON)
        nonce = asked.fields().get("nonce")
        if asked.status != 200 or not isinstance(nonce, str):
            raise _login_failed(asked, institution)
        try:
            certificate, signature = await asyncio.to_thread(_sign, credential, nonce, institution)
        except CredentialUnusable:
            raise
        except LabbrokerError as error:
            raise CredentialUnusable(institution=institution, reason=error.code) from error
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            reason = type(error).__name__
            raise CredentialUnusable(institution=institution, reason=reason) from error
        with _not_reached():
            answer = await self._request(
                "POST",
                "/login",
                _MOST_JSON,
                json={
                    "institution": institution,
                    "nonce": nonce,
                    "certificate": certificate,
                    "signature": base64.b64encode(signature).decode("ascii"),
                },
            )
        token = answer.fields().get("token")
        if answer.status != 200 or not isinstance(token, str):
            raise _login_failed(answer, institution)
        self._tokens[institution] = token
        return token

    async def _request(self, method: str, path: str, most: int, **options: Any) -> _Answer:
        if self._session is None:
            # A kept connection may be dead already, which looks like a lost answer.
            connector = aiohttp.TCPConnector(force_close=True, ssl=self._ssl)
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        async with self._session.request(
            method, self._base + path, allow_redirects=False, **options
        ) as response:
            raw = bytearray()
            async for chunk in response.content.iter_any():
                raw += chunk
                if len(raw) > most:
                    raise ValueError("the answer is too long")
            return _Answer(response.status, response.content_type, bytes(raw))


@contextlib.contextmanager
def _not_reached() -> Iterator[None]:
    try:
        yield
    except _TRANSPORT as error:
        raise NotDelivered(reason=type(error).__name__) from error


def _sign(credential: Credential, nonce: str, institution: str) -> tuple[str, bytes]:
    if credential.institution_code != institution:
        raise CredentialUnusable(institution=institution, reason="it is another institution's")
    return credential.certificate.decode("ascii"), credential.sign(nonce.encode("utf-8"))


def _login_failed(answer: _Answer, institution: str) -> NotDelivered:
    if answer.refusal() == "login":
        return CredentialUnusable(institution=institution, reason="the gateway refused the login")
    return NotDelivered(reason=f"the login was answered with status {answer.status}")


def _said(code: str) -> str:
    """Our own words for the gateway's code; its text is not repeated."""
    return _REFUSALS.get(code, "another reason")


def _receipt(fields: Mapping[str, Any], package: SealedPackage, raw: bytes) -> ChannelReceipt:
    """A receipt that names this file with these bytes. Raises ``OutcomeUnknown``."""
    number, moment = fields.get("receipt_number"), fields.get("confirmed_at")
    if (
        fields.get("name") != f"{package.stem}.zip"
        or fields.get("sha256") != package.sha256
        or not isinstance(number, str)
        or not _RECEIPT_NUMBER.fullmatch(number)
        or not isinstance(moment, str)
    ):
        raise OutcomeUnknown(reason="the receipt is incomplete or names another file")
    try:
        confirmed_at = datetime.fromisoformat(moment)
    except ValueError:
        raise OutcomeUnknown(reason="the receipt has no valid time") from None
    if confirmed_at.tzinfo is None:
        raise OutcomeUnknown(reason="the receipt has no valid time")
    return ChannelReceipt(number, confirmed_at.astimezone(UTC), raw)


def _repeated(answer: _Answer, package: SealedPackage) -> ChannelReceipt:
    """The gateway took this file name before. With the same bytes that is the lost receipt."""
    held = answer.fields().get("sha256")
    if held == package.sha256:
        return _receipt(answer.fields(), package, answer.raw)
    if isinstance(held, str):
        raise RefusedByGateway(reason=_said("27"), gateway_code="27")
    raise OutcomeUnknown(reason=f"{_said('27')}, and nothing tells with which bytes")
