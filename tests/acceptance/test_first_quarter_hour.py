"""The tutorial for a new user is walked as it is written: its commands, then its clicks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.test_tutorial import ROOT, free_ports
from tests.console.conftest import browser as browser

TUTORIAL = ROOT / "docs" / "tutorial" / "first-quarter-hour.md"
TEXT = TUTORIAL.read_text(encoding="utf-8")
PICTURES = re.findall(r"!\[[^]]+\]\((images/[^)]+)\)", TEXT)
PASSWORD = "一刻鐘之內就要看到上傳率"
PATIENCE_SECONDS = 60
LARGEST_PICTURE = 120_000


def one(containing: str) -> str:
    block: str
    (block,) = (
        each
        for each in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
        if containing in each
    )
    return block


def label(text: str) -> str:
    """A name on the screen that the page tells the reader to look for."""
    assert f"**{text}**" in TEXT, text
    return text


class Newcomer:
    """Types the commands of the page, on ports of our own, and uses the console."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "my-clinic"
        http, gateway = map(str, free_ports(2))
        self.url = f"http://127.0.0.1:{http}"
        self._gateway = gateway
        (folder / "examples").symlink_to(ROOT / "examples")
        programs = folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name, module in (("labbroker", "-m broker.cli.main"), ("python3", "")):
            (programs / name).write_text(
                f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n', encoding="utf-8"
            )
            (programs / name).chmod(0o755)
        self.environ = {
            **{name: value for name, value in os.environ.items() if "LABBROKER" not in name},
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LABBROKER_LANG": "zh-TW",
            "LABBROKER_HTTP__PORT": http,
            "LABBROKER_CHANNEL__SANDBOX__BASE_URL": f"http://127.0.0.1:{gateway}",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        }

    def type(self, block: str, folder: Path) -> str:
        done = subprocess.run(
            ["bash", "-ec", block],
            cwd=folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def leave_running(self, block: str, ready: str) -> Iterator[list[str]]:
        """What it said first, in ``ready``'s line and the next one of a service."""
        # A test waits for less than a reader reads.
        block = re.sub(r"(SECONDS)=5\b", r"\1=1", re.sub(r"\b8091\b", self._gateway, block))
        lines = block.rstrip().splitlines()
        lines[-1] = f"exec {lines[-1]}"
        with subprocess.Popen(
            ["bash", "-c", "\n".join(lines)],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                said = [process.stdout.readline()]
                assert ready in said[0]
                if "labbroker serve" in block:
                    said.append(process.stdout.readline())
                yield said
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1000, "height": 640}, timezone_id="Asia/Taipei", locale="zh-TW"
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def picture(page: Page, number: int) -> None:
    """The page shows it; with ``LABBROKER_TUTORIAL_PICTURES`` (a folder) it is taken anew."""
    (name,) = (each for each in PICTURES if each.startswith(f"images/{number}-"))
    folder = os.environ.get("LABBROKER_TUTORIAL_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / Path(name).name)


def go(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=label(name), exact=True).click()
    expect(page.locator("h1")).to_contain_text(name)


def seen_after_a_while(page: Page, url: str, text: str, times: int = 1) -> None:
    """Opens the page again until ``text`` stands there that often."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        page.goto(url)
        shown = page.inner_text("main")
        if shown.count(text) >= times:
            return
        assert time.monotonic() < end, shown
        time.sleep(0.5)


@pytest.mark.slow
def test_a_newcomer_gets_from_an_empty_folder_to_the_rate_as_the_page_says(
    tmp_path: Path, page: Page
) -> None:
    reader = Newcomer(tmp_path)
    reader.type(one("labbroker init"), tmp_path)
    with (
        reader.leave_running(one("labbroker sandbox"), "gateway"),
        reader.leave_running(one("labbroker serve"), "labbroker is ready") as said,
    ):
        assert f"{reader.url}/" in said[1]
        told = reader.type(one("first-sign-in.txt"), reader.home)
        login, code = re.findall(r"^(?:login|code): (\S+)$", told, re.MULTILINE)
        assert f"`{login}`" in TEXT

        page.goto(reader.url)
        page.get_by_label("帳號").fill(login)
        picture(page, 1)
        page.get_by_label("密碼").fill(code)
        page.get_by_role("button", name=label("登入")).click()
        for name in ("新密碼", "再輸入一次"):
            page.get_by_label(name).fill(PASSWORD)
        page.get_by_role("button", name=label("繼續")).click()
        expect(page.locator("h1")).to_contain_text(label("今日"))

        reader.type(one("write_samples.py"), reader.home)
        seen_after_a_while(page, f"{reader.url}/uploads", label("已檢核"), 2)
        go(page, "今日")
        assert "收到 4 筆" in page.inner_text("main")
        assert "健保署收件 2 筆" in page.inner_text("main")
        picture(page, 2)

        go(page, "待處理")
        assert page.get_by_role("article").count() == 2
        picture(page, 3)
        page.get_by_role("link", name=label("對應代碼"), exact=True).last.click()
        expect(page.get_by_role("radio").first).to_be_checked()
        expect(page.locator(".choice").first).to_contain_text("09005C")
        picture(page, 4)
        page.get_by_role("button", name=label("確定"), exact=True).click()
        expect(page.get_by_role("table")).to_contain_text("09005C")

        go(page, "待處理")
        (card,) = page.get_by_role("article").all()
        expect(card).to_contain_text("必填的「單位」（r5）沒有值。")
        card.get_by_text(label("自行填入")).click()
        card.get_by_label("單位").fill("U/L")
        picture(page, 5)
        card.get_by_role("button", name=label("填入 1 筆")).click()
        expect(page.locator("body")).to_contain_text("1 筆可上傳")
        picture(page, 6)

        seen_after_a_while(page, f"{reader.url}/records?state=accepted", label("檢核正確"), 5)
        go(page, "紀錄")
        go(page, "上傳")
        picture(page, 7)
        page.goto(f"{reader.url}/records/4")
        assert "已由新版取代" in page.inner_text("main")
        assert "0 – 40" in page.inner_text("main")
        go(page, "上傳率")
        page.get_by_role("link", name="3599999901", exact=True).click()
        expect(page.locator("main")).to_contain_text(label("100.00 %"))
        picture(page, 8)


def test_every_picture_of_the_page_is_there_and_small() -> None:
    assert [int(Path(name).name.split("-")[0]) for name in PICTURES] == list(range(1, 9))
    for name in PICTURES:
        file = TUTORIAL.parent / name
        assert file.read_bytes().startswith(b"\x89PNG"), name
        assert file.stat().st_size <= LARGEST_PICTURE, name
