"""What ``doctor`` says of who can come in."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.bootstrap.people_orders import FIRST_SIGN_IN
from broker.cli.access_checks import check_access
from broker.config import load_settings


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("", {"console": "ok"}),
        ('[http]\nhost = "0.0.0.0"\n', {"console": "warn"}),
        ('[http]\nhost = "0.0.0.0"\n[access]\nbehind_tls = true\n', {"console": "ok"}),
        ("[http]\nenabled = false\n", {}),
    ],
    ids=["here", "open", "proxy", "closed"],
)
def test_a_console_that_nobody_can_reach_safely_is_told(
    tmp_path: Path, lines: str, told: dict[str, str]
) -> None:
    config = tmp_path / "labbroker.toml"
    config.write_text(f'data_dir = "store"\n{lines}', "utf-8")
    outcomes = list(check_access(load_settings(config, {})))
    assert {each.check: each.status.value for each in outcomes} == told


def test_the_first_sign_in_is_told_until_it_is_done(tmp_path: Path) -> None:
    config = tmp_path / "labbroker.toml"
    config.write_text('data_dir = "."\n', "utf-8")
    (tmp_path / FIRST_SIGN_IN).write_text("x", "ascii")
    first, _ = check_access(load_settings(config, {}))
    assert first.check == "first sign-in"
    assert FIRST_SIGN_IN in first.next_step("zh")
