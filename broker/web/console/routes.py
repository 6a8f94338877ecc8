"""Which page stands where, and the files that pages are made with."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from aiohttp import web

from broker.store.person_language import set_language
from broker.web.console.audit_trail import show_audit
from broker.web.console.cards import show_cards
from broker.web.console.codes import EVIDENCE, confirm_habit, decide_code, show_codes
from broker.web.console.critical import confirm_result, show_critical
from broker.web.console.deliveries import (
    send_delivery_again,
    settle_delivery,
    show_deliveries,
    show_delivery,
)
from broker.web.console.desk import DESK, Desk
from broker.web.console.entry import show_entry, show_open_orders, take_entry
from broker.web.console.entry_without_visit import (
    show_entry_without_visit,
    take_entry_without_visit,
)
from broker.web.console.inbox import read_result, send_document, show_inbox, show_result
from broker.web.console.kept import Kept
from broker.web.console.people import change_people, show_people
from broker.web.console.rates import BOARDS, show_clinic_rates, show_rates
from broker.web.console.record import (
    decide_record,
    replay_record,
    show_patient,
    show_record,
    show_replay,
)
from broker.web.console.record_list import show_records
from broker.web.console.settings_page import show_settings
from broker.web.console.sources import SCORES, show_sources
from broker.web.console.template_warming import warm_templates
from broker.web.console.today import FLOWS, show_today
from broker.web.console.unuploaded import send_unuploaded, take_nhi_report
from broker.web.console.uploads import settle_upload, show_upload, show_uploads
from broker.web.console.worklist import CARDS, fix_cause, show_worklist
from broker.web.identity import for_anybody, person_of, signed_in

_ID = r"{record:[0-9]{1,12}}"
_PACKAGE = r"{package:[0-9]{1,12}}"
_DELIVERY = r"{delivery:[0-9]{1,12}}"
_VISIT = r"{visit:[0-9]{1,12}}/{order:[0-9A-Za-z]{1,12}}"
_PAGES_OF_CARDS = 64
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def install_console(application: web.Application, desk: Desk) -> None:
    """Add the pages to an application that has its access guard already."""
    application[DESK] = desk
    application[FLOWS] = Kept(desk.clock)
    application[BOARDS] = Kept(desk.clock)
    application[SCORES] = Kept(desk.clock)
    application[EVIDENCE] = Kept(desk.clock)
    application[CARDS] = Kept(desk.clock, most=_PAGES_OF_CARDS)
    application.add_routes(console_routes())
    application.cleanup_ctx.append(warm_templates)


def console_routes() -> list[web.RouteDef]:
    """All routes of the console but for signing in."""
    return [
        web.get("/static/console/{name}", send_static),
        web.post("/language", change_language),
        web.get("/", show_today),
        web.get("/records", show_records),
        web.get(rf"/records/{_ID}", show_record),
        web.post(rf"/records/{_ID}/patient", show_patient),
        web.get(rf"/records/{_ID}/replay", show_replay),
        web.post(rf"/records/{_ID}/replay", replay_record),
        web.post(rf"/records/{_ID}/decide", decide_record),
        web.get("/worklist", show_worklist),
        web.get("/uploads", show_uploads),
        web.get(rf"/uploads/{_PACKAGE}", show_upload),
        web.post(rf"/uploads/{_PACKAGE}/settle", settle_upload),
        web.get("/inbox", show_inbox),
        web.get(rf"/inbox/{_DELIVERY}", show_result),
        web.get(rf"/inbox/{_DELIVERY}/document", send_document),
        web.post(rf"/inbox/{_DELIVERY}/read", read_result),
        web.get("/critical", show_critical),
        web.post(r"/critical/{critical:[0-9]{1,12}}/confirm", confirm_result),
        web.get("/deliveries", show_deliveries),
        web.get(rf"/deliveries/{_DELIVERY}", show_delivery),
        web.post(rf"/deliveries/{_DELIVERY}/again", send_delivery_again),
        web.post(rf"/deliveries/{_DELIVERY}/settle", settle_delivery),
        web.get("/rates", show_rates),
        web.get(r"/rates/{clinic:[0-9A-Z]{10}}", show_clinic_rates),
        web.get(r"/rates/{clinic:[0-9A-Z]{10}}/unuploaded", send_unuploaded),
        web.post(r"/rates/{clinic:[0-9A-Z]{10}}/nhi-report", take_nhi_report),
        web.get("/sources", show_sources),
        web.get("/entry", show_open_orders),
        web.get("/entry/without-visit", show_entry_without_visit),
        web.post("/entry/without-visit", take_entry_without_visit),
        web.get(rf"/entry/{_VISIT}", show_entry),
        web.post(rf"/entry/{_VISIT}", take_entry),
        web.get("/cards", show_cards),
        web.get("/people", show_people),
        web.post("/people", change_people),
        web.get("/audit", show_audit),
        web.get("/settings", show_settings),
        web.get("/codes", show_codes),
        web.post("/codes", decide_code),
        web.post("/codes/confirm", confirm_habit),
        web.post(r"/worklist/{group:[0-9a-f]{8}}", fix_cause),
    ]


@for_anybody
async def send_static(request: web.Request) -> web.Response:
    """A style sheet, script or picture of ours; a browser asks again only whether it changed."""
    found = _static_files().get(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    body, tag, kind = found
    headers = {"ETag": f'"{tag}"', "Cache-Control": "public, max-age=300"}
    if request.headers.get("If-None-Match") == f'"{tag}"':
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)


@cache
def _static_files() -> dict[str, tuple[bytes, str, str]]:
    folder = resources.files("broker.web.console") / "static"
    found = {}
    for entry in folder.iterdir():
        kind = _TYPES.get(entry.name.rpartition(".")[2])
        if kind is not None:
            body = entry.read_bytes()
            found[entry.name] = (body, hashlib.sha256(body).hexdigest()[:16], kind)
    return found


@signed_in
async def change_language(request: web.Request) -> web.Response:
    """Remember the language, and go back to where the person was."""
    form = await request.post()
    language = "en" if form.get("language") == "en" else "zh"
    person_id = person_of(request).person_id
    await request.app[DESK].write(lambda c: set_language(c, person_id, language))
    raise web.HTTPSeeOther(local_path(str(form.get("back", "/"))))


def local_path(path: str) -> str:
    """``path`` where it is one of this site, else the first page."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else "/"
