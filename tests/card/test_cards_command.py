"""``labbroker cards``, ``doctor`` on cards, and the main job with a card."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from broker.cli.card_checks import check_cards
from broker.cli.card_words import card_lines
from broker.cli.main import main
from broker.cli.outcome import Status
from broker.config import load_settings
from broker.config.problems import InvalidSettings
from broker.demo.patient_card import SimulatedPatientCard
from broker.demo.virtual_reader import VirtualReader
from mapping.errors import LabbrokerError
from tests.card.soft_token import CLINIC, CountingToken
from tests.conftest import Require

BROKER = f"""
[[pairing]]
agent = "front-desk"
secret_sha256 = ["{"0" * 64}"]
institutions = ["{CLINIC}"]
[[institution]]
code = "{CLINIC}"
credential = "pkcs11"
"""


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")


def labbroker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "broker.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "LABBROKER_LANG": "en"},
    )


def settings_file(folder: Path, text: str) -> Path:
    file = folder / "labbroker.toml"
    file.write_text(f'data_dir = "data"\n{text}', "utf-8")
    return file


def card_section(card: CountingToken, more: str = "") -> str:
    return (
        f'[agent]\nreaders = false\n[[card]]\nname = "front"\nmodule = "{card.module}"\n'
        f'certificate_subject = "{CLINIC}"\n{more}'
    )


def test_cards_shows_owner_validity_and_tries_and_enters_no_pin(
    card: CountingToken, tmp_path: Path, reader_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = settings_file(tmp_path, card_section(card))
    assert main(["cards", "--config", str(file), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["cards"]
    assert (found["institution"], found["condition"], found["tries"]) == (CLINIC, "locked", "all")
    assert found["environment"] == "production"
    assert found["days_left"] in (364, 365)
    assert CLINIC in found["subject"]
    assert card.calls == 0


def test_a_card_is_told_in_both_languages() -> None:
    plain = {
        "name": "front",
        "agent": "desk",
        "institution": CLINIC,
        "condition": "held",
        "reason": "",
        "label": "token",
        "serial": "01",
        "tries": "one",
        "wrong_entries": 2,
        "keypad": False,
        "subject": f"2.5.4.5={CLINIC}",
        "environment": "test",
        "valid_until": "2027-01-31T00:00:00+00:00",
        "days_left": 12,
    }
    english, chinese = card_lines(plain, "en"), card_lines(plain, "zh")
    assert "held before its last try" in english[0]
    assert "tries left: one  wrong entries: 2" in english[1]
    assert "12 days left" in english[-1]
    assert "一次" in chinese[1]
    assert "僅剩 12 天" in chinese[-1]
    assert "it has ended" in card_lines({**plain, "days_left": -1}, "en")[-1]


def test_a_pairing_shows_the_hash_and_keeps_the_secret_in_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "secret"
    arguments = ["cards", "pair", "front-desk", "--institution", CLINIC, "--secret-file", str(file)]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    secret = file.read_text("ascii").strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert hashlib.sha256(secret.encode()).hexdigest() in shown
    assert secret not in shown
    assert main(arguments) == 2
    assert file.read_text("ascii").strip() == secret


def test_the_patient_at_the_desk_is_told_on_the_terminal_alone(
    virtual_reader: VirtualReader, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cards", "patient"]) == 2
    assert "no reader holds a card" in capsys.readouterr().err
    virtual_reader.insert(
        SimulatedPatientCard("陳功回", "A123456789", date(1975, 5, 1), "F", "900000000007")
    )
    ends_at = time.monotonic() + 20
    while main(["cards", "patient", "--json"]) != 0:
        assert time.monotonic() < ends_at
        capsys.readouterr()
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert (found["name"], found["national_id"], found["birth_on"]) == (
        "陳功回",
        "A123456789",
        "1975-05-01",
    )
    assert found["test_card"]
    assert shown.err == ""
    assert main(["cards"]) == 0
    assert f"{virtual_reader.name}  card" in capsys.readouterr().out


def test_doctor_tells_of_cards_and_pairings(card: CountingToken, tmp_path: Path) -> None:
    settings = load_settings(settings_file(tmp_path, card_section(card) + BROKER), {})
    found = {outcome.check: outcome for outcome in check_cards(settings, {})}
    assert found["card front"].status is Status.OK
    assert CLINIC in found["card front"].message("zh")
    assert found["card agents"].status is Status.OK
    soon = datetime.now(UTC) + timedelta(days=340)
    found = {outcome.check: outcome for outcome in check_cards(settings, {}, soon)}
    assert found["card front"].status is Status.WARN
    card.set("absent")
    found = {outcome.check: outcome for outcome in check_cards(settings, {})}
    assert found["card front"].status is Status.WARN
    assert card.calls == 0


def test_doctor_fails_where_agents_could_not_come(tmp_path: Path) -> None:
    text = BROKER + '[http]\nhost = "0.0.0.0"\n'
    settings = load_settings(settings_file(tmp_path, text), {})
    (found,) = check_cards(settings, {})
    assert found.status is Status.FAIL
    assert "TLS" in found.message("en")


def test_a_library_that_is_missing_fails_with_a_next_step(tmp_path: Path) -> None:
    text = '[agent]\nreaders = false\n[[card]]\nname = "a"\nmodule = "gone.so"\n'
    (found,) = check_cards(load_settings(settings_file(tmp_path, text), {}), {})
    assert found.status is Status.FAIL
    assert "module" in found.next_step("en")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[institution]]\ncode = "3501200000"\ncredential = "pkcs11"\n', "[[pairing]]"),
        (BROKER.replace('credential = "pkcs11"', 'channel = "eii"\ncredential = "pkcs11"'), "sam"),
        (
            '[[institution]]\ncode = "3501200000"\nchannel = "portal"\ncredential = "software"\n',
            "person",
        ),
        (
            '[[institution]]\ncode = "3501200000"\nchannel = "eii"\ncredential = "software"\n',
            "sam",
        ),
        ('[agent]\nbrokers = ["https://b"]\n', "secret"),
        ('[agent]\nbrokers = ["http://b"]\nsecret = "file:s"\n', "https"),
        (BROKER + BROKER.partition("[[institution]]")[0], "used twice"),
    ],
    ids=["unpaired", "eii", "key-portal", "key-eii", "secretless", "plain", "twice"],
)
def test_settings_of_cards_that_cannot_hold_together_are_refused(
    text: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSettings) as refused:
        load_settings(settings_file(tmp_path, text), {})
    assert told in refused.value.sentence()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pkcs11", "pcsc"])
def test_the_main_job_runs_with_a_card(kind: str, tmp_path: Path, require: Require) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    # One of the two sends the whole scenario; readers have nothing to do with it.
    more = ["--input", str(nothing)] if kind == "pcsc" else []
    result = labbroker("demo", "--json", "--card", kind, "--data", str(tmp_path / "data"), *more)
    require(result.returncode != 2, result.stderr)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    told = json.loads(result.stdout)
    answers = [item["answer"] for item in told["sent"] if item["door"] == "card"]
    if kind == "pkcs11":
        assert answers == ["locked", "ready"]
        assert (told["accepted"], told["rejected"]) == (12, 1)
        assert not (tmp_path / "data" / "keys" / "3599900001" / "key.pem").exists()
    else:
        assert answers == ["測試一郎 M", "測試二娘 F", "found again", "測試三功 M"]
    log = (tmp_path / "data" / "labbroker.log").read_text("utf-8")
    assert "測試" not in log


@pytest.mark.parametrize(("kind", "part"), [("pkcs11", "softhsm2"), ("pcsc", "pcscd")])
def test_a_part_that_is_missing_is_told_with_how_to_install_it(
    kind: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from broker.demo import virtual_reader, virtual_token

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(virtual_reader, "_DRIVER", tmp_path / "gone")
    monkeypatch.setattr(virtual_token, "_MODULES", ())

    def make() -> object:
        if kind == "pkcs11":
            return virtual_token.create_token(tmp_path, "x", "1", [])
        return VirtualReader(tmp_path)

    with pytest.raises(LabbrokerError) as missing:
        make()
    assert missing.value.code == "part-missing"
    assert f"apt install {part}" in missing.value.remedy("en")
    assert part in missing.value.remedy("zh")


def test_a_card_signs_for_no_other_channel(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--card", "pkcs11", "--channel", "portal"]) == 2
    assert "--channel sandbox" in capsys.readouterr().err
