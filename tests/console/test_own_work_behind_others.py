"""What waits for a small institution is on its page, whatever waits for others before it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from broker.access.roles import Role
from broker.demo.people import CLINIC, LAB
from broker.store.code_tables import line_habit, waiting_code
from broker.store.schema import receipt, record
from tests.console.running_console import RunningConsole
from tests.console.test_reach import ask

FOREIGN = 60
NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)


def a_receipt(connection: Any, source_id: str, name: str, state: str = "quarantined") -> int:
    digest = hashlib.sha256(name.encode()).digest()
    made = connection.execute(
        insert(receipt).values(
            source_id=source_id,
            door="folder",
            media="csv",
            control_id="",
            name=name,
            sha256=digest,
            identity=digest[:16],
            received_at=NOW,
            state=state,
            acknowledgement="AA",
            error_code="unreadable",
            error_text="The payload cannot be read.",
            error_texts=json.dumps(
                {"en": ["Not read.", "Send again."], "zh": ["無法讀取。", "請重送。"]}
            ),
            raw=b"x",
        )
    )
    return int(made.inserted_primary_key[0])


@pytest.fixture(scope="module", autouse=True)
def waiting(console: RunningConsole) -> None:
    """Sixty of a stranger's, then one of the laboratory's and clinic's own, of each kind."""

    def fill(connection: Any) -> None:
        wanted = (*[("strange", f"s{n}", "3599900099") for n in range(FOREIGN)],)
        for source_id, name, clinic in (*wanted, ("demo-files", "own", CLINIC)):
            number = a_receipt(connection, source_id, f"{name}.csv")
            connection.execute(
                insert(record).values(
                    receipt_id=number,
                    slot="1/x",
                    place="1",
                    order_identity=f"task {name}",
                    version=1,
                    state="superseded",
                    clinic_code=clinic,
                    order_code="09005C",
                    task="sent-order-cancelled",
                )
            )
            connection.execute(
                insert(waiting_code).values(
                    receipt_id=number, source_id=source_id, place="1", code=f"W{name}", name=""
                )
            )
            connection.execute(
                insert(line_habit).values(
                    source_id=source_id,
                    local_code=f"H{name}",
                    specimen="",
                    kind="unit",
                    group_name="",
                    value="mmol/L",
                    known=False,
                    receipt_id=number,
                    seen_at=NOW,
                )
            )
        # The order in which rows are read is that of their ids.
        last = connection.execute(select(func.max(record.c.id))).scalar()
        connection.execute(update(record).where(record.c.id == last).values(place="own-task"))

    console.write(fill)


def test_a_clinic_sees_its_own_task_behind_sixty_of_others(console: RunningConsole) -> None:
    def last(connection: Any) -> int:
        return int(connection.execute(select(func.max(record.c.id))).scalar())

    _, page = ask(console, "/worklist", console.sign_in(Role.CLINIC, [CLINIC]))
    assert f"/records/{console.write(last)}" in page
    assert page.count("3599900099") == 0


def test_a_laboratory_sees_its_own_unread_file_behind_sixty_of_others(
    console: RunningConsole,
) -> None:
    _, page = ask(console, "/worklist", console.sign_in(Role.LAB, [LAB]))
    assert "own.csv" in page
    assert "s59.csv" not in page


def test_an_unread_file_is_told_in_the_readers_language_with_what_to_do(
    console: RunningConsole,
) -> None:
    _, page = ask(console, "/worklist", console.sign_in(Role.LAB, [LAB]))
    assert "無法讀取。" in page
    assert "請重送。" in page
    assert "沒有待處理事項" not in page


def test_a_laboratory_sees_its_own_codes_and_changes_behind_sixty_of_others(
    console: RunningConsole,
) -> None:
    _, page = ask(console, "/codes", console.sign_in(Role.LAB, [LAB]))
    assert "Wown" in page
    assert "Hown" in page
    assert "Ws5" not in page
    assert "Hs5" not in page
