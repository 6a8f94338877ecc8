"""The settings file: what it may say, and how it is told what is wrong."""

from __future__ import annotations

import pickle
from datetime import date
from pathlib import Path

import pytest

from adapters.folder.formats.csv_layout import COLUMNS
from adapters.ports.credential import CredentialKind
from broker.config import Settings, load_settings
from broker.config.problems import InvalidSettings, SettingsUnreadable
from broker.config.reference import settings_reference
from broker.config.secret import (
    Secret,
    SecretReference,
    SecretUnavailable,
    parse_secret_reference,
)
from mapping.file_profile import RESULT_COLUMNS
from mapping.profile import CodeLink, Route

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "labbroker.toml"


def load(tmp_path: Path, text: str, **environ: str) -> Settings:
    file = tmp_path / "labbroker.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ)


def problem(tmp_path: Path, text: str, **environ: str) -> str:
    with pytest.raises(InvalidSettings) as caught:
        load(tmp_path, text, **environ)
    (only,) = caught.value.problems
    return f"{only.code}: {only.sentence()} {only.remedy()}"


def test_the_example_file_loads_and_means_what_its_comments_say() -> None:
    settings = load_settings(EXAMPLE, {})
    lab, files, visits = settings.sources
    assert settings.language == "zh"
    assert lab.profile.codes["WBC"] == CodeLink("08011C", 4)
    assert lab.profile.clinics == {"C001": "3599999901"}
    assert lab.profile.hl7.clinic_code == ("ORC-21.10",)
    assert files.profile.csv.encoding == "cp950"
    assert files.profile.csv.columns["item_code"] == "本所代碼"
    assert visits.token_hashes == ()
    assert settings.agreements[0].route is Route.CLINIC
    assert settings.agreements[0].valid_from == date(2025, 1, 1)
    assert settings.institutions[0].credential_kind is CredentialKind.SOFTWARE
    assert settings.profiles["sunrise-lab"] is lab.profile


def test_no_file_at_all_gives_the_defaults() -> None:
    settings = load_settings(None, {})
    assert settings.data_dir == Path.cwd() / "var"
    assert (settings.mllp.host, settings.mllp.port) == ("127.0.0.1", 2575)
    assert settings.mllp.max_frame_bytes == 16 * 1024 * 1024
    assert settings.schedule.seal_after_seconds == 900
    assert settings.schedule.press_before_minutes == 120
    assert settings.sources == ()


def test_paths_are_relative_to_the_file_not_to_the_working_folder(tmp_path: Path) -> None:
    settings = load(
        tmp_path, 'data_dir = "d"\n[[source]]\nid = "a"\n[[folder]]\npath = "in"\nsource = "a"\n'
    )
    assert settings.data_dir == tmp_path / "d"
    assert settings.folders[0].path == tmp_path / "in"


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[mllp]\nport = 1\n",
        LABBROKER_MLLP__PORT="2",
        LABBROKER_HTTP__ENABLED="false",
        LABBROKER_CHANNEL__SANDBOX__BASE_URL="http://127.0.0.1:9",
        LABBROKER_DATA_DIR="elsewhere",
        LABBROKER_SCHEDULE__SETTLE_SECONDS="0.5",
        LABBROKER_LANG="en",
        LABBROKER_CORPUS="not a setting, not an error",
    )
    assert settings.mllp.port == 2
    assert settings.http.enabled is False
    assert settings.sandbox_channel.base_url == "http://127.0.0.1:9"
    assert settings.data_dir == tmp_path / "elsewhere"
    assert settings.schedule.settle_seconds == 0.5


def test_an_unknown_key_is_told_with_file_line_and_the_nearest_known_one(tmp_path: Path) -> None:
    told = problem(tmp_path, "# a comment\n[mllp]\nhost = 'x'\nprot = 1\n")
    assert told.startswith("settings-unknown-key:")
    assert f"{tmp_path / 'labbroker.toml'} line 4 [mllp]" in told
    assert "no setting prot" in told
    assert "Did you mean port?" in told


def test_an_unknown_section_is_told_with_its_line(tmp_path: Path) -> None:
    told = problem(tmp_path, "\n[shedule]\nx = 1\n")
    assert "line 2" in told
    assert "Did you mean schedule?" in told


def test_an_unknown_key_of_the_second_source_names_the_line_of_the_second(tmp_path: Path) -> None:
    told = problem(
        tmp_path,
        '[[source]]\nid = "a"\ncharset = "big5"\n[[source]]\nid = "b"\ncharste = "big5"\n',
    )
    assert "line 6 [source]" in told


def test_an_unknown_variable_names_the_nearest(tmp_path: Path) -> None:
    told = problem(tmp_path, "", LABBROKER_MLLP__PROT="1")
    assert "LABBROKER_MLLP__PORT" in told


@pytest.mark.parametrize(
    "text",
    [
        "[mllp]\nport = '2575'",
        "[mllp]\nport = 70000",
        "[mllp]\nport = true",
        "[mllp]\nenabled = 1",
        "[logging]\nlevel = 'loud'",
        "language = 'fr'",
        "data_dir = ''",
        "mllp = 3",
        "source = 3",
        "[source]\nid = 'one bracket too few'",
        "[[source]]\nid = 'a'\npeers = ['300.1.1.1']",
        "[[source]]\nid = 'a'\npeers = '127.0.0.1'",
        "[[source]]\nid = 'a'\ntoken_sha256 = ['plain-token']",
        "[[source]]\nid = 'a'\nlab_code = '123'",
        "[[source]]\nid = 'a'\n[source.codes]\nX = 3",
        "[[source]]\nid = 'a'\n[source.codes]\nX = { order_code = '09005C', item = 1 }",
        "[[source]]\nid = 'a'\n[source.codes]\nX = { order_code = '09005C', item_number = 0 }",
        "[[source]]\nid = 'a'\n[source.clinics]\nX = 3",
        "[[source]]\nid = 'a'\n[source.csv.columns]\nvalu = 'X'",
        "[[institution]]\ncode = '3599999901'\nverdict_password = 'Hunter2'",
    ],
)
def test_a_wrong_value_is_refused(tmp_path: Path, text: str) -> None:
    assert problem(tmp_path, text).startswith("settings-wrong-value:")


def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    told = problem(tmp_path, "[[institution]]\ncode = '3599999901'\nverdict_password = 'Hunter2'")
    assert "Hunter2" not in told
    told = problem(tmp_path, "[[source]]\nid = 'a'\ntoken_sha256 = ['Hunter2']")
    assert "Hunter2" not in told


def test_a_missing_required_key_is_told(tmp_path: Path) -> None:
    told = problem(tmp_path, "[[source]]\ncharset = 'big5'\n")
    assert told.startswith("settings-missing-key:")
    assert "line 1 [source]: id is not set" in told


def test_all_problems_are_told_at_once_in_both_languages(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(tmp_path, "[mllp]\nprot = 1\nport = 'x'\n")
    assert [each.code for each in caught.value.problems] == [
        "settings-unknown-key",
        "settings-wrong-value",
    ]
    assert "2 settings are wrong" in caught.value.sentence("en")
    assert "設定有 2 處錯誤" in caught.value.sentence("zh")


AGREEMENT = "[[agreement]]\nlab_code = '9499999901'\nclinic_code = '3599999901'\n"


@pytest.mark.parametrize(
    "text",
    [
        "[[source]]\nid = 'a'\n[[source]]\nid = 'a'\n",
        AGREEMENT + "route = 'clinic'\n" + AGREEMENT + "route = 'lab'\n",
        AGREEMENT + "route = 'lab'\nvalid_from = 2026-02-01\nvalid_until = 2026-01-01\n",
        "[mllp]\ntls_certificate = 'c.pem'\n",
        "[[source]]\nid = 'a'\n[source.csv]\ndelimiter = ';;'\n",
        f"[[source]]\nid = 'a'\ncertificate_sha256 = ['{'a' * 64}']\n",
        "[mllp]\ntls_certificate = 'c'\ntls_key = 'k'\ntls_client_ca = 'a'\n[[source]]\nid = 'a'\n",
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, text: str) -> None:
    assert problem(tmp_path, text).startswith("settings-contradict:")


def test_a_fingerprint_is_taken_as_openssl_writes_it(tmp_path: Path) -> None:
    fingerprint = ":".join(["AB"] * 32)
    settings = load(
        tmp_path,
        "[mllp]\ntls_certificate = 'c'\ntls_key = 'k'\ntls_client_ca = 'a'\n"
        f"[[source]]\nid = 'a'\ncertificate_sha256 = ['{fingerprint}']\n",
    )
    assert settings.sources[0].certificate_hashes == ("ab" * 32,)


def test_agreements_one_after_the_other_are_fine(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        AGREEMENT
        + "route = 'clinic'\nvalid_until = 2025-12-31\n"
        + AGREEMENT
        + "route = 'lab'\nvalid_from = 2026-01-01\n",
    )
    assert len(settings.agreements) == 2


def test_a_folder_of_an_unknown_source_names_the_nearest(tmp_path: Path) -> None:
    told = problem(
        tmp_path, "[[source]]\nid = 'sunrise'\n[[folder]]\npath = 'x'\nsource = 'sunrize'\n"
    )
    assert "Did you mean sunrise?" in told


@pytest.mark.parametrize(
    "raw", [b"[mllp\n", b"\xff\xfe\x00", b"a = " + b"[" * 5000, b"a = 1\na = 2\n"]
)
def test_a_file_that_is_no_toml_is_told_so(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(raw)
    with pytest.raises(SettingsUnreadable) as caught:
        load_settings(file, {})
    assert "bad.toml" in str(caught.value)


def test_a_missing_file_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsUnreadable):
        load_settings(tmp_path / "none.toml", {})


def test_the_reference_page_lists_every_setting_as_the_code_has_it() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert settings_reference() in page, (
        "docs/reference/settings.md differs from the code: replace its tables with the output of "
        "broker.config.reference.settings_reference()"
    )


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("Hunter2")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret:>20}", "%s" % secret):  # noqa: UP031
        assert "Hunter2" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        hash(secret)
    assert secret.reveal() == "Hunter2"
    assert secret == Secret("Hunter2")
    assert secret != Secret("hunter2")
    assert secret != "Hunter2"


def test_a_secret_is_read_from_the_environment() -> None:
    reference = parse_secret_reference("env:PASSWORD", Path())
    assert reference == SecretReference(variable="PASSWORD")
    assert reference.read({"PASSWORD": "x"}).reveal() == "x"
    with pytest.raises(SecretUnavailable):
        reference.read({})


def test_a_secret_file_must_be_closed_to_others(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("x\n", encoding="utf-8")
    reference = parse_secret_reference("file:password", tmp_path)
    assert reference is not None
    file.chmod(0o644)
    with pytest.raises(SecretUnavailable):
        reference.read({})
    file.chmod(0o600)
    assert reference.read({}).reveal() == "x"


@pytest.mark.parametrize("text", ["", "Hunter2", "env:", "file:", "vault:x"])
def test_anything_but_a_reference_is_no_secret_reference(text: str) -> None:
    assert parse_secret_reference(text, Path()) is None


def test_the_columns_of_the_settings_are_those_of_the_csv_reader() -> None:
    assert RESULT_COLUMNS == COLUMNS
