"""`labbroker init`: answers become settings that the loader takes, and a service starts on them."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.cli.main import main
from broker.config import load_settings
from broker.config.starter import CHANNELS, ROUTES, WAYS
from mapping.profile import Route

CLINIC, LAB = "3501200000", "JY31060000"
READY = "labbroker is ready"


@pytest.fixture
def init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABBROKER_LANG", "en")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["init", *arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


Init = Callable[..., tuple[int, str, str]]
GIVEN = ("--clinic", CLINIC, "--lab", LAB, "--yes")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_every_answer_gives_settings_that_the_loader_takes(
    init: Init, monkeypatch: pytest.MonkeyPatch, route: str, channel: str, language: str
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", language)
    for count in (1, 2, 3):
        for ways in itertools.combinations(WAYS, count):
            file = Path(f"{'-'.join(ways)}.toml")
            by = [part for way in ways for part in ("--by", way)]
            options = ("--route", route, "--channel", channel, "--file", str(file))
            assert init(*GIVEN, *by, *options)[0] == 0
            settings = load_settings(file, {})
            assert settings.mllp.enabled == ("hl7" in ways)
            assert len(settings.folders) == 1 + ("folder" in ways) + (channel == "portal")
            assert all(each.path.is_dir() for each in settings.folders)
            assert settings.agreements[0].route is Route(route)
            (institution,) = settings.institutions
            uploads = (CLINIC, "11") if route == "clinic" else (LAB, "50")
            assert (institution.code, institution.kind) == uploads
            assert institution.channel == channel
            # A rehearsal is not waited for; towards NHI it is patience that counts.
            waits = settings.schedule.seal_after_seconds, settings.schedule.verdict_poll_seconds
            assert (max(waits) <= 5) == (channel == "sandbox")
            assert settings.language == language[:2]
            text = file.read_text(encoding="utf-8")
            assert text.count("# ") > 10


def test_the_token_is_shown_once_and_kept_as_its_digest_alone(init: Init) -> None:
    _, out, _ = init(*GIVEN, "--by", "fhir")
    token = next(line.split(": ")[1] for line in out.splitlines() if "token" in line)
    assert token not in Path("labbroker.toml").read_text(encoding="utf-8")
    (lab, _) = load_settings(Path("labbroker.toml"), {}).sources
    assert len(lab.token_hashes) == 1


def test_the_next_steps_can_be_typed_as_they_stand_for_a_rehearsal_and_invent_no_password_else(
    init: Init,
) -> None:
    _, out, _ = init(*GIVEN)
    assert "export LABBROKER_VERDICT_PASSWORD=A123456789\n" in out
    assert "another terminal" in out
    _, out, _ = init(*GIVEN, "--channel", "portal", "--file", "portal.toml")
    assert "A123456789" not in out


def test_settings_that_are_there_are_not_overwritten(init: Init) -> None:
    Path("labbroker.toml").write_text("mine", encoding="utf-8")
    code, _, err = init(*GIVEN)
    assert code == 2
    assert "already" in err
    assert Path("labbroker.toml").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--lab", LAB, "--yes"), "--clinic"),
        (("--clinic", "35012", "--lab", LAB, "--yes"), "--clinic"),
        (("--clinic", CLINIC, "--lab", CLINIC, "--yes"), "--lab"),
        ((*GIVEN, "--lab-id", "Sun Lab"), "--lab-id"),
        ((*GIVEN, "--lab-id", "visits"), "--lab-id"),
        ((*GIVEN, "--data-dir", "a\nb"), "--data-dir"),
        ((*GIVEN, "--file", "missing-\0-name.toml"), "file"),
    ],
    ids=["no-clinic", "short", "same", "spaces", "taken", "newline", "nul"],
)
def test_what_cannot_be_used_is_said_and_nothing_is_written(
    init: Init, options: tuple[str, ...], named: str
) -> None:
    code, _, err = init(*options)
    assert code == 2
    assert named in err
    assert list(Path.cwd().iterdir()) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_at_a_terminal_it_asks_again_until_the_answer_can_be_used(
    init: Init, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["35", CLINIC.lower(), LAB, "sunrise", "fax", "hl7, folder", "lab", "", "portal", ""]
    monkeypatch.setattr(sys, "stdin", Terminal("\n".join(lines) + "\n"))
    code, out, _ = init()
    assert code == 0
    assert "ten letters and digits" in out
    settings = load_settings(Path("labbroker.toml"), {})
    assert settings.agreements[0].route is Route.LAB
    assert settings.sources[0].source_id == "sunrise"
    assert settings.mllp.enabled


def test_an_answer_that_never_comes_is_said(init: Init, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{CLINIC}\n"))
    code, _, err = init()
    assert code == 2
    assert "--lab" in err
    assert list(Path.cwd().iterdir()) == []


def test_a_service_starts_on_what_was_written(init: Init, tmp_path: Path) -> None:
    assert init(*GIVEN, "--by", "folder", "--by", "hl7")[0] == 0
    assert main(["rehearsal", "--config", "labbroker.toml"]) == 0
    environ = {
        **os.environ,
        "LABBROKER_VERDICT_PASSWORD": "A123456789",
        "LABBROKER_MLLP__PORT": "0",
        "LABBROKER_HTTP__PORT": "0",
    }
    command = [sys.executable, "-m", "broker.cli.main", "serve", "--config", "labbroker.toml"]
    with subprocess.Popen(
        command,
        env=environ,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as service:
        try:
            assert service.stdout is not None
            line = service.stdout.readline()
            while line and READY not in line:
                line = service.stdout.readline()
            assert READY in line
        finally:
            service.terminate()
            service.communicate(timeout=60)
    assert main(["rates", "--config", "labbroker.toml", "--json"]) == 0
