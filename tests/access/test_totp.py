"""Codes of authenticator apps, beside the test vectors of RFC 6238, appendix B."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from broker.access.totp import (
    code_at,
    matching_step,
    new_secret,
    otpauth_uri,
    qr_svg,
    step_at,
)

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    assert code_at(RFC_SECRET, seconds // 30) == code[2:], "the RFC shows eight digits, apps six"


def test_a_code_of_the_step_before_or_after_is_taken_and_no_other() -> None:
    secret, step = new_secret(), step_at(NOW)
    for drift in (-1, 0, 1):
        assert matching_step(secret, code_at(secret, step + drift), NOW, 0) == step + drift
    for drift in (-2, 2):
        assert matching_step(secret, code_at(secret, step + drift), NOW, 0) is None


def test_no_code_is_taken_twice() -> None:
    secret, step = new_secret(), step_at(NOW)
    code = code_at(secret, step)
    assert matching_step(secret, code, NOW, after=step) is None
    assert matching_step(secret, code_at(secret, step - 1), NOW, after=step) is None
    later = NOW + timedelta(seconds=30)
    assert matching_step(secret, code_at(secret, step + 1), later, after=step) == step + 1


@pytest.mark.parametrize("typed", ["", "12345", "abcdef", "１２３４５６", "\ud800"])
def test_what_is_no_code_opens_nothing(typed: str) -> None:
    assert matching_step(RFC_SECRET, typed, NOW, 0) is None


def test_spaces_that_an_app_shows_do_not_matter() -> None:
    code = code_at(RFC_SECRET, step_at(NOW))
    assert matching_step(RFC_SECRET, f"{code[:3]} {code[3:]}", NOW, 0) == step_at(NOW)


def test_the_picture_is_svg_without_style_or_script() -> None:
    uri = otpauth_uri(new_secret(), "lab-1")
    picture = etree.fromstring(qr_svg(uri).encode())
    names = {etree.QName(each).localname for each in picture.iter()}
    assert names <= {"svg", "path", "g"}
    assert not any("style" in each.attrib for each in picture.iter())
