"""Whatever a patient, a test or a unit is called, it is shown as text and nothing of it runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from playwright.sync_api import Browser

from broker.access.roles import Role
from broker.demo.people import PEOPLE
from broker.demo.senders import send_hl7
from broker.web.console.looks import masked_text
from tests.console.naughty_strings import ALL, ATTRIBUTES, MARKUP
from tests.console.pages import Visit, visiting
from tests.console.running_console import RunningConsole
from tests.console.test_reach import ask

_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})
_A_MESSAGE = 50
_ELEMENTS = """() => ({
  scripts: [...document.scripts].map((each) => each.src),
  handlers: [...document.querySelectorAll("*")].flatMap((each) => each.getAttributeNames())
    .filter((name) => name.startsWith("on") || name === "style"),
  foreign: [...document.querySelectorAll("iframe, object, embed, base, img, style")].length,
  hacked: window.hacked === undefined,
})"""


def escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def message(number: int, strings: tuple[str, ...]) -> bytes:
    """One person with one of the names, and a line for each string as name, code and value."""
    at = datetime.now(UTC) - timedelta(hours=1)
    person = PEOPLE[3]
    segments = [
        f"MSH|^~\\&|LIS||||{at:%Y%m%d%H%M%S}+0000||ORU^R01|N{number}|P|2.5.1||||||UNICODE UTF-8",
        f"PID|1||{person.national_id}^^^^NI||{escaped(strings[0])}||{person.birth_on:%Y%m%d}|F",
        f"OBR|1||N{number}|NONE{number}^{escaped(strings[1])}|||{at:%Y%m%d%H%M%S}+0000"
        f"|||||||||||||||{at:%Y%m%d%H%M%S}+0000|||F",
    ]
    for line, text in enumerate(strings, start=1):
        plain = escaped(text)
        segments.append(
            f"OBX|{line}|ST|N{number}-{line}^{plain}||{plain}|{plain[:40]}|{plain}|||||F"
        )
    return ("\r".join(segments) + "\r").encode()


def require_harmless(visit: Visit) -> None:
    found = visit.page.evaluate(_ELEMENTS)
    assert found["scripts"] == [f"{visit.url}/static/console/console.js"]
    assert found["handlers"] == []
    assert found["foreign"] == 0
    assert found["hacked"]


def test_there_are_enough_of_them() -> None:
    assert len(ALL) >= 130
    assert len(set(ALL)) == len(ALL)


def test_names_codes_and_values_are_shown_as_they_are_and_run_nothing(
    console: RunningConsole, browser: Browser
) -> None:
    parts = [ALL[start : start + _A_MESSAGE] for start in range(0, len(ALL), _A_MESSAGE)]
    messages = [("naughty", message(number, part)) for number, part in enumerate(parts, start=1)]
    answers: list[str] = []
    console.run(
        send_hl7(console.stage, messages, lambda door, what, answer: answers.append(answer))
    )
    assert answers == ["AA"] * len(parts)
    console.at_rest()
    with visiting(browser, console, console.sign_in(Role.OPERATOR)) as visit:
        visit.open("/records")
        numbers = [
            link.inner_text() for link in visit.page.locator("tr[data-row] td.number a").all()
        ]
        newest = sorted(map(int, numbers))[-len(parts) :]
        for number, part in zip(newest, parts, strict=True):
            visit.open(f"/records/{number}")
            require_harmless(visit)
            assert shown_values(visit) == [masked_text(each).strip() for each in part]
            visit.press("顯示病人資料")
            require_harmless(visit)
            assert shown_values(visit) == [each.strip()[:300] for each in part]
        for path in ("/", "/worklist", "/codes", "/sources", "/uploads", "/records?state=held"):
            visit.open(path)
            require_harmless(visit)


def shown_values(visit: Visit) -> list[str]:
    cells = visit.page.locator("td.number bdi").all_text_contents()
    return [each.strip() for each in cells]


def test_what_is_asked_for_comes_back_escaped(console: RunningConsole, browser: Browser) -> None:
    who = console.sign_in(Role.OPERATOR)
    for text in ALL:
        asked = quote(text[:200], safe="")
        for path in (
            f"/records?q={asked}",
            f"/records?clinic={asked}&order={asked}&state={asked}&due={asked}&after={asked}",
            f"/audit?person={asked}&subject={asked}",
            f"/worklist?after={asked}&done={asked}&n={asked}",
        )[: 4 if text in MARKUP[:4] else 1]:
            status, body = ask(console, path, who)
            assert status in (200, 303), path
            assert "hacked=1<" not in body
    with visiting(browser, console, who) as visit:
        for text in (*MARKUP[:2], *ATTRIBUTES[:2]):
            visit.open(f"/records?q={quote(text[:30], safe='')}")
            require_harmless(visit)
