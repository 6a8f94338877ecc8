"""One broker with a console, and one browser, for the tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import Require
from tests.console.running_console import RunningConsole, running_console

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(require: Require) -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    require(chromium, "Chromium is not installed (tests/system_parts.sh installs it)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe(require: Require) -> str:
    """The source of axe-core."""
    file = Path(__file__).parents[1] / "node_clients" / "node_modules" / "axe-core" / "axe.min.js"
    require(file.exists(), "axe-core is not installed (tests/system_parts.sh installs it)")
    return file.read_text("utf-8")


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Kept for people: var/ is not committed."""
    folder = Path(__file__).parents[2] / "var" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
