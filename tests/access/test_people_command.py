"""``labbroker people`` and ``labbroker token``, with and without a running service, and the first
administrator."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from broker.bootstrap.people_orders import (
    FIRST_SIGN_IN,
    first_code,
    forget_first_code,
    make_first_administrator,
)
from broker.cli.main import EXIT_ERROR, main
from broker.store.engine import open_writer
from broker.store.people import accounts
from tests.access.test_guard import NOW


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "labbroker.toml"
    path.write_text('data_dir = "store"\n', "utf-8")
    monkeypatch.setenv("LABBROKER_LANG", "en")
    return str(path)


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_person_is_added_listed_changed_and_disabled(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = ["--config", config, "--json"]
    add = ["people", "add", "Lab-1", "--role", "lab", "--institution", "JYVQ000000", *shared]
    assert main(add) == 0
    (added,) = told(capsys)
    assert added["login"] == "lab-1"
    assert len(str(added["code"])) == 23
    assert main(["people", "add", "boss", "--role", "operator", *shared]) == 0
    assert main(["people", "change", "lab-1", "--role", "clinic", *shared]) == 0
    assert main(["people", "disable", "lab-1", *shared]) == 0
    capsys.readouterr()
    assert main(["people", "list", *shared]) == 0
    boss, lab = told(capsys)
    assert (boss["role"], boss["state"], boss["institutions"]) == ("operator", "new", [])
    assert (lab["role"], lab["state"], lab["institutions"]) == (
        "clinic",
        "disabled",
        ["JYVQ000000"],
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add", "a123456789", "--role", "lab", "--institution", "X"], "no national id"),
        (["add", "lab", "--role", "lab"], "must belong to institutions"),
        (["add", "boss", "--role", "auditor"], "is in use"),
        (["reset", "nobody"], "nobody with the login"),
        (["disable", "boss"], "last operator"),
        (["change", "boss", "--role", "auditor"], "last operator"),
    ],
    ids=["national-id", "nowhere", "taken", "unknown", "last", "last-changed"],
)
def test_what_cannot_be_done_is_told_in_one_sentence(
    config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["people", "add", "boss", "--role", "operator", "--config", config]) == 0
    assert main(["people", *arguments, "--config", config]) == EXIT_ERROR
    assert says in capsys.readouterr().err


def test_a_token_is_printed_once_and_revoked(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = ["--config", config, "--json"]
    assert main(["people", "add", "boss", "--role", "operator", *shared]) == 0
    asked = ["token", "add", "boss", "--name", "script", "--scope", "see-rates", "--days", "9"]
    assert main([*asked, *shared]) == 0
    token = str(told(capsys)[-1]["token"])
    assert main(["token", "list", *shared]) == 0
    listed = capsys.readouterr().out
    assert token not in listed
    assert json.loads(listed)["scopes"] == ["see-rates"]
    assert main(["token", "revoke", "1", *shared]) == 0
    assert main(["token", "list", "--config", config]) == 0
    assert "revoked" in capsys.readouterr().out


def test_a_certificate_that_is_none_is_told_so(
    config: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "x.pem").write_text("nothing", "ascii")
    asked = ["token", "add", "boss", "--name", "x", "--scope", "see-rates", "--config", config]
    assert main([*asked, "--certificate", str(tmp_path / "x.pem")]) == EXIT_ERROR
    assert "no certificate" in capsys.readouterr().err


def test_the_first_start_makes_one_operator_whose_code_only_the_service_can_read(
    tmp_path: Path,
) -> None:
    engine = open_writer(tmp_path)
    with engine.begin() as connection:
        assert make_first_administrator(connection, tmp_path, NOW)
        assert not make_first_administrator(connection, tmp_path, NOW), "only the first"
        (account,) = accounts(connection)
    engine.dispose()
    path = tmp_path / FIRST_SIGN_IN
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "login: admin" in path.read_text("utf-8")
    assert (account.person.role.value, account.state) == ("operator", "new")
    login, code = first_code(tmp_path) or ("", "")
    assert path.read_text("utf-8").startswith(f"login: {login}\ncode: {code}\n")
    forget_first_code(tmp_path)
    assert not path.exists()
    assert first_code(tmp_path) is None
