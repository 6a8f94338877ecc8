"""The reference page names every option, route, fault and refusal of the stand-in gateway."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from broker.sandbox.faults import GatewayFault
from broker.sandbox.serve import add_arguments
from broker.sandbox.settings import DOCUMENTED_PASSWORD

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "sandbox.md").read_text(encoding="utf-8")
SOURCES = "".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "broker" / "sandbox").glob("*.py")
)


def test_every_fault_is_named() -> None:
    assert [fault for fault in GatewayFault if f"`{fault}`" not in PAGE] == []


def test_every_option_is_named_and_no_other() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r"`(--[a-z-]+)`", PAGE)) == options


def test_every_refusal_is_named() -> None:
    codes = set(re.findall(r'Refused\(\s*"([a-z0-9-]+)"', SOURCES))
    assert codes
    assert [code for code in codes if f"`{code}`" not in PAGE] == []


def test_every_route_and_the_made_up_password_are_named() -> None:
    for route in re.findall(r'web\.(?:get|post)\("/([a-z]+)', SOURCES):
        assert f"/{route}" in PAGE
    assert DOCUMENTED_PASSWORD in PAGE
