"""Every page and the API on PostgreSQL: row level security takes nothing away from what people
see, and holds alone where the application's own filter is gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from broker.access.person import Person
from broker.access.roles import Role
from broker.config import load_settings
from broker.demo import rehearsal
from broker.demo.people import CLINIC, LAB
from broker.store.engine import open_snapshot
from broker.web.api.routes import OPERATIONS
from broker.web.console import desk
from tests.access.web_people import SignedIn, sign_in_as
from tests.console.running_console import RunningConsole, running_console
from tests.console.test_reach import IDS, OTHER, PATIENTS, ask, paths
from tests.postgresql_server import PostgresqlServer

_CHANGES = re.compile(r"T?\d{1,2}:\d{2}(:\d{2})?(\.\d+)?|data-due=\"[^\"]*\"|[0-9.]+ ?s\b")
_DOCUMENTS = ("/document", "/unuploaded")
_PARTS = {**IDS, "institution": CLINIC, "list": "1", "waiting": "1", "login": "nobody"}
# What is told besides is noted in the trail, which the pages show, or goes on for ever.
_NOT_ASKED = ("/document", "/unuploaded/{institution}", "/patient", "/events", "/audit/fhir")


@pytest.fixture(scope="module")
def console(
    postgresql: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningConsole]:
    url = postgresql.new_database()

    def load(*arguments: Any) -> Any:
        return replace(load_settings(*arguments), store_url=url)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rehearsal, "load_settings", load)
        with running_console(tmp_path_factory.mktemp("console")) as running:
            yield running


def sign_in(console: RunningConsole, role: Role, institutions: list[str]) -> SignedIn:
    login = f"{role.value}-{institutions[0].lower()}"
    return console.write(lambda c: sign_in_as(c, role, institutions, login=login, language="en"))


def answers(console: RunningConsole, who: SignedIn) -> dict[str, tuple[int, str]]:
    # Documents are no text; what they show their page shows.
    wanted = [
        path for method, path in paths(IDS) if method == "GET" and not path.endswith(_DOCUMENTS)
    ]
    wanted += [
        "/api/v1" + each.path.format_map(_PARTS)
        for each in OPERATIONS
        if each.method == "GET" and not each.path.endswith(_NOT_ASKED)
    ]
    found = {path: ask(console, path, who) for path in wanted}
    return {path: (status, _CHANGES.sub("", text)) for path, (status, text) in found.items()}


@pytest.mark.parametrize(
    ("role", "institutions"),
    [
        (Role.CLINIC, [CLINIC]),
        (Role.CLINIC, [OTHER]),
        (Role.LAB, [LAB]),
        (Role.LAB, ["demo-lab"]),
        (Role.COACH, [CLINIC, OTHER]),
    ],
    ids=["clinic", "another", "laboratory", "source", "coach"],
)
def test_the_pages_are_the_same_with_it(
    console: RunningConsole, role: Role, institutions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    who = sign_in(console, role, institutions)
    guarded = answers(console, who)
    monkeypatch.setattr(desk, "open_reading", lambda reader, _: open_snapshot(reader))
    assert {status for status, _ in guarded.values()} <= {200, 303, 400, 403, 404}
    assert guarded == answers(console, who)


def test_it_holds_where_the_filter_is_gone(
    console: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = sign_in(console, Role.CLINIC, [OTHER])
    monkeypatch.setattr(Person, "reach", property(lambda _: None))
    found = answers(console, who)
    assert {found[path][0] for path in ("/", "/records", "/worklist")} == {200}
    for path, (_, text) in found.items():
        shown = text.replace(f'value="{CLINIC}"', "").replace('placeholder="3599900001', "")
        assert CLINIC not in shown, path
        assert 'href="/records/' not in shown, path
        for person in PATIENTS:
            assert person.national_id not in shown
            assert person.name.replace("^", "") not in shown
    monkeypatch.setattr(desk, "open_reading", lambda reader, _: open_snapshot(reader))
    assert 'href="/records/' in answers(console, who)["/records"][1], "the filter is not gone"
