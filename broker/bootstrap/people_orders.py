"""People at the control door, and the first of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from broker.people_desk import PEOPLE_ORDERS, PeopleOrder
from broker.store.people import first_administrator
from broker.store.writer import Writer
from broker.web.control import Order

FIRST_SIGN_IN = "first-sign-in.txt"


def people_orders(writer: Writer, clock: Callable[[], datetime]) -> Mapping[str, Order]:
    """The orders of the control door by their names."""

    def order(work: PeopleOrder) -> Order:
        async def obey(raw: bytes, _: Mapping[str, str]) -> dict[str, Any]:
            told = json.loads(raw)
            return await writer.write(lambda c: work(c, told, clock()))

        return obey

    return {name: order(work) for name, work in PEOPLE_ORDERS.items()}


def make_first_administrator(connection: Connection, folder: Path, now: datetime) -> bool:
    """Where there is nobody yet: the operator ``admin``, with the code for the first sign-in in
    ``first-sign-in.txt`` of the data folder, which the service's own user alone can read."""
    made = first_administrator(connection, now)
    if made is None:
        return False
    login, code = made
    path = folder / FIRST_SIGN_IN
    path.unlink(missing_ok=True)
    # Before the commit: a code that nobody can read would lock everybody out.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(
            f"login: {login}\ncode: {code}\n\n"
            "Open the console (http://127.0.0.1:8080/ unless the settings say otherwise), type "
            "both, choose a password. The code opens once and holds for seven days.\n"
            "請以瀏覽器開啟操作畫面（預設 http://127.0.0.1:8080/），輸入上列帳號與代碼後設定密碼。"
            "代碼僅可使用一次，七日內有效。\n"
        )
    return True


def first_code(folder: Path) -> tuple[str, str] | None:
    """Login and code of the first sign-in; None once a password has been chosen."""
    try:
        lines = (folder / FIRST_SIGN_IN).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return None
    return lines[0].removeprefix("login: "), lines[1].removeprefix("code: ")


def forget_first_code(folder: Path) -> None:
    """A password was chosen: the file has done its duty."""
    (folder / FIRST_SIGN_IN).unlink(missing_ok=True)
