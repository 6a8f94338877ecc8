"""What ``labbroker doctor`` looks at in the settings: folders, credentials, agreements, channel."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from adapters.ports.credential import Credential, CredentialKind
from broker.bootstrap.lists import LoadedLists
from broker.cli.convert_report import not_checked_here
from broker.cli.outcome import Outcome, fail, failed_by, ok, warn
from broker.config import Settings
from broker.config.settings import InstitutionSettings
from broker.system_reason import system_reason
from mapping.claim import count_by_month
from mapping.errors import LabbrokerError
from mapping.profile import Route
from mapping.rules import unchecked_codes

_EXPIRY_WARNING = timedelta(days=30)
_AUTHORITY = Path("credentials", "authority", "authority.pem")
_CONNECT_SECONDS = 2.0


def check_folders(settings: Settings) -> Iterator[Outcome]:
    """Each watched folder exists and files in it can be moved."""
    for folder in settings.folders:
        check = f"folder {folder.source_id}"
        if not folder.path.is_dir():
            yield fail(
                check,
                (f"{folder.path} does not exist.", f"{folder.path} 不存在。"),
                (
                    "Create it, with the right to read and move files for the service's user.",
                    "請建立此資料夾，並授予服務帳號讀取與搬移檔案的權限。",
                ),
            )
        elif not os.access(folder.path, os.R_OK | os.W_OK | os.X_OK):
            yield fail(
                check,
                (f"{folder.path} cannot be read and written.", f"{folder.path} 無法讀寫。"),
                (
                    "Give the service's user the right to read and move files there.",
                    "請授予服務帳號讀取與搬移檔案的權限。",
                ),
            )
        else:
            yield ok(check, (f"{folder.path} is watched.", f"{folder.path} 可讀寫。"))


def check_institutions(
    settings: Settings,
    environ: Mapping[str, str],
    load: Callable[[Path], Credential],
    now: datetime | None = None,
) -> Iterator[Outcome]:
    """Each institution's credential can sign and has time left; its password is there."""
    if not settings.institutions:
        yield warn(
            "institutions",
            ("No institution is set up: nothing can be submitted.", "未設定醫事機構：無法上傳。"),
            ("Add an [[institution]] to the settings.", "請在設定檔新增 [[institution]]。"),
        )
    for institution in settings.institutions:
        if institution.credential_kind is CredentialKind.SOFTWARE:
            yield _credential(institution, load, now or datetime.now(UTC))
        if institution.verdict_password is not None:
            check = f"verdict password {institution.code}"
            try:
                institution.verdict_password.read(environ)
                yield ok(check, ("It can be read.", "可讀取。"))
            except LabbrokerError as error:
                yield failed_by(check, error)


def check_agreements(settings: Settings) -> Iterator[Outcome]:
    """Who uploads by an agreement must be an institution that we can submit for."""
    known = {institution.code for institution in settings.institutions}
    for agreement in settings.agreements:
        uploader = agreement.clinic_code if agreement.route is Route.CLINIC else agreement.lab_code
        if uploader not in known:
            yield fail(
                f"agreement {agreement.lab_code} {agreement.clinic_code}",
                (
                    f"{uploader} shall upload, but is no [[institution]] here.",
                    f"約定由 {uploader} 上傳，但未設定該機構。",
                ),
                (
                    "Add the [[institution]], or correct the agreement's route.",
                    "請新增該 [[institution]]，或更正約定的 route。",
                ),
            )


def check_lists(loaded: LoadedLists, today: date) -> Iterator[Outcome]:
    """Each list that the settings name can be read; what is not checked without the others."""
    for problem in loaded.problems:
        yield failed_by("lists", problem)
    unchecked = unchecked_codes(loaded.lists.context(today))
    if unchecked:
        yield warn(
            "lists",
            (not_checked_here(unchecked, "en"), not_checked_here(unchecked, "zh")),
            (
                "Name the files under [lists] in the settings.",
                "請於設定檔 [lists] 指定檔案。",
            ),
        )
    institutions, codes = loaded.lists.institutions, loaded.lists.order_codes
    if institutions is not None:
        count = len(institutions)
        yield ok("list institutions", (f"{count:,} institutions.", f"{count:,} 家機構。"))
    if codes is not None:
        yield ok("list order codes", (f"{len(codes):,} codes.", f"{len(codes):,} 項。"))
    for (institution_code, month), count in sorted(count_by_month(loaded.claim_lines).items()):
        yield ok(f"claim {institution_code} {month}", (f"{count:,} lines.", f"{count:,} 筆醫令。"))


def check_channel(settings: Settings, online: bool) -> Outcome:
    """The stand-in gateway answers on TCP. Any other host is asked only with ``online``."""
    url = urlsplit(settings.sandbox_channel.base_url)
    try:
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        host, port = "", 0
    if url.scheme not in ("http", "https") or not host:
        return fail(
            "channel",
            ("channel.sandbox.base_url is no URL.", "channel.sandbox.base_url 不是網址。"),
            ("Set it like http://127.0.0.1:8091.", "請設為如 http://127.0.0.1:8091。"),
        )
    if not (_is_loopback(host) or online):
        return ok(
            "channel", (f"{host} was not tried (--online tries).", f"未連線 {host}（--online）。")
        )
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return ok("channel", (f"{host}:{port} answers.", f"{host}:{port} 可連線。"))
    except OSError as error:
        said, said_zh = system_reason(error)
        data, trust = settings.data_dir / "gateway", settings.data_dir / _AUTHORITY
        start = f"labbroker sandbox --port {port} --data {data} --trust {trust}"
        return warn(
            "channel",
            (f"{host}:{port} does not answer ({said}).", f"{host}:{port} 無法連線（{said_zh}）。"),
            (
                f"Start the stand-in gateway with `{start}`.",
                f"請以 `{start}` 啟動模擬閘道。",
            ),
        )


def _credential(
    institution: InstitutionSettings, load: Callable[[Path], Credential], now: datetime
) -> Outcome:
    check = f"credential {institution.code}"
    try:
        credential = load(institution.credential_folder)
        certificate = x509.load_pem_x509_certificate(credential.certificate)
    except LabbrokerError as error:
        return failed_by(check, error)
    except (OSError, ValueError) as error:
        return fail(
            check,
            (
                f"The credential in {institution.credential_folder} cannot be read "
                f"({type(error).__name__}).",
                f"無法讀取 {institution.credential_folder} 的憑證（{type(error).__name__}）。",
            ),
            ("Put the credential there.", "請將憑證放置於該處。"),
        )
    if credential.institution_code != institution.code:
        return fail(
            check,
            (
                f"The credential belongs to {credential.institution_code}.",
                f"此憑證屬於 {credential.institution_code}。",
            ),
            ("Name the right credential_folder.", "請設定正確的 credential_folder。"),
        )
    left = certificate.not_valid_after_utc - now
    until = certificate.not_valid_after_utc.date()
    then = ("Renew the credential.", "請更新憑證。")
    if left <= timedelta(0) or now < certificate.not_valid_before_utc:
        said = (f"The credential is not valid now (until {until}).", f"憑證已失效（至 {until}）。")
        return fail(check, said, then)
    if left < _EXPIRY_WARNING:
        return warn(
            check,
            (f"The credential ends on {until}.", f"憑證將於 {until} 到期。"),
            then,
        )
    return ok(
        check,
        (
            f"{credential.kind} credential, valid until {until}.",
            f"憑證（{credential.kind}）有效至 {until}。",
        ),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
