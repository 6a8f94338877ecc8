"""The trail says who did what, and nobody changes it unseen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, delete, insert, select, update

from broker.audit_export import fhir_audit_event
from broker.cli.main import main
from broker.store.access_tables import audit_event, audit_head
from broker.store.audit import START, digest_of, note
from broker.store.audit_check import (
    ANCHORS,
    Anchor,
    Fault,
    read_anchors,
    verify_trail,
    write_anchor,
)
from broker.store.engine import open_writer

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_writer(tmp_path)
    with engine.begin() as connection:
        for number in range(1, 21):
            look(connection, number)
    yield engine
    engine.dispose()


def look(connection: Connection, number: int) -> None:
    note(
        connection,
        person="lab-1",
        action="show",
        kind="record",
        subject=str(number),
        institution="3501200000",
        at=NOW + timedelta(seconds=number),
        detail={"address": "127.0.0.1"},
    )


def faults(engine: Engine, *anchors: Anchor) -> list[tuple[str, int]]:
    with engine.connect() as connection:
        return [(fault.value, at) for fault, at in verify_trail(connection, anchors).faults]


def anchor(engine: Engine) -> Anchor:
    with engine.connect() as connection:
        head = connection.execute(select(audit_head)).one()
    return Anchor(head.events, head.digest, NOW)


def test_a_trail_as_it_was_written_is_whole(engine: Engine) -> None:
    assert faults(engine, anchor(engine)) == []


def test_the_digest_is_what_the_page_says_it_is() -> None:
    # Computed by hand with sha256sum, so that a trail can be verified without this program.
    digest = digest_of(1, NOW, ("lab-1", "show", "record", "7", "35", "{}"), START)
    assert digest.hex() == "f18a160bcfbeaee20340994d0a71a216ca31b771e469e8dcdba00db0bcab3e29"


COLUMNS = ["person", "action", "kind", "subject", "institution", "detail", "at"]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_value_is_found_at_its_row(engine: Engine, column: str) -> None:
    value = NOW if column == "at" else "another"
    with engine.begin() as connection:
        connection.execute(
            update(audit_event).where(audit_event.c.number == 7).values({column: value})
        )
    assert faults(engine) == [("changed", 7)]


def test_a_row_that_was_changed_with_its_digest_breaks_the_chain_behind_it(
    engine: Engine,
) -> None:
    with engine.begin() as connection:
        _rewrite(connection, 7)
    assert faults(engine) == [("broken", 8)]


@pytest.mark.parametrize("number", [1, 7])
def test_a_row_that_was_taken_out_is_missed(engine: Engine, number: int) -> None:
    with engine.begin() as connection:
        connection.execute(delete(audit_event).where(audit_event.c.number == number))
    assert faults(engine) == [("missing", number), ("broken", number + 1)]


def test_a_row_that_was_put_in_at_the_end_is_found(engine: Engine) -> None:
    with engine.begin() as connection:
        row = connection.execute(select(audit_event).where(audit_event.c.number == 20)).one()
        connection.execute(insert(audit_event).values({**row._mapping, "number": 21}))
    assert faults(engine) == [("changed", 21), ("head", 21)]


def test_a_tail_that_was_cut_off_is_missed_by_the_head(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(delete(audit_event).where(audit_event.c.number > 15))
    assert faults(engine) == [("cut", 20)]


def test_a_tail_that_was_cut_off_with_its_head_is_missed_by_the_anchor(engine: Engine) -> None:
    anchored = anchor(engine)
    with engine.begin() as connection:
        _cut(connection, 15)
    assert faults(engine) == [], "the chain alone does not know"
    assert faults(engine, anchored) == [("cut", 20)]


def test_a_trail_that_was_written_anew_is_found_by_the_anchor(engine: Engine) -> None:
    anchored = anchor(engine)
    with engine.begin() as connection:
        for number in range(7, 21):
            _rewrite(connection, number, relink=True)
        last = connection.execute(select(audit_event).where(audit_event.c.number == 20)).one()
        connection.execute(update(audit_head).values(digest=last.digest))
    assert faults(engine) == [], "the chain alone does not know"
    assert faults(engine, anchored) == [("anchor", 20)]


def test_all_that_is_gone_is_missed(engine: Engine) -> None:
    anchored = anchor(engine)
    with engine.begin() as connection:
        connection.execute(delete(audit_event))
        connection.execute(delete(audit_head))
    assert faults(engine, anchored) == [("cut", 20)]


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    engine = open_writer(tmp_path_factory.mktemp("trail"))
    with engine.connect() as connection:
        for each in range(1, 21):
            look(connection, each)
        connection.commit()
        yield connection
    engine.dispose()


@settings(max_examples=100, deadline=None)
@given(
    number=st.integers(1, 20),
    column=st.sampled_from(COLUMNS[:-1]),
    value=st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
def test_no_change_of_a_text_goes_unseen(
    trail: Connection, number: int, column: str, value: str
) -> None:
    row = audit_event.c.number == number
    before = trail.execute(select(audit_event.c[column]).where(row)).scalar_one()
    trail.execute(update(audit_event).where(row).values({column: value}))
    found = verify_trail(trail).faults
    trail.rollback()
    assert (found == ()) == (before == value)


def test_anchors_are_added_once_for_each_head_and_survive_a_torn_line(
    engine: Engine, tmp_path: Path
) -> None:
    with engine.connect() as connection:
        assert write_anchor(connection, tmp_path, NOW)
        assert not write_anchor(connection, tmp_path, NOW)
    with (tmp_path / ANCHORS).open("a") as file:
        file.write("25 00ff")
    with engine.begin() as connection:
        look(connection, 21)
    with engine.connect() as connection:
        assert write_anchor(connection, tmp_path, NOW)
    assert [each.events for each in read_anchors(tmp_path)] == [20, 21]
    assert faults(engine, *read_anchors(tmp_path)) == []


@pytest.mark.parametrize(
    ("damage", "code"),
    [(lambda connection: None, 0), (lambda connection: _cut(connection, 3), 1)],
    ids=["whole", "cut"],
)
def test_the_command_says_whether_the_trail_is_whole(
    engine: Engine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Connection], None],
    code: int,
) -> None:
    config = tmp_path / "labbroker.toml"
    config.write_text('data_dir = "."\n', "utf-8")
    with engine.connect() as connection:
        write_anchor(connection, tmp_path, NOW)
    with engine.begin() as connection:
        damage(connection)
    assert main(["audit", "verify", "--json", "--config", str(config)]) == code
    told = json.loads(capsys.readouterr().out)
    assert [each["fault"] for each in told["faults"]] == ([] if code == 0 else ["cut"])
    assert main(["audit", "verify", "--config", str(config)]) == code
    assert main(["audit", "list", "--limit", "2", "--config", str(config)]) == 0
    assert "\trecord\t" in capsys.readouterr().out


def test_the_export_is_fhir_and_tells_who_what_whose_and_how_it_ended(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine.begin() as connection:
        note(
            connection,
            person="",
            action="sign-in-refused",
            kind="person",
            subject="",
            institution="",
            at=NOW,
            detail={"address": "198.51.100.7"},
        )
    config = tmp_path / "labbroker.toml"
    config.write_text('data_dir = "."\n', "utf-8")
    assert main(["audit", "export", "--after", "19", "--config", str(config)]) == 0
    shown, refused = map(json.loads, capsys.readouterr().out.splitlines())
    for resource in (shown, refused):
        AuditEvent.model_validate(resource)
    assert shown["action"] == "R"
    assert shown["type"]["code"] == "110110"
    assert shown["agent"][0]["who"]["identifier"]["value"] == "lab-1"
    assert {"type": "institution", "valueString": "3501200000"} in shown["entity"][0]["detail"]
    assert (refused["outcome"], refused["type"]["code"]) == ("4", "110114")
    assert refused["agent"][0]["network"]["address"] == "198.51.100.7"


def test_what_a_verb_means_is_told_in_the_one_letter_of_fhir(engine: Engine) -> None:
    with engine.connect() as connection:
        row = connection.execute(select(audit_event).limit(1)).one()
    letters = {}
    for action in ("show", "add", "fix", "revoke", "sign-in"):
        fields = type("Row", (), dict(row._mapping) | {"action": action})
        letters[action] = fhir_audit_event(fields)["action"]  # type: ignore[arg-type]
    assert letters == {"show": "R", "add": "C", "fix": "U", "revoke": "D", "sign-in": "E"}


def test_every_fault_has_its_words() -> None:
    from broker.cli.audit import _FAULTS

    assert set(_FAULTS) == {each.value for each in Fault}


def _rewrite(connection: Connection, number: int, *, relink: bool = False) -> None:
    """Change a row and give it a digest that fits."""
    row = connection.execute(select(audit_event).where(audit_event.c.number == number)).one()
    previous = row.previous
    if relink and number > 1:
        before = audit_event.c.number == number - 1
        previous = connection.execute(select(audit_event.c.digest).where(before)).scalar_one()
    texts = ("mallory", row.action, row.kind, row.subject, row.institution, row.detail)
    connection.execute(
        update(audit_event)
        .where(audit_event.c.number == number)
        .values(
            person="mallory",
            previous=previous,
            digest=digest_of(number, row.at, texts, previous),
        )
    )


def _cut(connection: Connection, last: int) -> None:
    """Take off the tail and set the head back."""
    connection.execute(delete(audit_event).where(audit_event.c.number > last))
    row = connection.execute(select(audit_event).where(audit_event.c.number == last)).one()
    connection.execute(update(audit_head).values(events=last, digest=row.digest))
