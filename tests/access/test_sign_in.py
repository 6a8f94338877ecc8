"""Signing in as a browser does, from the first code to a recovery code."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from broker.access.totp import code_at, step_at
from broker.store.access_tables import person, web_session
from broker.store.people import disable_person, reset_person
from tests.access.sign_in_stage import LOGIN, PASSWORD, Browser, Stage


async def test_the_first_code_leads_to_a_password_and_then_in(stage: Stage) -> None:
    code = stage.add()
    browser = Browser(stage)
    await browser.sign_in(LOGIN, code, after="/?day=today")
    assert browser.location.startswith("/sign-in/password")
    assert (await Browser(stage).get("/")).status == 303
    assert (await browser.get("/")).status == 303, "not in before a password is chosen"
    await browser.get("/sign-in/password?next=/?day=today")
    await browser.post("/sign-in/password", password="password1234", again="password1234")
    assert browser.status == 422
    assert "太常見" in browser.text
    await browser.post("/sign-in/password", password=PASSWORD, again=PASSWORD, next="/?day=today")
    assert browser.location == "/?day=today"
    assert "hello lab-1" in (await browser.follow()).text
    assert stage.passwords_chosen == 1

    again = await Browser(stage).sign_in(LOGIN, code)
    assert again.status == 401, "the code opens once"
    assert (await Browser(stage).sign_in(LOGIN, PASSWORD)).location == "/"


async def test_a_code_that_has_run_out_opens_nothing(stage: Stage) -> None:
    code = stage.add()
    stage.now += timedelta(days=8)
    assert (await Browser(stage).sign_in(LOGIN, code)).status == 401


async def test_an_unknown_account_is_answered_as_a_wrong_password(stage: Stage) -> None:
    await stage.with_password()
    wrong = await Browser(stage).sign_in(LOGIN, "not the password at all")
    nobody = await Browser(stage).sign_in("nobody-here", "not the password at all")
    odd = await Browser(stage).sign_in("\u738b", "x")
    assert wrong.status == nobody.status == odd.status == 401
    assert wrong.text == nobody.text == odd.text
    assert stage.audit()[-3:] == [
        "lab-1 sign-in-refused lab-1",
        "sign-in-refused",
        "sign-in-refused",
    ]


async def test_each_step_has_a_token_of_its_own_and_the_old_one_is_dead(stage: Stage) -> None:
    browser = Browser(stage)
    await browser.sign_in(LOGIN, stage.add())
    first = browser.cookies["labbroker"]
    await browser.follow()
    await browser.post("/sign-in/password", password=PASSWORD, again=PASSWORD)
    assert browser.cookies["labbroker"] != first
    browser.cookies = {"labbroker": first}
    assert (await browser.get("/sign-in/password")).location == "/sign-in"


async def test_the_cookie_is_kept_from_scripts_and_other_sites(stage: Stage) -> None:
    browser = await Browser(stage).sign_in(LOGIN, stage.add())
    assert browser.set_cookie.startswith("labbroker=")
    assert "HttpOnly" in browser.set_cookie
    assert "SameSite=Lax" in browser.set_cookie
    assert "Domain" not in browser.set_cookie


async def test_with_tls_the_cookie_is_bound_to_host_and_tls(far: Stage) -> None:
    browser = await Browser(far, "203.0.113.9").sign_in(LOGIN, far.add())
    assert browser.set_cookie.startswith("__Host-labbroker=")
    assert "Secure" in browser.set_cookie
    assert "Path=/" in browser.set_cookie


async def test_from_another_machine_a_second_factor_must_be_set_up(far: Stage) -> None:
    browser = Browser(far, "203.0.113.9")
    await browser.sign_in(LOGIN, far.add())
    await browser.follow()
    await browser.post("/sign-in/password", password=PASSWORD, again=PASSWORD)
    assert browser.location.startswith("/sign-in/enrol")
    await browser.follow()
    assert "<svg" in browser.text
    assert (await Browser(far, "203.0.113.9").get("/")).status == 303
    await browser.post("/sign-in/enrol", code="000000" if far.code() != "000000" else "111111")
    assert browser.status == 401
    await browser.post("/sign-in/enrol", code=far.code())
    codes = re.findall(r"<li><code>([^<]+)</code>", browser.text)
    assert len(codes) == 10
    assert "hello" in (await browser.get("/")).text

    far.now += timedelta(minutes=1)
    other = Browser(far, "203.0.113.9")
    await other.sign_in(LOGIN, PASSWORD)
    assert other.location.startswith("/sign-in/second")
    await other.follow()
    assert (await other.get("/")).status == 303, "half signed in is not signed in"
    await other.get("/sign-in/second")
    code = far.code()
    assert (await other.post("/sign-in/second", code=code)).location == "/"
    assert "hello" in (await other.follow()).text

    third = Browser(far, "203.0.113.9")
    await third.sign_in(LOGIN, PASSWORD)
    await third.follow()
    assert (await third.post("/sign-in/second", code=code)).status == 401, "used already"
    assert (await third.post("/sign-in/second", code=codes[0].lower())).location == "/"

    fourth = Browser(far, "203.0.113.9")
    await fourth.sign_in(LOGIN, PASSWORD)
    await fourth.follow()
    assert (await fourth.post("/sign-in/second", code=codes[0])).status == 401, "used already"


async def test_failures_make_pauses_that_grow_and_end(stage: Stage) -> None:
    await stage.with_password()
    statuses = [(await Browser(stage).sign_in(LOGIN, f"wrong {n}")).status for n in range(7)]
    assert statuses == [401] * 6 + [429]
    assert (await Browser(stage).sign_in(LOGIN, PASSWORD)).status == 429, "the right one waits too"
    stage.now += timedelta(seconds=2)
    assert (await Browser(stage).sign_in(LOGIN, "wrong again")).status == 401
    assert (await Browser(stage).sign_in(LOGIN, PASSWORD)).status == 429
    stage.now += timedelta(seconds=3)
    assert (await Browser(stage).sign_in(LOGIN, PASSWORD)).status == 303
    assert (await Browser(stage).sign_in(LOGIN, "wrong")).status == 401, "all is forgotten"


async def test_who_hammers_an_account_does_not_lock_its_owner_out_elsewhere(far: Stage) -> None:
    code = far.add()
    for number in range(6):
        await Browser(far, "203.0.113.66").sign_in(LOGIN, f"wrong {number}")
    assert (await Browser(far, "203.0.113.66").sign_in(LOGIN, code)).status == 429
    assert (await Browser(far, "198.51.100.7").sign_in(LOGIN, code)).status == 303


async def test_a_pause_tells_nothing_of_whether_the_account_exists(stage: Stage) -> None:
    statuses = [(await Browser(stage).sign_in("nobody", f"wrong {n}")).status for n in range(7)]
    assert statuses == [401] * 6 + [429]


async def test_codes_of_the_second_factor_are_not_tried_through(far: Stage) -> None:
    await test_from_another_machine_a_second_factor_must_be_set_up(far)
    far.now += timedelta(days=2)
    browser = Browser(far, "203.0.113.10")
    await browser.sign_in(LOGIN, PASSWORD)
    await browser.follow()
    statuses = [(await browser.post("/sign-in/second", code=f"{n:06d}")).status for n in range(8)]
    assert statuses[-1] == 429


async def test_who_knows_the_password_cannot_try_the_codes_through_by_signing_in_anew(
    far: Stage,
) -> None:
    await test_from_another_machine_a_second_factor_must_be_set_up(far)
    far.now += timedelta(days=2)
    statuses = []
    for round_ in range(4):
        browser = Browser(far, "203.0.113.10")
        statuses.append((await browser.sign_in(LOGIN, PASSWORD)).status)
        if statuses[-1] == 429:
            break
        await browser.follow()
        for number in range(4):
            code = f"{round_ * 10 + number:06d}"
            statuses.append((await browser.post("/sign-in/second", code=code)).status)
    assert 429 in statuses
    assert statuses.count(401) <= 6


async def test_over_an_open_network_nobody_signs_in(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = stage.add()
    monkeypatch.setattr("broker.web.entrance.address_of", lambda request: "192.0.2.7")
    browser = await Browser(stage).get("/sign-in")
    assert browser.status == 403
    assert "<input" not in browser.text
    assert (await browser.post("/sign-in", login=LOGIN, password=code)).status == 403
    assert stage.audit() == ["test add lab-1"]


async def test_a_proxy_on_this_machine_that_nobody_named_makes_nobody_local(stage: Stage) -> None:
    code = stage.add()
    browser = Browser(stage, "203.0.113.9")
    assert (await browser.get("/sign-in")).status == 403
    assert (await browser.post("/sign-in", login=LOGIN, password=code)).status == 403


def store_files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("labbroker.sqlite*"))


async def test_no_secret_is_logged_or_kept_in_the_clear(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = stage.add()
    browser = await Browser(stage).sign_in(LOGIN, code)
    await browser.follow()
    await browser.post("/sign-in/password", password=PASSWORD, again=PASSWORD)
    await Browser(stage).sign_in(LOGIN, "a wrong one that is long")
    await Browser(stage).sign_in(PASSWORD, PASSWORD)
    kept = store_files(tmp_path)
    token = browser.cookies["labbroker"]
    for secret in (code, PASSWORD, "a wrong one that is long", token, browser.csrf):
        assert secret not in caplog.text
        assert secret.encode() not in kept
    assert b"argon2id" in kept


async def test_who_is_disabled_or_reset_is_out_at_once(stage: Stage) -> None:
    browser = await stage.with_password()
    assert (await browser.get("/")).status == 200
    stage.do(disable_person, LOGIN, stage.now, "test")
    assert (await browser.get("/")).status == 303
    assert (await Browser(stage).sign_in(LOGIN, PASSWORD)).status == 401

    stage.do(reset_person, LOGIN, stage.now, "test")
    assert (await Browser(stage).sign_in(LOGIN, PASSWORD)).status == 401


async def test_a_new_password_ends_every_other_session(stage: Stage) -> None:
    browser = await stage.with_password()
    other = await Browser(stage).sign_in(LOGIN, PASSWORD)
    await browser.get("/account")
    new = "a green tram runs at dawn"
    await browser.post("/account/password", present="wrong", password=new, again=new)
    assert browser.status == 401
    await browser.get("/account")
    await browser.post("/account/password", present=PASSWORD, password=new, again=new)
    assert browser.status == 200, browser.text
    assert (await browser.get("/")).status == 200
    assert (await other.get("/")).status == 303
    assert (await Browser(stage).sign_in(LOGIN, PASSWORD)).status == 401
    assert (await Browser(stage).sign_in(LOGIN, new)).status == 303


async def test_signing_out_everywhere_ends_all(stage: Stage) -> None:
    browser = await stage.with_password()
    other = await Browser(stage).sign_in(LOGIN, PASSWORD)
    await browser.get("/account")
    await browser.post("/account/sign-out-everywhere")
    assert (await other.get("/")).status == (await browser.get("/")).status == 303
    with stage.engine.connect() as connection:
        assert connection.execute(select(web_session)).all() == []


async def test_another_authenticator_needs_the_password_and_the_old_holds_until_then(
    stage: Stage,
) -> None:
    browser = await stage.with_password()
    await browser.get("/account")
    assert (await browser.post("/account/second-factor", present="wrong")).status == 401
    await browser.post("/account/second-factor", present=PASSWORD)
    assert "<svg" in browser.text
    stage.now += timedelta(minutes=1)
    await browser.post("/account/second-factor/code", code=stage.code())
    assert "<li><code>" in browser.text
    other = await Browser(stage).sign_in(LOGIN, PASSWORD)
    assert other.location.startswith("/sign-in/second"), "asked even at this machine"

    await browser.get("/account")
    await browser.post("/account/second-factor", present=PASSWORD)
    await other.follow()
    with stage.engine.connect() as connection:
        kept = connection.execute(select(person.c.totp_secret)).scalar_one()
    stage.now += timedelta(minutes=1)
    code = code_at(kept, step_at(stage.now))
    assert (await other.post("/sign-in/second", code=code)).status == 303


@pytest.mark.parametrize(
    "given",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "/a\nb", "/王"],
    ids=["https", "slashes", "backslash", "javascript", "newline", "wide"],
)
async def test_nobody_is_sent_to_another_site(stage: Stage, given: str) -> None:
    await stage.with_password()
    assert (await Browser(stage).sign_in(LOGIN, PASSWORD, after=given)).location == "/"


async def test_the_pages_speak_both_languages(stage: Stage) -> None:
    assert "帳號" in (await Browser(stage).get("/sign-in")).text
    assert "Login" in (await Browser(stage).get("/sign-in?language=en")).text


async def test_what_happened_is_in_the_audit_trail(stage: Stage) -> None:
    browser = await stage.with_password()
    await browser.get("/account")
    await browser.post("/sign-out")
    assert stage.audit() == [
        "test add lab-1",
        "lab-1 choose-password lab-1",
        "lab-1 sign-in lab-1",
        "lab-1 sign-out lab-1",
    ]
