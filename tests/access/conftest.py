"""What every test of signing in stands on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.config.access_section import AccessSettings
from tests.access.sign_in_stage import Stage, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A console that a browser on this machine asks."""
    async for each in staged(tmp_path, AccessSettings()):
        yield each


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[Stage]:
    """A console that browsers elsewhere ask, behind TLS."""
    async for each in staged(tmp_path, AccessSettings(behind_tls=True)):
        yield each
