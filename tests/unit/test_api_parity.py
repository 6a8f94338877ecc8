"""Everything that the console does, the API does, for the same people."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from broker.web.account import access_routes
from broker.web.api.routes import OPERATIONS
from broker.web.api.shapes import what_is_wrong
from broker.web.console.routes import console_routes
from broker.web.identity import guard_of

PAIRS: dict[tuple[str, str], tuple[str, ...]] = {
    ("POST", "/language"): ("speak",),
    ("GET", "/"): ("showToday", "listAlarms", "watch"),
    ("GET", "/records"): ("listRecords",),
    ("GET", "/records/{record}"): ("showRecord",),
    ("POST", "/records/{record}/patient"): ("showPatient",),
    ("GET", "/records/{record}/replay"): ("tryReplay",),
    ("POST", "/records/{record}/replay"): ("replayRecord",),
    ("POST", "/records/{record}/decide"): ("decideRecord",),
    ("GET", "/worklist"): ("listCauses", "listOthers"),
    ("POST", "/worklist/{group}"): ("fixCause",),
    ("GET", "/uploads"): ("listPackages", "countOpenPackages"),
    ("GET", "/uploads/{package}"): ("showPackage",),
    ("POST", "/uploads/{package}/settle"): ("settlePackage",),
    ("GET", "/inbox"): ("listInbox",),
    ("GET", "/inbox/{delivery}"): ("showResult",),
    ("GET", "/inbox/{delivery}/document"): ("showDocument",),
    ("POST", "/inbox/{delivery}/read"): ("readResult",),
    ("GET", "/critical"): ("listCritical",),
    ("POST", "/critical/{critical}/confirm"): ("confirmCritical",),
    ("GET", "/deliveries"): ("listDeliveries",),
    ("GET", "/deliveries/{delivery}"): ("showDelivery",),
    ("POST", "/deliveries/{delivery}/again"): ("deliverAgain",),
    ("POST", "/deliveries/{delivery}/settle"): ("settleDelivery",),
    ("GET", "/rates"): ("showRates", "showBoard", "listPublished"),
    ("GET", "/rates/{clinic}"): (
        "showRates",
        "cutRates",
        "explainDifference",
        "showWhatWouldHelp",
        "showOutlook",
        "listMissing",
        "showNhiReport",
    ),
    ("GET", "/rates/{clinic}/unuploaded"): ("saveUnuploaded",),
    ("POST", "/rates/{clinic}/nhi-report"): ("bringNhiFile",),
    ("GET", "/sources"): ("listSources",),
    ("GET", "/entry"): ("listOpenOrders",),
    ("GET", "/entry/without-visit"): ("showEntryWithoutVisit",),
    ("POST", "/entry/without-visit"): ("enterResultWithoutVisit",),
    ("GET", "/entry/{visit}/{order}"): ("showEntry",),
    ("POST", "/entry/{visit}/{order}"): ("enterResult",),
    ("GET", "/cards"): ("listCards",),
    ("GET", "/people"): ("listPeople", "showPerson", "listTokens"),
    ("POST", "/people"): (
        "addPerson",
        "changePerson",
        "disablePerson",
        "enablePerson",
        "resetPerson",
        "addToken",
        "revokeToken",
    ),
    ("GET", "/audit"): ("listAudit", "verifyAudit", "exportAudit"),
    ("GET", "/settings"): ("listSettings",),
    ("GET", "/codes"): (
        "listUnmapped",
        "showUnmapped",
        "listChangedCodes",
        "listDecisions",
        "listCodesOfSettings",
    ),
    ("POST", "/codes"): ("decideCode",),
    ("POST", "/codes/confirm"): ("confirmCode",),
    ("GET", "/account"): ("showMe",),
}
"""For each page and each form of the console, the operations with which a program does the same."""

_BROWSER = "a person signs in with a browser; a program has a token or a certificate"
_OWN = "one's own secrets are changed where they are proved: in the browser's session"
EXCEPTIONS = {
    ("GET", "/static/console/{name}"): "style sheets, scripts and pictures of the pages",
    ("GET", "/sign-in"): _BROWSER,
    ("POST", "/sign-in"): _BROWSER,
    ("POST", "/sign-out"): _BROWSER,
    ("GET", "/sign-in/password"): _BROWSER,
    ("POST", "/sign-in/password"): _BROWSER,
    ("GET", "/sign-in/second"): _BROWSER,
    ("POST", "/sign-in/second"): _BROWSER,
    ("GET", "/sign-in/enrol"): _BROWSER,
    ("POST", "/sign-in/enrol"): _BROWSER,
    ("POST", "/account/password"): _OWN,
    ("POST", "/account/second-factor"): _OWN,
    ("POST", "/account/second-factor/code"): _OWN,
    ("POST", "/account/sign-out-everywhere"): _OWN,
}
BY_NAME = {each.name: each for each in OPERATIONS}


def routes_of_the_console() -> dict[tuple[str, str], object]:
    application = web.Application()
    application.add_routes([*console_routes(), *access_routes()])
    return {
        (route.method, route.resource.canonical): route.handler
        for route in application.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


def test_each_page_and_form_of_the_console_has_its_operation_or_a_reason() -> None:
    routes = set(routes_of_the_console())
    assert routes - PAIRS.keys() - EXCEPTIONS.keys() == set(), "without an operation of the API"
    assert (PAIRS.keys() | EXCEPTIONS.keys()) - routes == set(), "the console has no such route"
    assert not PAIRS.keys() & EXCEPTIONS.keys()


@pytest.mark.parametrize("route", sorted(PAIRS), ids=" ".join)
def test_who_may_do_it_at_the_console_may_do_it_by_the_api(route: tuple[str, str]) -> None:
    guard = guard_of(routes_of_the_console()[route])
    for name in PAIRS[route]:
        assert BY_NAME[name].guard == guard, name


def test_what_changes_something_at_the_console_is_a_post_with_an_idempotency_key() -> None:
    for (method, path), names in PAIRS.items():
        verbs = {BY_NAME[name].method for name in names}
        # Who a patient is is only read; that it was shown is in the audit trail all the same.
        expected = "GET" if path.endswith("/patient") else method
        assert verbs == {expected}, path


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "use-the-api.md"
CALLS = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("curl ")]


def test_the_calls_of_the_how_to_page_are_ones_that_the_api_takes() -> None:
    assert len(CALLS) > 10
    for call in CALLS:
        found = re.search(r'"\$API(/[^"?]*)\??([^"]*)"', call)
        assert found is not None, call
        told = re.search(r"--json '([^']*)'", call)
        method = "GET" if told is None else "POST"
        (operation,) = (
            each
            for each in OPERATIONS
            if each.method == method
            and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each.path), found[1])
        )
        assert set(dict(parse_qsl(found[2]))) <= operation.query.keys(), call
        if told is not None:
            assert operation.body is not None
            assert what_is_wrong(operation.body, json.loads(told[1])) == "", call
            assert "Idempotency-Key: " in call
