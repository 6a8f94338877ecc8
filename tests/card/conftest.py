"""The token that all tests of cards share: a library is loaded once in a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.x509.oid import NameOID

from tests.card.soft_token import (
    CLINIC,
    ELLIPTIC,
    NAMELESS,
    CountingToken,
    counting_token,
    entry,
    institution,
)
from tests.conftest import Require


@pytest.fixture(scope="session")
def made_token(tmp_path_factory: pytest.TempPathFactory, require: Require) -> CountingToken:
    return counting_token(
        tmp_path_factory.mktemp("token"),
        require,
        entry(institution(CLINIC)),
        entry(institution(CLINIC), encrypts=True, elliptic=True),
        entry(institution(ELLIPTIC), elliptic=True),
        entry({NameOID.COMMON_NAME: NAMELESS}, elliptic=True),
    )


@pytest.fixture
def card(made_token: CountingToken) -> Iterator[CountingToken]:
    made_token.clear()
    yield made_token
    made_token.clear()
