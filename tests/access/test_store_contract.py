"""People, sessions, tokens, pauses and the audit trail on each engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from broker.access.errors import LastOperator, LoginTaken
from broker.access.roles import Permission, Role
from broker.access.totp import new_secret
from broker.store.access_tables import web_session
from broker.store.api_calls import begin_call, end_call, forget_call
from broker.store.audit import note
from broker.store.audit_check import verify_trail
from broker.store.audit_list import list_events
from broker.store.credentials import (
    begin_second_factor,
    credentials_of,
    keep_password,
    propose_second_factor,
    still_hold,
    take_recovery_code,
    take_step,
)
from broker.store.engine import open_writer
from broker.store.people import NewPerson, accounts, add_person, disable_person, reset_person
from broker.store.sessions import (
    Stage,
    close_sessions_of,
    digest_of_token,
    find_session,
    open_session,
    still_open,
    touch_session,
)
from broker.store.sign_in_failures import begin_attempt, forgive_attempt
from broker.store.tokens import add_token, find_token, revoke_token, tokens
from tests.stores import store_at

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.fixture
def engine(both_stores: str, tmp_path: Path) -> Iterator[Engine]:
    engine = open_writer(store_at(tmp_path))
    yield engine
    engine.dispose()


def test_a_person_comes_goes_and_comes_again(engine: Engine) -> None:
    with engine.begin() as connection:
        new = NewPerson("chen", "陳護理師", Role.CLINIC, frozenset({"3501200000"}))
        code = add_person(connection, new, NOW, "test")
        known = credentials_of(connection, "chen", NOW)
        assert known is not None
        assert known.is_one_time_code(code.lower().replace("-", " "))
        keep_password(connection, known.person_id, "hash")
        secret = propose_second_factor(connection, known.person_id, new_secret())
        assert propose_second_factor(connection, known.person_id, new_secret()) == secret
        begin_second_factor(connection, known.person_id, 100, ["AAAA-BBBB"], NOW)
        known = credentials_of(connection, "chen", NOW)
        assert known is not None
        assert (known.totp_secret, known.totp_proposed, known.totp_step) == (secret, "", 100)
        assert not known.is_one_time_code(code)
        assert not take_step(connection, known.person_id, 100)
        assert take_step(connection, known.person_id, 101)
        assert take_recovery_code(connection, known.person_id, "aaaabbbb")
        assert not take_recovery_code(connection, known.person_id, "aaaabbbb")
        (account,) = accounts(connection)
        assert (account.state, account.second_factor) == ("active", True)
        assert account.person.institutions == {"3501200000"}
        reset_person(connection, "chen", NOW, "test")
        (account,) = accounts(connection)
        assert (account.state, account.second_factor) == ("new", False)
        disable_person(connection, "chen", NOW, "test")
        assert credentials_of(connection, "chen", NOW) is None
    with engine.connect() as connection:
        actions = [row.action for row in list_events(connection, None, 9)]
    assert actions == ["disable", "reset", "add"]


def test_two_people_of_one_login_and_no_operator_at_all_are_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        add_person(connection, NewPerson("boss", "", Role.OPERATOR), NOW, "test")
        with pytest.raises(LoginTaken):
            add_person(connection, NewPerson("BOSS", "", Role.AUDITOR), NOW, "test")
        with pytest.raises(LastOperator):
            disable_person(connection, "boss", NOW, "test")


def test_sessions_and_tokens_open_and_end(engine: Engine) -> None:
    with engine.begin() as connection:
        add_person(connection, NewPerson("boss", "", Role.OPERATOR), NOW, "test")
        person_id = accounts(connection)[0].person.person_id
        session = open_session(connection, person_id, Stage.FULL, NOW)
        found = find_session(connection, session, NOW)
        assert found is not None
        touch_session(connection, found.digest, NOW + timedelta(minutes=50))
        assert find_session(connection, session, NOW + timedelta(minutes=100)) is not None
        assert close_sessions_of(connection, person_id) == 1
        assert find_session(connection, session, NOW) is None

        token = add_token(connection, "boss", "x", ["see-audit"], NOW, "test")
        bearer = find_token(connection, digest_of_token(token), NOW)
        assert bearer is not None
        assert bearer.person.may(Permission.SEE_AUDIT)
        assert not bearer.person.may(Permission.OPERATE)
        revoke_token(connection, tokens(connection)[0].token_id, NOW, "test")
        assert find_token(connection, digest_of_token(token), NOW) is None


def test_pauses_grow_and_are_forgotten(engine: Engine) -> None:
    def attempt(at: datetime) -> float:
        with engine.begin() as connection:
            return begin_attempt(connection, "chen", "192.0.2.1", at).total_seconds()

    assert [attempt(NOW) for _ in range(6)] == [0] * 6
    assert attempt(NOW) == 1
    later = NOW + timedelta(seconds=1)
    assert attempt(later) == 0
    assert attempt(later) == 2
    with engine.begin() as connection:
        forgive_attempt(connection, "chen", "192.0.2.1", later)
    assert attempt(later) == 0


def test_notes_of_many_at_once_make_one_chain(engine: Engine) -> None:
    """As nodes on one PostgreSQL do; SQLite has one connection, and takes turns by itself."""
    shared = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        _note(connection, "first")

    def write(name: str) -> None:
        for _ in range(10):
            with engine.begin() as connection:
                _note(connection, name)

    writers = [threading.Thread(target=write, args=(f"node-{number}",)) for number in range(3)]
    for writer in writers:
        writer.start()
        if not shared:
            writer.join()
    for writer in writers:
        writer.join()
    with engine.connect() as connection:
        found = verify_trail(connection)
    assert (found.events, found.faults) == (31, ())


def _note(connection: object, person: str) -> None:
    note(
        connection,  # type: ignore[arg-type]
        person=person,
        action="show",
        kind="record",
        subject="1",
        institution="3501200000",
        at=NOW,
    )


@pytest.mark.parametrize("first", ["password", "reset"])
def test_of_a_reset_and_a_password_that_meet_the_reset_stands(engine: Engine, first: str) -> None:
    """Two nodes at once: whoever is first, what was typed before the reset opens nothing after."""
    with engine.begin() as connection:
        new = NewPerson("chen", "", Role.CLINIC, frozenset({"3501200000"}))
        add_person(connection, new, NOW, "test")
        known = credentials_of(connection, "chen", NOW)
        assert known is not None
        token = open_session(connection, known.person_id, Stage.PASSWORD, NOW)
        session = find_session(connection, token, NOW)
        assert session is not None
    person_id, is_held = known.person_id, threading.Event()

    def choose() -> bool:
        with engine.begin() as connection:
            if not still_open(connection, session):
                return False
            is_held.set()
            keep_password(connection, person_id, "hash")
            close_sessions_of(connection, person_id)
            open_session(connection, person_id, Stage.FULL, NOW)
            return True

    def reset() -> None:
        with engine.begin() as connection:
            reset_person(connection, "chen", NOW, "test")
            is_held.set()

    works = [choose, reset] if first == "password" else [reset, choose]
    threads = [threading.Thread(target=works[0]), threading.Thread(target=works[1])]
    threads[0].start()
    assert is_held.wait(20)
    if engine.dialect.name == "sqlite":
        threads[0].join()  # one writer: nobody comes in between
    threads[1].start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        (account,) = accounts(connection)
        assert account.state == "new"
        assert connection.execute(select(web_session)).all() == []
        kept = credentials_of(connection, "chen", NOW)
        assert kept is not None
        assert kept.password_hash == ""
        assert kept.one_time_digest != known.one_time_digest
        assert not still_hold(connection, known, NOW)


def test_a_call_under_a_key_is_begun_once_and_remembered_for_a_day(engine: Engine) -> None:
    def begin(key: str, now: datetime = NOW) -> tuple[int, bytes | None] | None:
        with engine.begin() as connection:
            known = begin_call(connection, "chen", key, b"what", now)
            return None if known is None else (known.status, known.body)

    assert begin("one") is None
    assert begin("two") is None
    assert begin("one") == (0, None), "nobody knows yet what came of it"
    with engine.begin() as connection:
        end_call(connection, "chen", "one", 200, b"{}")
        forget_call(connection, "chen", "two")
    assert begin("one") == (200, b"{}")
    assert begin("two") is None, "nothing was done under it"
    assert begin("one", NOW + timedelta(hours=25)) is None
