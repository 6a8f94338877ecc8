"""What all tests share: how a missing part of the machine is told."""

from __future__ import annotations

import os
from typing import Protocol

import pytest


class Require(Protocol):
    def __call__(self, condition: object, reason: str) -> None: ...


@pytest.fixture(scope="session")
def require() -> Require:
    """``require(condition, reason)``: without ``condition`` the test is skipped with the reason,
    and fails where ``CI`` is ``true``, so that no proof is left out unseen."""

    def check(condition: object, reason: str) -> None:
        if condition:
            return
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing in CI: {reason}")
        pytest.skip(reason)

    return check
