"""Nobody sees, opens or changes what is another's: it looks as if it were not there."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest
from aiohttp import web
from sqlalchemy import select

from broker.access.roles import Role
from broker.demo.people import CLINIC, LAB, PEOPLE, STRANGER
from broker.store.access_tables import audit_event
from broker.store.schema import record
from broker.web.console.routes import console_routes
from broker.web.identity import Guard, guard_of
from tests.access.web_people import SignedIn
from tests.console.running_console import RunningConsole

OTHER = "3599900099"
PATIENTS = (*PEOPLE, STRANGER)


class _NoWay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object) -> None:
        return None


_PLACE = re.compile(r"{(\w+)(?::\[[^\]]*\](?:{[\d,]+})?)?}")
_OPENER = urllib.request.build_opener(_NoWay)


def ask(
    console: RunningConsole,
    path: str,
    who: SignedIn | None,
    form: dict[str, str] | None = None,
) -> tuple[int, str]:
    cookies = "; ".join(f"{name}={value}" for name, value in (who.cookies if who else {}).items())
    data = None
    if form is not None:
        data = urllib.parse.urlencode({**form, "csrf": who.csrf if who else ""}).encode()
    request = urllib.request.Request(console.url + path, data, {"Cookie": cookies})  # noqa: S310
    try:
        with _OPENER.open(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def paths(ids: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Every route, with real numbers of somebody else's in it."""
    for route in console_routes():
        if route.path.startswith("/static"):
            continue
        path = _PLACE.sub(lambda found: ids[found[1]], route.path)
        assert "{" not in path
        yield route.method, path


IDS = {
    "delivery": "1",
    "critical": "1",
    "record": "1",
    "package": "1",
    "group": "0123abcd",
    "clinic": CLINIC,
    "visit": "1",
    "order": "08011C",
    "name": "x",
}


def test_every_route_says_whom_it_is_for() -> None:
    guards = {route.path: guard_of(route.handler) for route in console_routes()}
    assert None not in guards.values()
    open_ones = [path for path, guard in guards.items() if guard is Guard.ANYBODY]
    assert open_ones == ["/static/console/{name}"]


def test_without_a_session_every_page_leads_to_the_sign_in(console: RunningConsole) -> None:
    for method, path in paths(IDS):
        status, body = ask(console, path, None, {} if method == "POST" else None)
        assert status in (303, 403), (method, path)
        assert CLINIC not in body


def test_another_clinic_finds_nothing_of_this_one(console: RunningConsole) -> None:
    who = console.sign_in(Role.CLINIC, [OTHER], language="en")
    for method, path in paths(IDS):
        if path == "/language":
            continue
        status, body = ask(console, path, who, {} if method == "POST" else None)
        assert status in (200, 303, 400, 403, 404), (method, path, status)
        text = body.replace(f'value="{CLINIC}"', "").replace('placeholder="3599900001', "")
        assert CLINIC not in text, (method, path)
        assert LAB not in text.replace("JY99900001&#34;", ""), (method, path)
        for person in PATIENTS:
            assert person.national_id not in body
            assert person.name.replace("^", "") not in body


@pytest.mark.parametrize(
    "path",
    ["/records/{}", "/uploads/{}", "/records/{}/replay", "/entry/{}/08011C"],
    ids=["record", "upload", "replay", "entry"],
)
def test_what_is_not_yours_looks_like_what_is_not_there(console: RunningConsole, path: str) -> None:
    who = console.sign_in(Role.CLINIC, [OTHER], language="en")
    theirs, nowhere = (ask(console, path.format(each), who) for each in ("1", "987654321"))
    assert theirs[0] == nowhere[0] == 404
    plain = [re.sub(r"/records/\d+|\d{2}:\d{2}", "", body) for _, body in (theirs, nowhere)]
    assert plain[0] == plain[1]


def test_a_clinic_sees_its_own_and_may_show_its_patient(console: RunningConsole) -> None:
    who = console.sign_in(Role.CLINIC, [CLINIC])
    status, body = ask(console, "/records", who)
    assert status == 200
    assert "/records/1" in body
    status, body = ask(console, "/records/1/patient", who, {})
    assert status == 200
    assert PEOPLE[0].national_id in body


def test_a_coach_and_an_auditor_are_shown_no_patient(console: RunningConsole) -> None:
    for role, institutions in ((Role.COACH, [CLINIC]), (Role.AUDITOR, [])):
        who = console.sign_in(role, institutions)
        status, body = ask(console, "/records/1", who)
        assert status == 200
        assert PEOPLE[0].national_id not in body
        assert ask(console, "/records/1/patient", who, {})[0] == 403


def test_a_form_without_its_token_changes_nothing(console: RunningConsole) -> None:
    who = console.sign_in(Role.OPERATOR)
    bare = SignedIn(who.cookies, {}, "")
    assert ask(console, "/records/1/replay", bare, {})[0] == 403
    assert ask(console, "/people", bare, {"way": "disable", "login": "admin"})[0] == 403


def test_a_group_is_fixed_only_as_far_as_one_sees_it(console: RunningConsole) -> None:
    clinic = console.sign_in(Role.CLINIC, [CLINIC])
    other = console.sign_in(Role.CLINIC, [OTHER], language="en")
    _, body = ask(console, "/worklist", clinic)
    group = re.search(r'id="g([0-9a-f]{8})"', body)
    assert group is not None
    status, body = ask(console, f"/worklist/{group[1]}", other, {"way": "again"})
    assert status == 200
    assert "No group" in body


def test_looking_at_a_patient_is_audited_and_nothing_of_the_patient_is(
    console: RunningConsole,
) -> None:
    who = console.sign_in(Role.OPERATOR)
    assert ask(console, "/records/2/patient", who, {})[0] == 200
    with console.stage.broker.reader.connect() as connection:
        events = connection.execute(select(audit_event)).all()
        ids = set(connection.execute(select(record.c.national_id)).scalars())
    assert any((each.action, each.subject) == ("show-patient", "2") for each in events)
    assert not any(number in str(tuple(each)) for each in events for number in ids if number)


def test_pages_are_never_kept_and_bring_nothing_from_outside(console: RunningConsole) -> None:
    who = console.sign_in(Role.OPERATOR)
    request = urllib.request.Request(  # noqa: S310
        console.url + "/", headers={"Cookie": f"labbroker={who.cookies['labbroker']}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
        assert answer.headers["Cache-Control"] == "no-store"
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_static_files_are_asked_for_again_only_when_they_change(console: RunningConsole) -> None:
    url = console.url + "/static/console/console.css"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback
        tag = answer.headers["ETag"]
        assert answer.headers["Content-Type"].startswith("text/css")
    request = urllib.request.Request(url, headers={"If-None-Match": tag})  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as unchanged:
        urllib.request.urlopen(request, timeout=10)  # noqa: S310
    with unchanged.value as error:
        assert error.code == 304
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(console.url + "/static/console/..%2fdesk.py", timeout=10)  # noqa: S310
    with missing.value as error:
        assert error.code == web.HTTPNotFound.status_code
