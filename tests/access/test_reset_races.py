"""An operator's reset stands, whatever a sign-in was about to keep in that moment."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from sqlalchemy import select

from broker.store.access_tables import person, web_session
from broker.store.people import disable_person, reset_person
from tests.access.sign_in_stage import LOGIN, PASSWORD, Browser, Stage


def reset_meanwhile(stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """While the function ``name`` computes, an operator resets the person; the new code."""
    module, _, function = name.rpartition(".")
    real = getattr(importlib.import_module(module), function)
    codes: list[str] = []

    def slow(*given: Any) -> Any:
        if not codes:
            codes.append(stage.do(reset_person, LOGIN, stage.now, "test"))
        return real(*given)

    monkeypatch.setattr(name, slow)
    return codes


async def assert_only_the_new_code_opens(stage: Stage, *old: str, new: str) -> None:
    for each in old:
        assert (await Browser(stage).sign_in(LOGIN, each)).status == 401
    assert (await Browser(stage).sign_in(LOGIN, new)).location.startswith("/sign-in/password")


async def test_a_first_password_that_was_being_kept_does_not_undo_a_reset(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await Browser(stage).sign_in(LOGIN, stage.add())
    await browser.follow()
    codes = reset_meanwhile(stage, monkeypatch, "broker.web.sign_in_steps.hash_password")
    await browser.post("/sign-in/password", password=PASSWORD, again=PASSWORD)
    assert (browser.status, browser.location) == (303, "/sign-in")
    assert (await browser.get("/")).status == 303
    assert stage.passwords_chosen == 0
    await assert_only_the_new_code_opens(stage, PASSWORD, new=codes[0])


async def test_a_new_password_that_was_being_kept_does_not_undo_a_reset(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await stage.with_password()
    await browser.get("/account")
    codes = reset_meanwhile(stage, monkeypatch, "broker.web.account.hash_password")
    other = "wide river under the hill"
    await browser.post("/account/password", present=PASSWORD, password=other, again=other)
    assert (browser.status, browser.location) == (303, "/sign-in")
    assert (await browser.get("/")).status == 303
    await assert_only_the_new_code_opens(stage, PASSWORD, other, new=codes[0])


async def test_a_password_that_was_being_judged_opens_nothing_after_a_reset(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.with_password()
    codes = reset_meanwhile(stage, monkeypatch, "broker.web.sign_in.is_password")
    browser = await Browser(stage).sign_in(LOGIN, PASSWORD)
    assert browser.status == 401
    assert (await browser.get("/")).status == 303
    assert stage.audit()[-1] == "lab-1 sign-in-refused lab-1"
    await assert_only_the_new_code_opens(stage, PASSWORD, new=codes[0])


async def test_a_second_factor_that_was_being_set_up_does_not_outlive_a_reset(
    far: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser(far, "203.0.113.9")
    await browser.sign_in(LOGIN, far.add())
    await browser.follow()
    await browser.post("/sign-in/password", password=PASSWORD, again=PASSWORD)
    await browser.follow()
    shown = far.code()
    codes = reset_meanwhile(far, monkeypatch, "broker.web.sign_in_steps.new_recovery_codes")
    await browser.post("/sign-in/enrol", code=shown)
    assert (browser.status, browser.location) == (303, "/sign-in")
    with far.engine.connect() as connection:
        row = connection.execute(select(person)).one()
    assert (row.totp_secret, row.totp_proposed, row.password_hash) == ("", "", "")

    codes.clear()
    new = far.do(reset_person, LOGIN, far.now, "test")
    await browser.sign_in(LOGIN, new)
    await browser.follow()
    await browser.post("/sign-in/password", password=PASSWORD, again=PASSWORD)
    reset_meanwhile(far, monkeypatch, "broker.web.sign_in_steps.new_secret")
    assert (await browser.follow()).location == "/sign-in", "the secret is shown to nobody"
    with far.engine.connect() as connection:
        assert connection.execute(select(person.c.totp_proposed)).scalar_one() == ""


async def test_who_is_disabled_while_the_password_is_judged_does_not_come_in(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.with_password()
    real = importlib.import_module("broker.web.sign_in").is_password

    def slow(kept: str, typed: str) -> bool:
        stage.do(disable_person, LOGIN, stage.now, "test")
        return bool(real(kept, typed))

    monkeypatch.setattr("broker.web.sign_in.is_password", slow)
    assert (await Browser(stage).sign_in(LOGIN, PASSWORD)).status == 401
    assert stage.do(lambda c: c.execute(select(web_session)).all()) == []
