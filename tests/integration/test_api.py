"""The API: one table of operations, errors in one shape, each thing done once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from aiohttp import ClientSession
from hypothesis import HealthCheck, given, settings
from jsonschema_rs import Draft202012Validator, meta
from schemathesis.core.result import Ok
from sqlalchemy import func, insert, select, update

from adapters.ports.intake import StorageUnavailable
from adapters.ports.signing import sign
from broker.access.roles import Permission, Role, permissions_of
from broker.demo.people import CLINIC, LAB
from broker.store.access_tables import audit_event
from broker.store.delivery_tables import critical_result, outgoing
from broker.store.report_tables import lab_report
from broker.store.schema import record
from broker.store.tokens import add_token
from broker.web.api.openapi import openapi_document
from broker.web.api.routes import OPERATIONS
from broker.web.api.shapes import what_is_wrong
from tests.console.running_console import RunningConsole, running_console

OTHER = "3599999999"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("api")) as running:
        running.write(put_into_inbox)
        yield running


def put_into_inbox(connection: Any) -> None:
    """Every report of the clinic, as an agreement on an inbox would have queued it."""
    now = datetime.now(UTC)
    reports = connection.execute(
        select(lab_report).where(lab_report.c.clinic_code == CLINIC).order_by(lab_report.c.id)
    ).all()
    for each in reports:
        connection.execute(
            insert(outgoing).values(
                destination="box",
                kind="inbox",
                clinic_code=CLINIC,
                lab_code=each.lab_code,
                receipt_id=each.receipt_id,
                number=each.number,
                state="queued",
                queued_at=now,
            )
        )
    connection.execute(
        insert(critical_result).values(
            receipt_id=reports[0].receipt_id,
            number=reports[0].number,
            line=1,
            said=b"",
            clinic_code=CLINIC,
            lab_code=reports[0].lab_code,
            source_id=reports[0].source_id,
            reason="flag",
            found_at=now,
        )
    )


def token_of(console: RunningConsole, role: Role, institutions: tuple[str, ...] = ()) -> str:
    """A token with all that the role may do."""
    console.sign_in(role, institutions)
    login = f"{role.value}-zh-{len(institutions)}"
    scopes = [each.value for each in permissions_of(role)]
    now = datetime.now(UTC)
    return console.write(lambda c: add_token(c, login, "test", scopes, now, "test"))


@pytest.fixture(scope="module")
def clinic(console: RunningConsole) -> str:
    return token_of(console, Role.CLINIC, (CLINIC,))


@pytest.fixture(scope="module")
def operator(console: RunningConsole) -> str:
    return token_of(console, Role.OPERATOR)


def ask(
    console: RunningConsole,
    token: str,
    path: str,
    body: Any = None,
    *,
    method: str = "",
    key: str = "",
    raw: bytes | None = None,
    media: str = "application/json",
) -> tuple[int, Any, str]:
    """Status, body (read where it is JSON) and content type."""

    async def go() -> tuple[int, Any, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if key:
            headers["Idempotency-Key"] = key
        data: dict[str, Any] = {}
        if raw is not None:
            data, headers["Content-Type"] = {"data": raw}, media
        elif body is not None:
            data = {"json": body}
        verb = method or ("POST" if data else "GET")
        async with (
            ClientSession() as session,
            session.request(
                verb, console.url + "/api/v1" + path, headers=headers, **data
            ) as answer,
        ):
            read = await answer.read()
            kind = answer.content_type
            return answer.status, json.loads(read) if kind.endswith("json") else read, kind

    told = asyncio.run(go())
    if told[0] == 200 and told[2] == "application/json":
        require_as_told(
            method or ("GET" if body is None and raw is None else "POST"), path, told[1]
        )
    return told


def require_as_told(method: str, path: str, body: Any) -> None:
    """The answer has all members that the document names, each in its shape, and no others."""
    for each in OPERATIONS:
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(each.path))
        if each.method == method and re.fullmatch(pattern, path.partition("?")[0]):
            if each.name != "describe":
                errors = list(_validator(each.name).iter_errors(body))
                assert not errors, (path, errors[0].message, list(errors[0].instance_path))
            return
    raise AssertionError(f"the document does not name {method} {path}")


@cache
def _validator(name: str) -> Draft202012Validator:
    (operation,) = (each for each in OPERATIONS if each.name == name)
    return Draft202012Validator(_exact(operation.answers))


def _exact(schema: Any) -> Any:
    """A schema that allows no member that it does not name."""
    if isinstance(schema, dict):
        made = {name: _exact(each) for name, each in schema.items()}
        if "properties" in schema:
            made.setdefault("additionalProperties", False)
        return made
    return [_exact(each) for each in schema] if isinstance(schema, list) else schema


def assert_problem(told: tuple[int, Any, str], status: int, code: str) -> None:
    assert told[0] == status, told
    assert told[2] == "application/problem+json"
    assert {"type", "title", "status", "code"} <= told[1].keys()
    assert (told[1]["status"], told[1]["code"]) == (status, code)


def test_the_document_is_open_and_names_every_operation_of_the_table(
    console: RunningConsole,
) -> None:
    status, document, _ = ask(console, "", "/openapi.json")
    assert status == 200
    assert document["openapi"] == "3.1.0"
    named = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert named == {(each.method, each.path) for each in OPERATIONS}
    ids = [each["operationId"] for item in document["paths"].values() for each in item.values()]
    assert len(ids) == len(set(ids))


def test_the_reference_page_has_the_table_of_operations() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/api.md").read_text(encoding="utf-8")
    rows = {
        f"| `{each.method}` | `{each.path}` | {each.guard.value} | {each.summary} |"
        for each in OPERATIONS
    }
    assert {line for line in page.splitlines() if line.startswith("| `")} == rows


def test_every_schema_is_one_that_the_checker_knows() -> None:
    for each in OPERATIONS:
        for schema in (*each.path_parts.values(), *each.query.values(), each.body or {}):
            what_is_wrong(schema, {})
        assert (each.body is None) == (each.method == "GET"), each.name
        assert meta.is_valid(dict(each.answers)), each.name
        assert each.answers != {"type": "object"} or each.name == "describe", each.name


def test_every_list_can_be_read_page_by_page_without_gap_or_repeat(
    console: RunningConsole, operator: str, clinic: str
) -> None:
    for token, path in ((operator, "/records"), (operator, "/packages"), (clinic, "/inbox")):
        _, whole, _ = ask(console, token, f"{path}?limit=200")
        ids = [each["id"] for each in whole["items"]]
        assert len(ids) > 0
        found: list[int] = []
        after: str | None = ""
        while after is not None:
            _, told, _ = ask(
                console, token, f"{path}?limit=2" + (f"&after={after}" if after else "")
            )
            found += [each["id"] for each in told["items"]]
            after = told["next"]
        assert found == ids


def test_errors_have_one_shape(console: RunningConsole, clinic: str, operator: str) -> None:
    assert_problem(ask(console, "", "/records"), 401, "not-signed-in")
    assert_problem(ask(console, "lb_wrong", "/records"), 401, "not-signed-in")
    assert_problem(ask(console, clinic, "/sources"), 403, "not-allowed")
    assert_problem(ask(console, clinic, "/records/999999"), 404, "not-found")
    assert_problem(ask(console, clinic, "/nothing"), 404, "not-found")
    assert_problem(ask(console, clinic, "/records", {}, method="DELETE"), 405, "method-not-allowed")
    assert_problem(ask(console, clinic, "/records?limit=0"), 400, "wrong-parameter")
    assert_problem(ask(console, clinic, "/records?limit=1&limit=2"), 400, "wrong-parameter")
    assert_problem(ask(console, clinic, "/records?unknown=1"), 400, "wrong-parameter")
    path = "/records/1/decide"
    assert_problem(ask(console, operator, path, raw=b"{"), 400, "not-json")
    assert_problem(ask(console, operator, path, raw=b'{"visit": NaN}'), 400, "not-json")
    assert_problem(ask(console, operator, path, {}), 422, "wrong-body")
    assert_problem(ask(console, operator, path, {"visit": "1"}), 422, "wrong-body")
    assert_problem(ask(console, operator, path, {"visit": True}), 422, "wrong-body")
    assert_problem(ask(console, operator, path, {"reason": "a", "x": 1}), 422, "wrong-body")
    fix = "/worklist/00000000/fix"
    assert_problem(ask(console, operator, fix, {"accept": False}), 422, "wrong-body")
    assert_problem(ask(console, operator, fix, {"accept": True, "again": True}), 422, "wrong-body")
    assert_problem(ask(console, operator, path, {"visit": 1, "reason": "a"}), 422, "wrong-body")
    told = ask(console, operator, fix, {"accept": True})
    assert_problem(told, 409, "no-such-group")
    assert told[1]["title_zh"]


def test_a_record_shows_its_patient_only_where_asked_and_notes_it(
    console: RunningConsole, clinic: str
) -> None:
    def national_id(connection: Any) -> tuple[int, str]:
        row = connection.execute(
            select(record.c.id, record.c.national_id).where(record.c.clinic_code == CLINIC)
        ).first()
        return row.id, row.national_id

    def shown(connection: Any) -> int:
        count: int = connection.execute(
            select(func.count()).where(audit_event.c.action == "show-patient")
        ).scalar_one()
        return count

    number, secret = console.write(national_id)
    _, told, _ = ask(console, clinic, f"/records/{number}")
    assert secret not in json.dumps(told)
    before = console.write(shown)
    _, told, _ = ask(console, clinic, f"/records/{number}/patient")
    assert told["national_id"] == secret
    assert told["header"]["h9"] == secret
    assert console.write(shown) == before + 1


def test_a_clinic_reads_its_results_and_says_so(console: RunningConsole, clinic: str) -> None:
    _, told, _ = ask(console, clinic, "/inbox?unread=true")
    number = told["items"][-1]["id"]
    assert "A199" not in json.dumps(told), "a list masks the patient"
    _, result, _ = ask(console, clinic, f"/inbox/{number}")
    assert result["result"]["patient"]["name"].startswith("測試")
    assert result["result"]["lines"][0]["value"]
    status, pdf, kind = ask(console, clinic, f"/inbox/{number}/document?format=pdf")
    assert (status, pdf[:5], kind) == (200, b"%PDF-", "application/pdf")
    assert ask(console, clinic, f"/inbox/{number}/document?format=csv")[2] == "text/csv"
    assert ask(console, clinic, f"/inbox/{number}/read", {})[1] == {"read": True}
    _, after, _ = ask(console, clinic, "/inbox?unread=true")
    assert number not in [each["id"] for each in after["items"]]
    stranger = token_of(console, Role.CLINIC, (OTHER, "x"))
    assert ask(console, stranger, "/inbox")[1] == {"items": [], "next": None}
    for path in (f"/inbox/{number}", f"/inbox/{number}/document", f"/deliveries/{number}"):
        assert_problem(ask(console, stranger, path), 404, "not-found")
    settle = f"/deliveries/{number}/settle"
    assert_problem(ask(console, clinic, settle, {}), 404, "not-found")
    for path in (
        f"/inbox/{number}/read",
        f"/deliveries/{number}/again",
        settle,
        "/critical/1/confirm",
    ):
        assert_problem(ask(console, stranger, path, {}), 404, "not-found")


def test_a_refused_delivery_is_settled_once_and_it_is_noted(
    console: RunningConsole, clinic: str
) -> None:
    def refuse(connection: Any) -> int:
        number: int = connection.execute(
            select(func.max(outgoing.c.id)).where(outgoing.c.clinic_code == CLINIC)
        ).scalar_one()
        connection.execute(
            update(outgoing).where(outgoing.c.id == number).values(state="refused", answer="AE")
        )
        return number

    number = console.write(refuse)
    path = f"/deliveries/{number}/settle"
    stranger = token_of(console, Role.CLINIC, (OTHER, "x"))
    assert_problem(ask(console, stranger, path, {}), 404, "not-found")
    assert ask(console, clinic, path, {})[1] == {"settled": True}
    assert_problem(ask(console, clinic, path, {}), 404, "not-found")
    told = ask(console, clinic, f"/deliveries/{number}")[1]
    assert (told["state"], told["settled_by"]) == ("refused", "clinic-zh-1")
    noted = console.write(
        lambda c: c.execute(
            select(audit_event.c.subject).where(audit_event.c.action == "settle-delivery")
        ).all()
    )
    assert [row.subject for row in noted] == [str(number)]


def test_who_told_of_a_critical_result_cannot_say_that_it_was_heard(
    console: RunningConsole,
) -> None:
    lab = token_of(console, Role.LAB, (LAB,))
    (found,) = ask(console, lab, "/critical")[1]["items"]
    assert_problem(ask(console, lab, f"/critical/{found['id']}/confirm", {}), 403, "not-allowed")
    # A group's office that also runs the laboratory: the result is not of a clinic of its own.
    office = token_of(console, Role.CLINIC, (LAB, OTHER, "y"))
    assert len(ask(console, office, "/critical")[1]["items"]) == 1
    assert_problem(ask(console, office, f"/critical/{found['id']}/confirm", {}), 404, "not-found")
    assert ask(console, lab, "/critical")[1]["items"] == [found]


def test_a_critical_result_is_open_until_somebody_confirms_it(
    console: RunningConsole, clinic: str
) -> None:
    _, told, _ = ask(console, clinic, "/critical")
    (found,) = told["items"]
    assert found["confirmed_at"] is None
    for _ in range(2):
        _, told, _ = ask(console, clinic, f"/critical/{found['id']}/confirm", {})
        assert told == {"confirmed_by": "clinic-zh-1"}
    assert ask(console, clinic, "/critical")[1]["items"] == []
    _, told, _ = ask(console, clinic, "/critical?unconfirmed=false")
    assert told["items"][0]["confirmed_by"] == "clinic-zh-1"

    def noted(connection: Any) -> int:
        count: int = connection.execute(
            select(func.count()).where(audit_event.c.action == "confirm-critical")
        ).scalar_one()
        return count

    assert console.write(noted) == 1


def test_a_call_under_one_key_is_done_once_and_answered_alike(
    console: RunningConsole, clinic: str
) -> None:
    _, told, _ = ask(console, clinic, "/inbox?unread=true")
    path = f"/inbox/{told['items'][0]['id']}/read"
    first = ask(console, clinic, path, {}, key="k-1")
    assert first == ask(console, clinic, path, {}, key="k-1")
    other = f"/inbox/{told['items'][1]['id']}/read"
    assert_problem(ask(console, clinic, other, {}, key="k-1"), 409, "key-used")
    assert_problem(ask(console, clinic, path, {}, key="no blanks"), 400, "wrong-parameter")
    again = f"/deliveries/{told['items'][0]['id']}/again"
    one = ask(console, clinic, again, {}, key="k-2")
    assert one[0] == 200
    assert ask(console, clinic, again, {}, key="k-2") == one
    # A refusal before anything was done does not use the key up.
    assert_problem(ask(console, clinic, "/critical/99/confirm", {}, key="k-3"), 404, "not-found")
    assert ask(console, clinic, "/critical/1/confirm", {}, key="k-3")[0] == 200


def test_what_was_answered_under_a_key_is_not_told_again_to_one_who_may_see_less(
    console: RunningConsole, operator: str
) -> None:
    coach = token_of(console, Role.COACH, (CLINIC,))
    assert ask(console, coach, "/me/language", {"language": "en"}, key="k-4")[0] == 200
    change = "/people/coach-zh-1/change"
    assert ask(console, operator, change, {"institutions": [OTHER]})[0] == 200
    told = ask(console, coach, "/me/language", {"language": "en"}, key="k-4")
    assert_problem(told, 409, "key-used")
    assert "under a new key" in told[1]["detail"]
    assert ask(console, operator, change, {"institutions": [CLINIC]})[0] == 200
    assert ask(console, coach, "/me/language", {"language": "en"}, key="k-4")[0] == 200


def test_a_store_that_is_away_is_said_so_and_the_key_tells_that_nobody_knows(
    console: RunningConsole, clinic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StorageUnavailable(reason="test")

    with monkeypatch.context() as broken:
        broken.setattr("broker.web.api.inbox.person_of", away)
        told = ask(console, clinic, "/inbox/1/read", {}, key="away-1")
        assert_problem(told, 503, "storage-unavailable")
        assert_problem(ask(console, clinic, "/inbox/1/read", {}), 503, "storage-unavailable")
    told = ask(console, clinic, "/inbox/1/read", {}, key="away-1")
    assert_problem(told, 409, "outcome-unknown")


def test_live_views_are_told_counts_of_their_own_clinics_only(
    console: RunningConsole, clinic: str
) -> None:
    status, text, kind = ask(console, clinic, "/events?looks=1")
    assert (status, kind) == (200, "text/event-stream")
    told = json.loads(re.findall(rb"event: pulse\ndata: (.*)\n\n", text)[0])
    assert told["unread"] > 0
    assert sum(told["records"].values()) > 0
    # As on Today: how much lies unread is for who receives results.
    coach = token_of(console, Role.COACH, (CLINIC,))
    _, text, _ = ask(console, coach, "/events?looks=1")
    seen = json.loads(re.findall(rb"data: (.*)\n", text)[0])
    assert seen == {**told, "unread": None}
    stranger = token_of(console, Role.CLINIC, (OTHER, "x"))
    _, text, _ = ask(console, stranger, "/events?looks=1")
    told = json.loads(re.findall(rb"data: (.*)\n", text)[0])
    nothing = {"missed": 0, "at_risk": 0, "calm": 0, "waiting": 0}
    assert told == {"records": {}, "due": nothing, "unread": 0, "critical": 0, "alarms": []}


def test_what_the_pages_show_the_api_shows(console: RunningConsole, operator: str) -> None:
    for path in ("/me", "/rates", "/sources", "/codes/unmapped", "/codes/decisions", "/audit"):
        status, told, _ = ask(console, operator, path)
        assert status == 200, (path, told)
    _, told, _ = ask(console, operator, f"/rates?institution={CLINIC}")
    assert set(told["rates"]) == {"within_24h", "whole_month", "ic_card"}
    _, causes, _ = ask(console, operator, "/worklist")
    assert causes["items"][0]["records"] > 0


def test_a_token_does_what_its_scopes_say_and_no_more(console: RunningConsole) -> None:
    console.sign_in(Role.CLINIC, (CLINIC,))
    now = datetime.now(UTC)
    token = console.write(
        lambda c: add_token(c, "clinic-zh-1", "x", [Permission.SEE_RATES.value], now, "test")
    )
    assert ask(console, token, "/rates")[0] == 200
    assert_problem(ask(console, token, "/records"), 403, "not-allowed")


@pytest.mark.slow
def test_schemathesis_finds_no_answer_that_the_document_does_not_tell(
    console: RunningConsole, operator: str
) -> None:
    document = openapi_document([each for each in OPERATIONS if each.name != "watch"], "test")
    schema = schemathesis.openapi.from_dict(document)
    failures: list[str] = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @settings(
            max_examples=2,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def probe(case: Any) -> None:
            headers = {"Authorization": f"Bearer {operator}"}
            case.call_and_validate(base_url=console.url + "/api/v1", headers=headers)

        try:
            probe()
        except BaseException as error:  # noqa: BLE001 - all are told together
            failures.append(f"{operation.label}: {str(error)[:1500]}")
    assert not failures, "\n".join(failures)


def test_the_signature_of_a_hook_is_what_its_page_says() -> None:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    expected = hmac.new(b"k", b"1795132800.body", hashlib.sha256).hexdigest()
    assert sign(b"k", at, b"body") == f"t=1795132800,v1={expected}"
