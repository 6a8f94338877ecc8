"""The log lets through what the allow-list names, and nothing else."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.config.settings import LoggingSettings
from broker.log_events import ERROR_FIELDS, EVENTS, FIELDS
from broker.logs import EventFormatter, configure_logging, log_event
from broker.redact import MASK, redact_error, redact_event
from mapping.errors import UnreadablePayload

ROOT = Path(__file__).parents[2]
PATIENT = "A123456789"
NAME = "王小明"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """The log of this process goes to the stream; everything is put back afterwards."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions)
    hooks = (threading.excepthook, sys.unraisablehook, sys.excepthook)
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    written = io.StringIO()
    configure_logging(LoggingSettings(level="debug"), written)
    yield written
    logging.captureWarnings(False)
    threading.excepthook, sys.unraisablehook, sys.excepthook = hooks
    root.handlers[:], level, logging.raiseExceptions = before
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_listed_event_is_one_json_object_a_line(stream: io.StringIO) -> None:
    log_event(logging.getLogger("broker.intake"), "receipt.parsed", receipt_id=7, source="lab-1")
    (line,) = lines(stream)
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "level": "info",
        "event": "receipt.parsed",
        "logger": "broker.intake",
        "receipt_id": 7,
        "source": "lab-1",
    }


def test_a_field_that_is_not_listed_for_the_event_is_masked(stream: io.StringIO) -> None:
    log_event(logging.getLogger("broker"), "receipt.parsed", control_id="X1", stem="x", port=3)
    (line,) = lines(stream)
    assert line["port"] == line["stem"] == MASK
    assert line[MASK] == MASK
    assert "X1" not in stream.getvalue()
    assert "control_id" not in line


def test_an_event_that_is_not_listed_is_masked_whole(stream: io.StringIO) -> None:
    log_event(logging.getLogger("broker"), f"patient {PATIENT}", receipt_id=7)
    (line,) = lines(stream)
    assert line["event"] == "unlisted"
    assert line["receipt_id"] == MASK
    assert PATIENT not in stream.getvalue()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("source", PATIENT),
        ("source", f"lab-{PATIENT}"),
        ("source", "a" * 200),
        ("source", "line\nbreak"),
        ("media", NAME),
        ("media", ["hl7v2"]),
        ("receipt_id", "12"),
        ("receipt_id", True),
        ("records", None),
    ],
)
def test_a_value_that_has_not_the_shape_of_its_field_is_masked(field: str, value: object) -> None:
    assert redact_event("receipt.parsed", {field: value}) == ("receipt.parsed", {field: MASK})


@pytest.mark.parametrize(
    ("event", "field", "value"),
    [
        ("receipt.parsed", "source", "日昇檢驗所"),
        ("receipt.parsed", "media", "fhir+json"),
        ("package.sealed", "institution", "JY01010089"),
        ("package.sealed", "stem", "35999999011141231001"),
        ("package.submitted", "receipt_number", "1141231000001"),
        ("door.opened", "host", "::1"),
        ("service.started", "settings_file", False),
    ],
)
def test_a_value_of_the_right_shape_passes(event: str, field: str, value: object) -> None:
    assert redact_event(event, {field: value}) == (event, {field: value})


def test_a_time_is_written_as_iso_8601() -> None:
    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    shown = redact_event("package.sealed", {"due_at": at})[1]
    assert shown == {"due_at": "2026-01-02T03:04:00+00:00"}


def test_a_library_is_reduced_to_its_name(stream: io.StringIO) -> None:
    logging.getLogger("aiohttp.access").info("GET /fhir/Patient/%s 200", PATIENT)
    logging.getLogger("sqlalchemy.engine").warning(f"INSERT {NAME}")
    first, second = lines(stream)
    assert (first["event"], first["library"]) == ("library.message", "aiohttp.access")
    assert (second["event"], second["level"]) == ("library.message", "warning")
    assert PATIENT not in stream.getvalue()


def test_a_free_text_of_our_own_is_withheld(stream: io.StringIO) -> None:
    logging.getLogger("adapters.hl7.server").warning("frame from %s", NAME)
    (line,) = lines(stream)
    assert line["event"] == "unlisted"
    assert line["where"].startswith("adapters/hl7/server.py:")


def test_a_door_logs_events_with_the_standard_library_alone(stream: io.StringIO) -> None:
    logger = logging.getLogger("adapters.hl7.server")
    logger.warning("door.opened", extra={"fields": {"host": "192.0.2.7", "port": 9}})
    logger.info("service.fault")
    first, second = lines(stream)
    assert (first["event"], first["host"], first["port"]) == ("door.opened", "192.0.2.7", 9)
    assert second["event"] == "service.fault"


def test_an_error_is_written_as_class_code_and_place_never_its_text(stream: io.StringIO) -> None:
    logger = logging.getLogger("broker.pipeline")
    try:
        try:
            raise ValueError(f"bad value {PATIENT} of {NAME}")
        except ValueError as cause:
            raise UnreadablePayload(reason=NAME, place=PATIENT) from cause
    except UnreadablePayload as error:
        log_event(logger, "receipt.quarantined", level=logging.ERROR, error=error, receipt_id=7)
        logging.getLogger("asyncio").error("Task exception %s", NAME, exc_info=error)
    first, second = lines(stream)
    assert first["error_class"] == "UnreadablePayload"
    assert first["error_code"] == "unreadable"
    assert first["cause"] == "ValueError"
    assert first["where"].startswith("tests/unit/test_logs.py:")
    assert second["error_class"] == "UnreadablePayload"
    assert NAME not in stream.getvalue()
    assert PATIENT not in stream.getvalue()


def test_the_place_of_an_error_is_in_our_own_code() -> None:
    with pytest.raises(KeyError) as caught:
        UnreadablePayload().sentence()
    assert str(redact_error(caught.value)["where"]).startswith("mapping/errors.py:")


def test_what_nobody_caught_is_an_event_and_prints_nothing(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError(NAME)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    sys.excepthook(ValueError, ValueError(PATIENT), None)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(NAME, UserWarning, stacklevel=1)
    first, second, third = lines(stream)
    assert first["event"] == second["event"] == "service.fault"
    assert third["library"] == "py.warnings"
    assert NAME not in stream.getvalue()
    assert capsys.readouterr() == ("", "")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.text(), st.dictionaries(st.text(), st.text() | st.binary() | st.integers()))
def test_any_record_is_one_line_of_ascii_json(message: str, fields: dict[str, Any]) -> None:
    record = logging.LogRecord("broker.x", logging.INFO, "x.py", 1, message, None, None)
    record.fields = fields
    line = EventFormatter().format(record)
    assert line.isascii()
    assert "\n" not in line
    assert isinstance(json.loads(line), dict)


def test_the_log_goes_to_the_file_of_the_settings(tmp_path: Path, stream: io.StringIO) -> None:
    file = tmp_path / "log" / "labbroker.log"
    configure_logging(LoggingSettings(level="warning", file=file))
    log_event(logging.getLogger("broker"), "service.started", version="0.1.0")
    log_event(logging.getLogger("broker"), "service.stopping", level=logging.WARNING)
    configure_logging(LoggingSettings(), stream)
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == [
        "service.stopping"
    ]


def test_every_event_names_known_fields() -> None:
    for name, rule in EVENTS.items():
        assert rule.fields <= FIELDS.keys(), name
    assert FIELDS.keys() >= ERROR_FIELDS


# What logs: where its events stand among its arguments, and the fields that it adds itself.
_LOGS = {
    "log_event": (slice(1, 2), frozenset[str]()),
    "log_alarm": (slice(2, 4), frozenset({"institution", "reason", "records", "due_at"})),
}


def test_every_log_call_in_the_code_uses_listed_events_and_fields() -> None:
    used = {"library.message", "unlisted"}
    for file in (ROOT / "broker").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            if not isinstance(node.func, ast.Name) or node.func.id not in _LOGS:
                continue
            arguments, fields = _LOGS[node.func.id]
            names = [
                part.value
                for argument in node.args[arguments]
                for part in ast.walk(argument)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            given = {keyword.arg for keyword in node.keywords} - {"level", "error"} | fields
            used.update(names)
            for name in names:
                place = f"{file.relative_to(ROOT)}:{node.lineno} {name}"
                assert name in EVENTS, f"{place} is not in broker.log_events"
                unlisted = given - EVENTS[name].fields - ERROR_FIELDS
                assert not unlisted, f"{place}: {unlisted} are not listed for this event"
    # The doors log by the standard library, their events named by constants.
    for file in (ROOT / "adapters").rglob("*.py"):
        for part in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            text = part.value if isinstance(part, ast.Constant) else None
            if isinstance(text, str) and re.fullmatch(r"(peer|frame|door)\.[a-z]+", text):
                assert text in EVENTS, f"{file.relative_to(ROOT)}: {text} is not listed"
                used.add(text)
    assert EVENTS.keys() == used, "an event that nothing logs is not documented"


def test_the_reference_page_lists_every_event_and_field() -> None:
    page = (ROOT / "docs" / "reference" / "log-events.md").read_text(encoding="utf-8")
    rows = {line for line in page.splitlines() if line.startswith("| `")}
    expected = {
        f"| `{name}` | {' '.join(f'`{field}`' for field in sorted(rule.fields))} | {rule.meaning} |"
        for name, rule in EVENTS.items()
    } | {f"| `{name}` | {rule.shape} | {rule.meaning} |" for name, rule in FIELDS.items()}
    assert rows == expected
