"""What ``labbroker doctor`` looks at of cards: parts, readers, certificates, pairing. No PIN is
entered."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from adapters.card.errors import CardPartMissing
from adapters.card.pcsc_readers import PcscReaders, PcscUnavailable
from adapters.card.pkcs11_token import Pkcs11Token
from adapters.ports.card_certificate import CardCertificate
from adapters.ports.card_state import CardCondition
from broker.cli.card_agent import held_cards
from broker.cli.card_words import WARN_DAYS, condition_word, tries_word
from broker.cli.outcome import Outcome, fail, failed_by, ok, warn
from broker.config import Settings
from broker.config.cards import is_safe_address
from mapping.errors import LabbrokerError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def check_cards(
    settings: Settings, environ: Mapping[str, str] = os.environ, now: datetime | None = None
) -> Iterator[Outcome]:
    """Nothing where neither cards nor agents are set up."""
    if settings.agent.secret is not None:
        yield _secret(settings, environ)
    if settings.cards and settings.agent.readers:
        yield _readers()
    for card in held_cards(settings):
        yield _card(card, now or datetime.now(UTC))
    if settings.pairings:
        yield _door(settings)


def _secret(settings: Settings, environ: Mapping[str, str]) -> Outcome:
    assert settings.agent.secret is not None  # noqa: S101 - asked by the caller
    try:
        settings.agent.secret.read(environ)
    except LabbrokerError as error:
        return failed_by("card agent", error)
    places = [url for url in settings.agent.brokers if is_safe_address(url)]
    shown = ", ".join(places) or "-"
    return ok("card agent", (f"Paired with {shown}.", f"配對的服務：{shown}。"))


def _readers() -> Outcome:
    try:
        readers = PcscReaders()
        found = readers.look()
        readers.close()
    except (CardPartMissing, PcscUnavailable) as error:
        told = failed_by("card readers", error)
        return warn(told.check, told.said, told.then)
    if not found:
        return warn(
            "card readers",
            ("No card reader is plugged in.", "未連接讀卡機。"),
            ("Plug one in, or set readers = false under [agent].", "請連接讀卡機，或於 [agent] "
             "設定 readers = false。"),
        )  # fmt: skip
    names = ", ".join(each.name for each in found)
    return ok("card readers", (f"{names}.", f"{names}。"))


def _card(card: Pkcs11Token, now: datetime) -> Outcome:
    check = f"card {card.name}"
    try:
        certificate = CardCertificate.read(card.certificate)
    except LabbrokerError as error:
        told = failed_by(check, error)
        return warn(told.check, told.said, told.then) if error.code == "card-absent" else told
    state = card.look()
    said = (
        f"{state.institution_code or '-'}: {condition_word(state.condition, 'en')}, tries left: "
        f"{tries_word(state.tries, 'en')}, {certificate.environment} card, certificate until "
        f"{certificate.valid_until:%Y-%m-%d}.",
        f"{state.institution_code or '-'}：{condition_word(state.condition, 'zh')}，剩餘次數："
        f"{tries_word(state.tries, 'zh')}，憑證效期至 {certificate.valid_until:%Y-%m-%d}。",
    )
    if not certificate.is_valid(now) or state.condition in (
        CardCondition.BLOCKED,
        CardCondition.FAULT,
    ):
        return fail(check, said, ("See `labbroker cards`.", "請見 `labbroker cards`。"))
    if certificate.days_left(now) <= WARN_DAYS:
        return warn(check, said, ("Renew the card before that day.", "請於到期前換發卡片。"))
    return ok(check, said)


def _door(settings: Settings) -> Outcome:
    http = settings.http
    if http.enabled and (http.tls is not None or http.host in _LOOPBACK):
        names = ", ".join(pairing.agent for pairing in settings.pairings)
        return ok("card agents", (f"{names} may connect.", f"{names} 可連線。"))
    return fail(
        "card agents",
        (
            "Card agents of other machines are refused: the HTTP door is closed or has no TLS.",
            "其他主機的卡片代理程式將被拒絕：HTTP 未開啟或未使用 TLS。",
        ),
        (
            "Set enabled, tls_certificate and tls_key under [http].",
            "請於 [http] 設定 enabled、tls_certificate 與 tls_key。",
        ),
    )
