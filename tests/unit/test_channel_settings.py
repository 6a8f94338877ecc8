"""The settings of the channels: what goes together, and what the portal adds."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.ports.credential import CredentialKind
from broker.bootstrap.channels import passwords_of
from broker.config import Settings, load_settings
from broker.config.channels import PORTAL_SOURCE
from broker.config.problems import InvalidSettings

CODE = "3501234567"


def load(folder: Path, text: str) -> Settings:
    file = folder / "labbroker.toml"
    file.write_text(text, "utf-8")
    return load_settings(file, {})


def institution(channel: str, credential: str) -> str:
    return f'[[institution]]\ncode = "{CODE}"\nchannel = "{channel}"\ncredential = "{credential}"\n'


@pytest.mark.parametrize(
    ("channel", "credential", "wanted"),
    [
        ("eii", "software", "sam"),
        ("portal", "software", "person"),
        ("sandbox", "sam", "software"),
        ("portal", "sam", "person"),
    ],
)
def test_a_credential_that_does_not_sign_for_the_channel_stops_the_start(
    tmp_path: Path, channel: str, credential: str, wanted: str
) -> None:
    eii = '[channel.eii]\nlibrary = "a.dll"\nreader_library = "b.dll"\n'
    with pytest.raises(InvalidSettings) as refused:
        load(tmp_path, institution(channel, credential) + eii)
    (problem,) = refused.value.problems
    assert wanted in problem.sentence("en")
    assert "line 1" in problem.sentence("en")


def test_the_library_must_be_named_where_an_institution_uses_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings) as refused:
        load(tmp_path, institution("eii", "sam"))
    said = [problem.sentence("en") for problem in refused.value.problems]
    assert len(said) == 2
    assert "needs library" in said[0]
    assert "needs reader_library" in said[1]


def test_the_results_folder_of_the_portal_is_watched_for_check_reports_alone(
    tmp_path: Path,
) -> None:
    text = institution("portal", "person") + '[channel.portal]\nfolder = "upload"\n'
    settings = load(tmp_path, text)
    (folder,) = settings.folders
    (source,) = settings.sources
    assert folder.path == tmp_path / "upload" / "results"
    assert folder.source_id == source.source_id == PORTAL_SOURCE
    assert source.check_reports
    assert not source.token_hashes
    assert settings.institutions[0].credential_kind is CredentialKind.PERSON


def test_without_the_portal_nothing_is_watched(tmp_path: Path) -> None:
    settings = load(tmp_path, institution("sandbox", "software"))
    assert (settings.folders, settings.sources) == ((), ())


def test_the_source_of_the_portal_is_nobody_elses(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings):
        load(tmp_path, f'[[source]]\nid = "{PORTAL_SOURCE}"\n')


def test_check_reports_are_opened_with_both_rules_of_passwords() -> None:
    assert passwords_of(CODE, "a123456789") == (
        "a123456789",
        "A123456789",
        f"{CODE}_A123456789",
    )
    assert passwords_of(CODE, "") == ("",)
