"""Third-party bad inputs at the folder door: an answer for each, never another exception."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.folder.formats.csv_results import read_csv
from adapters.folder.formats.ending import ends_whole
from adapters.folder.formats.ic_card import read_ic_card
from adapters.folder.formats.identify import identify
from adapters.folder.formats.nhi_upload import read_nhi_xml, read_nhi_zip
from adapters.folder.formats.table_files import read_dbf, read_fixed, read_xls, read_xlsx
from adapters.ports.intake import Media
from broker.bootstrap.readers import READERS as ALL_READERS
from mapping.errors import LabbrokerError, Language
from mapping.file_profile import FileProfile, TableFormat
from mapping.parsed import Content, ParsedPayload
from mapping.profile import CsvLayout, SourceProfile
from tests.conftest import Require, Tell

READERS: tuple[Callable[[bytes, SourceProfile], ParsedPayload], ...] = (
    read_csv,
    read_ic_card,
    read_nhi_xml,
    read_nhi_zip,
    read_xlsx,
    read_xls,
    read_dbf,
    read_fixed,
)
PROFILES = (
    SourceProfile("lab"),
    SourceProfile("lab", charset="big5", csv=CsvLayout(encoding="big5", delimiter="\t")),
    SourceProfile(
        "lab",
        file=FileProfile(
            TableFormat.FIXED,
            "big5",
            header_row=0,
            columns={"national_id": ("1-10",), "item_code": ("11-20",), "value": ("21-30",)},
            only_named=True,
        ),
    ),
)
LANGUAGES: tuple[Language, ...] = ("en", "zh")
_LONGEST_SECONDS = 2.0


@pytest.fixture(scope="module")
def bad_files() -> list[Path]:
    corpus = os.environ.get("LABBROKER_CORPUS", "")
    folder = Path(corpus) / "bad"
    return sorted(path for path in folder.rglob("*") if path.is_file()) if corpus else []


def test_every_bad_file_is_identified_or_refused(bad_files: list[Path], require: Require) -> None:
    require(bad_files, "LABBROKER_CORPUS does not name a folder with bad/")
    for path in bad_files:
        raw = path.read_bytes()
        try:
            assert isinstance(identify(raw, path.name), Media)
        except LabbrokerError as error:
            _check_texts(error)
        for media in Media:
            assert isinstance(ends_whole(raw, media), bool)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_every_bad_file_is_read_or_refused_by(
    reader: Callable[[bytes, SourceProfile], ParsedPayload],
    bad_files: list[Path],
    require: Require,
) -> None:
    require(bad_files, "LABBROKER_CORPUS does not name a folder with bad/")
    for path in bad_files:
        raw = path.read_bytes()
        for profile in PROFILES:
            started = time.process_time()
            try:
                parsed = reader(raw, profile)
            except LabbrokerError as error:
                _check_texts(error)
            else:
                for finding in parsed.findings:
                    assert finding.message("zh"), path
            assert time.process_time() - started < _LONGEST_SECONDS, path


@pytest.mark.slow
def test_every_file_of_the_corpus_that_is_dropped_is_read_or_refused_with_a_reason(
    require: Require, tell: Tell
) -> None:
    """What the folder door and the pipeline behind it make of each, in a table."""
    corpus = os.environ.get("LABBROKER_CORPUS", "")
    files = sorted(path for path in Path(corpus).rglob("*") if path.is_file()) if corpus else []
    require(files, "LABBROKER_CORPUS names no folder of test messages")
    tally: Counter[tuple[str, str]] = Counter()
    for path in files:
        group = path.relative_to(corpus).parts[0]
        tally[group, _outcome(path.read_bytes(), path.name)] += 1
    lines = [f"{group:8}{count:6}  {what}" for (group, what), count in sorted(tally.items())]
    tell("\n".join((*lines, f"{'all':8}{len(files):6}")))
    assert sum(tally.values()) == len(files)


def _outcome(raw: bytes, name: str) -> str:
    if not raw:
        return "refused: file-empty"
    try:
        media = identify(raw, name)
    except LabbrokerError as error:
        _check_texts(error)
        return f"refused: {error.code}"
    try:
        parsed = ALL_READERS[media](raw, PROFILES[0])
    except LabbrokerError as error:
        _check_texts(error)
        return f"{media.value}, failed: {error.code}"
    assert parsed.content is not Content.NOTHING or parsed.findings or media in _WITHOUT_WORDS, name
    return f"{media.value}, {parsed.content.value}"


_WITHOUT_WORDS = frozenset({Media.FHIR_JSON, Media.FHIR_XML, Media.FHIR_NDJSON})
"""A resource that is no result carries none: its type says so."""


def _check_texts(said: LabbrokerError) -> None:
    """Both languages can be formatted with what the error carries."""
    for language in LANGUAGES:
        assert said.sentence(language)
        assert said.remedy(language)
