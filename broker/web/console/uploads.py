"""Uploads: the packages and where they stand; a person's word settles one that is unknown."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from broker.access.roles import Permission
from broker.states import PackageState
from broker.store.hand_uploads import may_be_told
from broker.store.package_list import WholePackage, list_packages, open_packages, whole_package
from broker.web.console.actions import (
    Notice,
    Subject,
    audit,
    done,
    form_of,
    name_of,
    notice_of,
    order,
    refused,
)
from broker.web.console.desk import DESK
from broker.web.console.provenance import code_in_words
from broker.web.console.rendering import language_of, not_there, render
from broker.web.identity import person_of, requires
from mapping.errors import LabbrokerError

PAGE = 40
_SHOWN_ANSWER = 4000


@requires(Permission.SEE_UPLOADS)
async def show_uploads(request: web.Request) -> web.Response:
    """A page of packages, the newest first."""
    desk, reach = request.app[DESK], person_of(request).reach
    states = {each.value for each in PackageState}
    state = request.query.get("state", "")
    state = state if state in states else ""
    after = request.query.get("after", "")
    before = int(after) if after.isascii() and after.isdigit() and len(after) < 12 else 0
    rows, waiting = await desk.read(
        lambda c: (
            list_packages(c, reach, PAGE, state=state, before=before),
            open_packages(c, reach),
        )
    )
    shown = rows[:PAGE]
    more = f"/uploads?state={state}&after={shown[-1].id}" if len(rows) > PAGE else ""
    return render(
        request,
        "uploads.html",
        "uploads",
        rows=shown,
        waiting=waiting,
        more=more,
        after=before,
        state=state,
        states=[each.value for each in PackageState],
        notice=notice_of(request),
    )


@requires(Permission.SEE_UPLOADS)
async def show_upload(request: web.Request, notice: Notice | None = None) -> web.Response:
    """One package: its records, each attempt, the verdict."""
    whole = await _require(request)
    language = language_of(person_of(request))
    codes = {code for row in whole.records for code in row.verdict_code.split(",") if code}
    return render(
        request,
        "upload.html",
        "uploads",
        whole=whole,
        row=whole.row,
        code_names={code: code_in_words(code, language) for code in codes},
        may_be_told=may_be_told(whole.row.state),
        is_unknown=whole.row.state == PackageState.UNKNOWN.value,
        notice=notice or notice_of(request),
        back=request.path,
    )


@requires(Permission.SETTLE)
async def settle_upload(request: web.Request) -> web.Response:
    """Take a person's word: it was uploaded (with its receipt number and time), or it was not."""
    whole, form = await _require(request), await form_of(request)
    body: dict[str, Any] = {"package": whole.row.stem, "by": name_of(request)}
    if form.get("word") == "absent":
        body["uploaded"] = False
    else:
        body |= {
            "receipt_number": form.get("receipt_number", ""),
            "uploaded_at": form.get("uploaded_at", ""),
        }
    try:
        await order(request, "uploaded", body)
    except LabbrokerError as error:
        language = language_of(person_of(request))
        return await show_upload(request, notice=refused(error, language))
    subject = Subject("package", str(whole.row.id), whole.row.institution_code)
    await audit(request, "settle", subject, {"word": form.get("word", "uploaded")[:20]})
    raise done(f"/uploads/{whole.row.id}", "settled")


async def _require(request: web.Request) -> WholePackage:
    package_id, reach = int(request.match_info["package"]), person_of(request).reach
    whole = await request.app[DESK].read(lambda c: whole_package(c, reach, package_id))
    if whole is None:
        raise not_there(request)
    return whole
