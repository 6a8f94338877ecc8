"""Settings: what holds now and where each value came from."""

from __future__ import annotations

import os
from itertools import groupby

from aiohttp import web

from broker.access.roles import Permission
from broker.config.origins import SettingOrigin, setting_origins
from broker.web.console.desk import DESK
from broker.web.console.rendering import render
from broker.web.identity import requires


@requires(Permission.SEE_SETTINGS)
async def show_settings(request: web.Request) -> web.Response:
    """All settings by section; ``?set=1`` only those that somebody has set."""
    desk = request.app[DESK]
    file = desk.settings.file
    origins = await desk.read(lambda _: setting_origins(file, os.environ))
    only_set = "set" in request.query
    shown = [each for each in origins if not only_set or each.place != "default"]
    sections: list[tuple[str, list[SettingOrigin]]] = [
        (name, list(rows))
        for name, rows in groupby(shown, key=lambda each: each.path.rpartition(".")[0])
    ]
    return render(
        request, "settings.html", "settings", sections=sections, only_set=only_set, file=file
    )
