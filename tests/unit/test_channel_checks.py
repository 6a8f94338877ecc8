"""``labbroker doctor`` on channels: each part that is missing has a next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.cli.channel_checks import check_channels
from broker.cli.outcome import Outcome, Status
from broker.config import load_settings
from tests.conftest import Require
from tests.eii_stand_in import compiled

CODE = "3501234567"


def outcomes(folder: Path, text: str) -> dict[str, Outcome]:
    file = folder / "labbroker.toml"
    file.write_text(text, "utf-8")
    return {outcome.check: outcome for outcome in check_channels(load_settings(file, {}), False)}


def eii(library: Path, more: str = "") -> str:
    return (
        f'[[institution]]\ncode = "{CODE}"\nchannel = "eii"\ncredential = "sam"\n'
        'credential_folder = "sam"\n[channel.eii]\n'
        f'library = "{library}"\nreader_library = "Reader.dll"\n{more}'
    )


def test_a_library_that_is_there_is_loaded_and_nothing_is_called(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, require: Require
) -> None:
    library = compiled(tmp_path_factory.getbasetemp(), require)
    (tmp_path / "Reader.dll").touch()
    (tmp_path / "sam").mkdir()
    (tmp_path / "sam" / f"{CODE}000000000001.SAM").touch()
    found = outcomes(tmp_path, eii(library, 'request_template = "x"\n'))
    assert {outcome.status for outcome in found.values()} == {Status.OK}
    assert set(found) == {"channel eii", f"credential {CODE}"}


def test_what_eii_lacks_is_told_with_what_to_do(tmp_path: Path) -> None:
    found = outcomes(tmp_path, eii(tmp_path / "nowhere.dll"))
    assert found["channel eii"].status is Status.FAIL
    assert found["channel eii reports"].status is Status.WARN
    assert found[f"credential {CODE}"].status is Status.FAIL
    for outcome in found.values():
        assert outcome.next_step("en")
        assert outcome.next_step("zh")


def test_a_file_that_is_no_library_names_the_python_to_set(tmp_path: Path) -> None:
    (tmp_path / "nhi_eiiapi.dll").write_bytes(b"MZ")
    (tmp_path / "Reader.dll").touch()
    found = outcomes(tmp_path, eii(tmp_path / "nhi_eiiapi.dll"))
    assert found["channel eii"].status is Status.FAIL
    assert "channel.eii.python" in found["channel eii"].next_step("en")


def test_a_sam_of_another_institution_fails(tmp_path: Path) -> None:
    (tmp_path / "sam").mkdir()
    (tmp_path / "sam" / "3507654321000000000001.SAM").touch()
    found = outcomes(tmp_path, eii(tmp_path / "nowhere.dll"))
    assert "3507654321" in found[f"credential {CODE}"].message("en")
    assert found[f"credential {CODE}"].status is Status.FAIL


def test_the_folders_of_the_portal_are_looked_at(tmp_path: Path) -> None:
    text = (
        f'[[institution]]\ncode = "{CODE}"\nchannel = "portal"\ncredential = "person"\n'
        '[channel.portal]\nfolder = "upload"\n'
    )
    assert set(outcomes(tmp_path, text)) == {f"channel portal {CODE}", "channel portal results"}
    (tmp_path / "upload" / CODE).mkdir(parents=True)
    found = outcomes(tmp_path, text)
    assert {outcome.status for outcome in found.values()} == {Status.OK}


def test_without_institutions_the_stand_in_gateway_is_looked_for(tmp_path: Path) -> None:
    text = '[channel.sandbox]\nbase_url = "http://127.0.0.1:1"\n'
    assert outcomes(tmp_path, text)["channel"].status is Status.WARN
