"""A signed-in browser page that notes each script error and each request to elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page

from tests.access.web_people import SignedIn
from tests.console.running_console import RunningConsole, cookies_for


@dataclass(slots=True)
class Visit:
    """``faults`` are errors of the page; ``outside`` requests to another host."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def open(self, path: str, status: int = 200) -> None:
        answer = self.page.goto(self.url + path)
        assert answer is not None
        assert answer.status == status, (path, answer.status, self.page.content()[:400])

    def press(self, name: str) -> None:
        """The button of that name, and what it leads to."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name).first.click()

    @property
    def text(self) -> str:
        return self.page.inner_text("main")


@contextmanager
def visiting(
    browser: Browser,
    console: RunningConsole,
    who: SignedIn,
    *,
    width: int = 1280,
    dark: bool = False,
) -> Iterator[Visit]:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        timezone_id="Asia/Taipei",
    )
    try:
        cookies: Any = cookies_for(console.url, who)
        context.add_cookies(cookies)
        page = context.new_page()
        visit = Visit(page, console.url)

        def heard(message: Any) -> None:
            if message.type == "error" and "404" not in message.text:
                visit.faults.append(message.text)

        def asked(request: Any) -> None:
            if not request.url.startswith((console.url, "data:")):
                visit.outside.append(request.url)

        page.on("console", heard)
        page.on("pageerror", lambda error: visit.faults.append(str(error)))
        page.on("dialog", lambda dialog: visit.faults.append(f"dialog {dialog.message}"))
        page.on("request", asked)
        yield visit
        assert visit.faults == []
        assert visit.outside == []
    finally:
        context.close()
