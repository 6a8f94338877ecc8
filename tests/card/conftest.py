"""The token that all tests of cards share: a library is loaded once in a process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.x509.oid import NameOID

from broker.demo.virtual_reader import VirtualReader
from mapping.errors import LabbrokerError
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


@pytest.fixture(scope="session", autouse=True)
def reader_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PC/SC's library asks once in a process where its daemon listens."""
    folder = tmp_path_factory.mktemp("pcsc")
    os.environ["PCSCLITE_CSOCK_NAME"] = str(folder / "pcscd.comm")
    return folder


@pytest.fixture
def virtual_reader(reader_folder: Path, require: Require) -> Iterator[VirtualReader]:
    try:
        reader = VirtualReader(reader_folder)
        reader.start()
    except LabbrokerError as error:
        require(False, f"{error.sentence()} {error.remedy()}")
        raise
    yield reader
    reader.stop()
