"""What the API does as the pages of the console do: people, entry, codes, check reports, audit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select, update

from broker.access.roles import Permission, Role
from broker.demo.people import CLINIC, LAB, PEOPLE, STRANGER
from broker.store.access_tables import person
from broker.store.audit_check import verify_trail
from broker.store.delivery_tables import api_call
from broker.store.schema import (
    package,
    receipt,
    record,
)
from broker.web.api.routes import OPERATIONS
from tests.console.running_console import RunningConsole, running_console
from tests.integration.api_store import a_report, actions, bring, order_what_nobody_answers
from tests.integration.test_api import ask, assert_problem, put_into_inbox, token_of

OTHER = "3599999999"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("api")) as running:
        running.write(put_into_inbox)
        running.write(order_what_nobody_answers)
        yield running


@pytest.fixture(scope="module")
def clinic(console: RunningConsole) -> str:
    return token_of(console, Role.CLINIC, (CLINIC,))


@pytest.fixture(scope="module")
def stranger(console: RunningConsole) -> str:
    return token_of(console, Role.CLINIC, (OTHER, "x"))


@pytest.fixture(scope="module")
def operator(console: RunningConsole) -> str:
    return token_of(console, Role.OPERATOR)


def paths_of(console: RunningConsole, operator: str) -> dict[str, list[str]]:
    """For each part of a path: what there is to be shown."""

    def look(connection: Any) -> dict[str, list[str]]:
        def all_of(column: Any) -> list[str]:
            return [str(each) for each in connection.execute(select(column).limit(40)).scalars()]

        return {"record": all_of(record.c.id), "package": all_of(package.c.id)}

    found = console.write(look)
    _, orders, _ = ask(console, operator, "/orders/open?limit=2")
    _, waiting, _ = ask(console, operator, "/codes/unmapped")
    return found | {
        "visit": [str(orders["items"][0]["visit"])],
        "order": [orders["items"][0]["order_code"]],
        "waiting": [each["id"] for each in waiting["items"][:2]],
        "delivery": ["1"],
        "login": ["operator-zh-0", "clinic-zh-1"],
    }


def test_every_answer_that_is_read_is_just_as_the_document_says(
    console: RunningConsole, operator: str, clinic: str
) -> None:
    """``ask`` holds each answer against the document."""
    parts = paths_of(console, operator)
    seen: list[str] = []
    for each in OPERATIONS:
        if each.method != "GET" or each.media != "application/json" or each.name == "describe":
            continue
        mine = each.guard is Permission.RECEIVE_RESULTS
        names = re.findall(r"\{(\w+)\}", each.path)
        if any(name not in parts for name in names):
            continue
        for number in range(max([len(parts[name]) for name in names], default=1)):
            path = each.path
            for name in names:
                path = path.replace(f"{{{name}}}", parts[name][number % len(parts[name])])
            status, told, _ = ask(console, clinic if mine else operator, path)
            if status == 409:  # a receipt that holds no results cannot be tried again
                continue
            assert status == 200, (path, told)
            seen.append(each.name)
    whole = {each.name for each in OPERATIONS if each.method == "GET" and "{" not in each.path}
    assert whole - set(seen) <= {"describe", "watch"}
    assert {"showRecord", "showPackage", "showPerson", "showEntry", "showUnmapped"} <= set(seen)


def test_what_a_list_shows_of_a_result_is_masked(
    console: RunningConsole, clinic: str, operator: str
) -> None:
    for token, path in ((clinic, "/inbox"), (operator, "/critical")):
        _, told, _ = ask(console, token, path)
        assert told["items"][0]["records"], path
        assert "•" in told["items"][0]["patient"]
    for number in paths_of(console, operator)["record"]:
        _, told, _ = ask(console, operator, f"/records/{number}")
        text = json.dumps(told, ensure_ascii=False)
        for each in (*PEOPLE, STRANGER):
            assert each.national_id not in text
            assert each.name not in text
            assert each.name.replace("^", "") not in text


def test_a_person_is_added_changed_locked_reset_and_each_is_noted(
    console: RunningConsole, operator: str, clinic: str
) -> None:
    asked = {"login": "new-1", "name": "新人", "role": "clinic", "institutions": [CLINIC]}
    assert_problem(ask(console, clinic, "/people", asked), 403, "not-allowed")
    status, made, _ = ask(console, operator, "/people", asked)
    assert (status, made["login"]) == (200, "new-1")
    assert re.fullmatch(r"(\w{5}-){3}\w{5}", made["code"])
    assert_problem(ask(console, operator, "/people", asked), 409, "login-taken")
    nowhere = {"login": "new-2", "role": "clinic"}
    assert_problem(ask(console, operator, "/people", nowhere), 409, "institutions-needed")
    _, shown, _ = ask(console, operator, "/people/new-1")
    assert (shown["role"], shown["institutions"], shown["state"]) == ("clinic", [CLINIC], "new")
    assert made["code"] not in json.dumps(shown)
    _, shown, _ = ask(console, operator, "/people/new-1/change", {"institutions": [OTHER, CLINIC]})
    assert shown["institutions"] == sorted([OTHER, CLINIC])
    assert ask(console, operator, "/people/new-1/disable", {})[1]["login"] == "new-1"
    assert ask(console, operator, "/people/new-1")[1]["state"] == "disabled"
    assert ask(console, operator, "/people/new-1/enable", {})[0] == 200
    _, again, _ = ask(console, operator, "/people/new-1/reset", {})
    assert again["code"] != made["code"]
    done = [action for who, action in actions(console, "person", "new-1")]
    assert done == ["add", "change", "disable", "enable", "reset"]
    assert {who for who, _ in actions(console, "person", "new-1")} == {"operator-zh-0"}
    for path in ("", "/change", "/disable", "/enable", "/reset"):
        body = {"role": "lab"} if path == "/change" else None if path == "" else {}
        assert_problem(ask(console, operator, f"/people/nobody-1{path}", body), 404, "not-found")
    assert_problem(ask(console, operator, "/people/UPPER"), 400, "wrong-parameter")

    def stand_alone(connection: Any) -> None:
        connection.execute(
            update(person)
            .where(person.c.role == "operator", person.c.login != "operator-zh-0")
            .values(disabled_at=datetime.now(UTC))
        )

    console.write(stand_alone)
    told = ask(console, operator, "/people/operator-zh-0/disable", {})
    assert_problem(told, 409, "last-operator")


def test_people_are_read_page_by_page(console: RunningConsole, operator: str) -> None:
    _, whole, _ = ask(console, operator, "/people?limit=200")
    logins = [each["login"] for each in whole["items"]]
    assert len(logins) > 2
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        _, told, _ = ask(console, operator, f"/people?limit=1&after={after}")
        found += [each["login"] for each in told["items"]]
        after = told["next"]
    assert found == logins == sorted(logins)


def test_what_is_shown_once_is_kept_nowhere_not_even_under_its_key(
    console: RunningConsole, operator: str
) -> None:
    asked = {"login": "key-1", "role": "auditor"}
    _, made, _ = ask(console, operator, "/people", asked, key="person-1")
    told = ask(console, operator, "/people", asked, key="person-1")
    assert_problem(told, 409, "answer-not-kept")
    token = {"login": "key-1", "name": "n", "scopes": ["see-audit"]}
    _, given, _ = ask(console, operator, "/tokens", token, key="token-1")
    told = ask(console, operator, "/tokens", token, key="token-1")
    assert_problem(told, 409, "answer-not-kept")
    _, listed, _ = ask(console, operator, "/tokens?limit=200")
    assert [each["login"] for each in listed["items"]].count("key-1") == 1, "done once"

    def kept(connection: Any) -> bytes:
        bodies = connection.execute(select(api_call.c.body)).scalars()
        return b"".join(each for each in bodies if each)

    stored = console.write(kept)
    assert b"answer-not-kept" in stored
    for secret in (made["code"], given["token"]):
        assert secret.encode() not in stored
        assert secret not in json.dumps(listed)


def test_a_token_opens_until_it_is_revoked(console: RunningConsole, operator: str) -> None:
    ask(console, operator, "/people", {"login": "machine-1", "role": "auditor"})
    asked = {"login": "machine-1", "name": "collector", "scopes": ["see-audit"], "days": 30}
    _, made, _ = ask(console, operator, "/tokens", asked)
    assert ask(console, made["token"], "/audit")[0] == 200
    assert_problem(ask(console, made["token"], "/records"), 403, "not-allowed")
    (found,) = [
        each
        for each in ask(console, operator, "/tokens")[1]["items"]
        if each["login"] == "machine-1"
    ]
    assert (found["scopes"], found["revoked_at"]) == (["see-audit"], None)
    assert ask(console, operator, f"/tokens/{found['id']}/revoke", {})[0] == 200
    assert_problem(ask(console, made["token"], "/audit"), 401, "not-signed-in")
    assert_problem(ask(console, operator, "/tokens/999999/revoke", {}), 404, "not-found")
    beyond = {**asked, "scopes": ["operate"]}
    assert_problem(ask(console, operator, "/tokens", beyond), 409, "scope-unknown")
    for wrong in ({"login": "nobody-1"}, {"certificate": "no PEM"}):
        status = ask(console, operator, "/tokens", {**asked, **wrong})[0]
        assert status == (404 if "login" in wrong else 409)


def test_settings_say_where_they_come_from_and_tell_no_secret(
    console: RunningConsole, operator: str, clinic: str
) -> None:
    assert_problem(ask(console, clinic, "/settings"), 403, "not-allowed")
    _, told, _ = ask(console, operator, "/settings")
    found = {each["path"]: each for each in told["items"]}
    assert found["http.port"]["meaning"]
    assert {each["place"] for each in told["items"]} <= {"default", "file", "environment"}
    _, some, _ = ask(console, operator, "/settings?set=true")
    assert all(each["place"] != "default" for each in some["items"])


def test_cards_are_those_of_ones_own_institutions(
    console: RunningConsole, operator: str, clinic: str, stranger: str
) -> None:
    assert [each["institution_code"] for each in ask(console, clinic, "/cards")[1]["items"]] == [
        CLINIC
    ]
    assert ask(console, stranger, "/cards")[1] == {"items": [], "agents": []}
    assert len(ask(console, operator, "/cards")[1]["items"]) >= 1


RESULT = {
    "collected_at": "2026-03-01T09:05",
    "reported_at": "2026-03-02T10:00+08:00",
    "rows": [{"item": "Sodium", "value": "140", "unit": "mmol/L", "reference": "136-145"}],
}


def source_for_entry(console: RunningConsole, token: str) -> str:
    _, orders, _ = ask(console, token, "/orders/open?limit=1")
    first = orders["items"][0]
    path = f"/visits/{first['visit']}/orders/{first['order_code']}"
    return str(ask(console, token, path)[1]["sources"][0])


def test_open_orders_are_read_page_by_page_and_masked(
    console: RunningConsole, clinic: str, stranger: str
) -> None:
    _, whole, _ = ask(console, clinic, "/orders/open?limit=200")
    keys = [(each["visit"], each["order_code"]) for each in whole["items"]]
    assert len(keys) >= 3 * len(PEOPLE)
    found: list[tuple[int, str]] = []
    after: str | None = ""
    while after is not None:
        _, told, _ = ask(console, clinic, f"/orders/open?limit=4&after={after}")
        found += [(each["visit"], each["order_code"]) for each in told["items"]]
        after = told["next"]
    assert found == keys
    assert not [each for each in PEOPLE if each.national_id in json.dumps(whole)]
    assert ask(console, stranger, "/orders/open")[1] == {"items": [], "next": None}
    told = ask(console, clinic, "/orders/open?after=20261399.1")
    assert_problem(told, 400, "wrong-parameter")


def test_a_result_from_paper_goes_the_way_of_all_results(
    console: RunningConsole, clinic: str, stranger: str
) -> None:
    source = source_for_entry(console, clinic)
    _, orders, _ = ask(console, clinic, "/orders/open?limit=200")
    code = "09021C"
    first = next(each for each in orders["items"] if each["order_code"] == code)
    number = first["visit"]
    times = {"collected_at": f"{first['visit_on']}T23:58", "reported_at": f"{datetime.now(UTC)}"}
    path, asked = f"/visits/{number}/orders/{code}/result", {**RESULT, **times, "source": source}
    assert_problem(ask(console, stranger, path, asked), 404, "not-found")
    wrong = {**asked, "source": "nobodys"}
    assert_problem(ask(console, clinic, path, wrong), 409, "source-needed")
    wrong = {**asked, "reported_at": "25:00"}
    assert_problem(ask(console, clinic, path, wrong), 409, "time-needed")
    wrong = {**asked, "rows": [{"item": "Sodium", "value": ""}]}
    assert_problem(ask(console, clinic, path, wrong), 409, "value-needed")
    first = ask(console, clinic, path, asked, key="paper-1")
    assert first[0] == 200, first
    assert ask(console, clinic, path, asked, key="paper-1") == first
    console.at_rest()

    def made(connection: Any) -> list[Any]:
        wanted = select(record).where(record.c.receipt_id == first[1]["receipt"])
        return list(connection.execute(wanted))

    (row,) = console.write(made)
    assert (row.order_code, row.visit_id, row.clinic_code) == (code, number, CLINIC)
    assert actions(console, "receipt", str(first[1]["receipt"])) == [("clinic-zh-1", "enter")]
    _, left, _ = ask(console, clinic, f"/orders/open?visit={number}&limit=200")
    assert code not in [each["order_code"] for each in left["items"]]


def test_a_result_without_a_visit_is_taken_and_waits_for_it(
    console: RunningConsole, clinic: str, stranger: str
) -> None:
    asked = {
        **RESULT,
        "source": source_for_entry(console, clinic),
        "clinic_code": CLINIC,
        "national_id": STRANGER.national_id.lower(),
        "birth_on": STRANGER.birth_on.isoformat(),
        "order_code": "09021C",
    }
    _, form, _ = ask(console, clinic, "/results/form?order=09021C")
    assert form["order_code"] == "09021C"
    assert asked["source"] in form["sources"]
    assert form["rows"][0]["value"] == ""
    _, form, _ = ask(console, clinic, "/results/form?order=09005C")
    assert (form["rows"][0]["unit"], form["rows"][0]["remembered"]) == ("mg/dL", True)
    _, form, _ = ask(console, stranger, "/results/form?order=09005C")
    assert not form["rows"][0]["remembered"], "what others were sent is nobody else's"
    assert_problem(ask(console, stranger, "/results", asked), 404, "not-found")
    wrong = {**asked, "birth_on": "1985-02-30"}
    assert_problem(ask(console, clinic, "/results", wrong), 409, "no-such-day")
    status, told, _ = ask(console, clinic, "/results", asked)
    assert status == 200, told
    console.at_rest()

    def made(connection: Any) -> list[Any]:
        wanted = select(record).where(record.c.receipt_id == told["receipt"])
        return list(connection.execute(wanted))

    (row,) = console.write(made)
    assert (row.state, row.held_reason) == ("held", "unmatched")
    assert row.national_id == STRANGER.national_id


def test_a_code_that_waits_has_suggestions_and_what_is_decided_is_listed(
    console: RunningConsole, operator: str, stranger: str
) -> None:
    _, told, _ = ask(console, operator, "/codes/unmapped")
    first = told["items"][0]
    _, shown, _ = ask(console, operator, f"/codes/unmapped/{first['id']}")
    assert shown["code"] == first["code"]
    assert shown["suggestions"], "the demo's codes are like known ones"
    assert shown["suggestions"][0]["reasons"]
    assert_problem(ask(console, operator, "/codes/unmapped/0123456789abcdef"), 404, "not-found")
    assert_problem(ask(console, stranger, "/codes/unmapped"), 403, "not-allowed")
    lab = token_of(console, Role.LAB, ("JYZZ999999", "z"))
    assert ask(console, lab, "/codes/unmapped")[1]["items"] == []
    assert_problem(ask(console, lab, f"/codes/unmapped/{first['id']}"), 404, "not-found")
    best = shown["suggestions"][0]
    asked = {"source": first["source"], "code": first["code"], "order_code": best["order_code"]}
    if best["item"] is not None:
        asked["item"] = best["item"]
    assert_problem(ask(console, lab, "/codes/decisions", asked), 404, "not-found")
    status, done, _ = ask(console, operator, "/codes/decisions", asked)
    assert status == 200, done
    console.at_rest()
    _, decided, _ = ask(console, operator, "/codes/decisions?limit=1")
    assert decided["items"][0]["version"] == done["version"]
    assert "(operator-zh-0)" in decided["items"][0]["decided_by"]
    _, left, _ = ask(console, operator, "/codes/unmapped")
    assert first["id"] not in [each["id"] for each in left["items"]]


def test_reading_again_can_be_tried_first_and_changes_nothing(
    console: RunningConsole, clinic: str, stranger: str
) -> None:
    def states(connection: Any) -> list[Any]:
        return connection.execute(select(record.c.id, record.c.state).order_by(record.c.id)).all()  # type: ignore[no-any-return]

    def of_the_clinic(connection: Any) -> int:
        wanted = select(func.min(record.c.id)).where(record.c.clinic_code == CLINIC)
        return int(connection.execute(wanted).scalar_one())

    number, before = console.write(of_the_clinic), console.write(states)
    status, told, _ = ask(console, clinic, f"/records/{number}/replay")
    assert status == 200, told
    assert told["items"]
    console.at_rest()
    assert console.write(states) == before
    assert_problem(ask(console, stranger, f"/records/{number}/replay"), 404, "not-found")


def test_the_trail_is_verified_and_collected_from_where_one_stopped(
    console: RunningConsole, operator: str
) -> None:
    _, told, _ = ask(console, operator, "/audit/verification")
    assert told["faults"] == []
    whole = console.write(lambda c: verify_trail(c).events)
    assert told["events"] <= whole
    numbers: list[str] = []
    after: str | None = "0"
    while after is not None:
        _, told, _ = ask(console, operator, f"/audit/fhir?limit=20&after={after}")
        numbers += [each["id"] for each in told["items"]]
        after = told["next"]
    assert numbers == [str(number + 1) for number in range(len(numbers))]
    assert len(numbers) >= whole


def test_a_check_report_is_taken_from_those_whose_packages_it_speaks_of(
    console: RunningConsole, clinic: str, stranger: str, operator: str
) -> None:
    def receipts(connection: Any) -> int:
        found: int = connection.execute(
            select(func.count()).where(receipt.c.media == "check-report")
        ).scalar_one()
        return found

    _, report = a_report(console)
    before = console.write(receipts)
    told = ask(console, clinic, "/check-reports", raw=report)
    assert_problem(told, 415, "wrong-media")
    told = bring(console, clinic, b"no report at all")
    assert told[0] == 409, told
    assert_problem(bring(console, stranger, report), 404, "not-found")
    # Its header is the stranger's own; the receipt number in it is another's.
    _, forged = a_report(console, OTHER)
    assert_problem(bring(console, stranger, forged), 404, "not-found")
    coach = token_of(console, Role.COACH, (CLINIC,))
    assert_problem(bring(console, coach, report), 403, "not-allowed")
    assert console.write(receipts) == before
    status, told, _ = bring(console, clinic, report)
    assert status == 200, told
    assert (told["state"], told["problem"]) == ("parsed", "")
    assert console.write(receipts) == before + 1
    number = str(told["receipt"])
    assert actions(console, "receipt", number) == [("clinic-zh-1", "bring-check-report")]


def test_today_and_the_worklist_tell_what_the_pages_show(
    console: RunningConsole, operator: str, clinic: str, stranger: str
) -> None:
    _, told, _ = ask(console, clinic, "/today")
    assert len(told["flow"]) == 24
    assert told["unread"] > 0
    assert ask(console, operator, "/today")[1]["unread"] is None
    _, told, _ = ask(console, stranger, "/today")
    assert [told[name] for name in ("missed", "at_risk", "calm", "critical", "urgent")] == [
        *(0, 0, 0, 0),
        [],
    ]
    _, told, _ = ask(console, operator, "/worklist?limit=200")
    assert all(each["title"] and each["remedy"] for each in told["items"])
    ids = {each.national_id for each in (*PEOPLE, STRANGER)}
    assert not [each for each in ids if each in json.dumps(told)]
    assert ask(console, clinic, "/me/language", {"language": "en"})[1] == {"language": "en"}
    assert ask(console, clinic, "/me")[1]["language"] == "en"
    assert ask(console, clinic, "/me/language", {"language": "zh"})[0] == 200


def test_a_lab_sees_of_its_sources_what_the_page_shows(
    console: RunningConsole, operator: str
) -> None:
    lab = token_of(console, Role.LAB, (LAB,))
    _, told, _ = ask(console, lab, "/sources")
    assert told["items"]
    assert {each["lab_code"] for each in told["items"]} == {LAB}
    assert len(told["items"]) <= len(ask(console, operator, "/sources")[1]["items"])
