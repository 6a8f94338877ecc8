"""The desk of the console: the parts of the service that its pages work with."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Engine

from adapters.ports.intake import Door, Intake
from broker.bootstrap.check_report_desk import check_report_desk
from broker.bootstrap.lists import load_groups
from broker.bootstrap.nhi_files import list_passwords, read_nhi_file
from broker.bootstrap.readers import READERS
from broker.config.settings import Settings
from broker.drafting import Drafting
from broker.store.writer import Writer
from broker.web.console.desk import Desk
from broker.web.control import Order
from mapping.profile import SourceProfile


def console_desk(
    settings: Settings,
    writer: Writer,
    reader: Engine,
    clock: Callable[[], datetime],
    profiles: Mapping[str, SourceProfile],
    orders: Mapping[str, Order],
    replay: Callable[[int], Awaitable[bool]],
    drafting: Drafting,
    intake: Intake,
) -> Desk:
    """``orders`` are those of the control door: what a page changes is changed by the same code."""
    # What a trial reads must teach nothing.
    trial = replace(drafting, habits=None)
    reports = check_report_desk(settings, os.environ)
    return Desk(
        settings,
        reader,
        writer.write,
        clock,
        profiles,
        READERS,
        orders,
        replay,
        trial,
        intake.receive,
        lambda: load_groups(settings.lists),
        lambda raw, name: reports.read("", Door.COMMAND.value, raw, name),
        read_nhi_file=lambda raw, name, whose, passwords: read_nhi_file(
            raw, name, whose, (*passwords, *list_passwords(settings, os.environ))
        ),
    )
