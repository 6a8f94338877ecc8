"""The outermost boundary: sentences and exit codes, never a traceback."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.card.software_key import SoftwareKey
from broker.cli import version
from broker.cli.commands import COMMANDS
from broker.cli.language import chosen_language
from broker.cli.main import main
from mapping.errors import UnreadablePayload

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")
    monkeypatch.delenv("LABBROKER_DEBUG", raising=False)


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(arguments: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(version, "run", run)


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "zh_TW.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LABBROKER_LANG": "zh-TW"}, "zh"),
        ({"LANG": "zh_TW.UTF-8", "LABBROKER_LANG": "en"}, "en"),
        ({"LANG": "zh_TW.UTF-8", "LABBROKER_LANG": ""}, "zh"),
    ],
)
def test_the_language_is_the_variable_then_the_locale(
    environ: dict[str, str], language: str
) -> None:
    assert chosen_language(environ) == language


def test_version_says_which_version_this_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith("labbroker ")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("labbroker ")


def test_help_lists_every_command_in_the_chosen_language(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(command.name in shown for command in COMMANDS)
    monkeypatch.setenv("LABBROKER_LANG", "zh-TW")
    assert main(["--help"]) == 0
    assert "檢查檔案內容" in capsys.readouterr().out


def test_no_command_shows_the_help_and_an_unknown_one_is_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    assert main(["nonsense"]) == 2
    assert "invalid choice" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_its_module_and_its_help(
    command: object, capsys: pytest.CaptureFixture[str]
) -> None:
    name = getattr(command, "name")  # noqa: B009
    assert main([name, "--help"]) == 0
    assert f"labbroker {name}" in capsys.readouterr().out


def test_an_error_is_a_sentence_and_a_remedy_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, UnreadablePayload(reason="no MSH", place="byte 0"))
    assert main(["version"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "labbroker: The payload cannot be read: no MSH (at byte 0).",
        "Ask the sender for a corrected copy; where the settings of the source are wrong, correct "
        "them and run `labbroker replay`.",
    ]
    monkeypatch.setenv("LABBROKER_LANG", "zh")
    assert main(["version"]) == 2
    assert "內容無法讀取" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [ValueError("A123456789"), MemoryError(), RecursionError("A123456789")]
)
def test_a_fault_is_told_without_traceback_and_without_its_text(
    error: BaseException, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, error)
    assert main(["version"]) == 70
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "A123456789" not in told
    assert type(error).__name__ in told


def test_the_debug_variable_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABBROKER_DEBUG", "1")
    fail_with(monkeypatch, ValueError("x"))
    with pytest.raises(ValueError):
        main(["version"])


def test_an_interrupt_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    assert main(["version"]) == 130


def test_a_closed_pipe_ends_quietly() -> None:
    script = f"{sys.executable} -m broker.cli.main version | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")


def test_a_broken_pipe_is_exit_code_141(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, BrokenPipeError())
    assert main(["version"]) == 141


def test_a_name_that_the_terminal_cannot_show_does_not_fail() -> None:
    script = "import sys; from broker.cli.main import main; sys.exit(main(['version']))"
    environ = {"PYTHONIOENCODING": "ascii:strict", "LABBROKER_LANG": "zh", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script.replace("'version'", "'--help'")],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"\\u6aa2" in done.stdout


def test_the_settings_file_may_be_named_by_a_variable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_CONFIG", str(tmp_path / "none.toml"))
    assert main(["status"]) == 2
    assert "none.toml" in capsys.readouterr().err


def test_rehearsal_makes_keys_once_and_keeps_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "labbroker.toml"
    file.write_text('[[institution]]\ncode = "3599999901"\n', encoding="utf-8")
    assert main(["rehearsal", "--config", str(file)]) == 0
    assert "has a new rehearsal key" in capsys.readouterr().out
    folder = tmp_path / "var" / "credentials"
    before = SoftwareKey.load(folder / "3599999901").certificate
    assert (folder / "authority" / "authority.pem").exists()
    assert main(["rehearsal", "--config", str(file)]) == 0
    assert "has a key" in capsys.readouterr().out
    assert SoftwareKey.load(folder / "3599999901").certificate == before
