"""Asks a person at the terminal for the PIN of a card: once for each entry, and never by itself."""

from __future__ import annotations

import asyncio
import getpass
import sys
import threading
from collections.abc import Callable

from adapters.card.agent import CardAgent
from adapters.card.pin_entry import Pin
from adapters.ports.card_agent import StatusMessage
from adapters.ports.card_state import CardCondition, CardState
from mapping.errors import LabbrokerError, Language

LAST = "LAST"
"""What a person types who wants to use the last try."""


class PinPrompt:
    """Prompts for each card that waits for its PIN, in the order of the settings. A card that a
    person leaves out is asked for again when it comes anew."""

    def __init__(self, agent: CardAgent, language: Language) -> None:
        self._agent = agent
        self._chinese = language == "zh"
        self._language: Language = language
        self._left_out: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Until cancelled, or until there is no more terminal."""
        known: StatusMessage | None = None
        while True:
            known = await self._agent.other_than(known)
            present = {(each.name, each.serial) for each in known.cards if each.serial}
            self._left_out &= present
            waiting = self._next(known)
            while waiting is not None:
                if not await self._enter(waiting):
                    return
                known = self._agent.status
                waiting = self._next(known)

    def _next(self, status: StatusMessage) -> CardState | None:
        for card in status.cards:
            wanted = card.condition in (CardCondition.LOCKED, CardCondition.HELD)
            if wanted and (card.name, card.serial) not in self._left_out:
                return card
        return None

    async def _enter(self, card: CardState) -> bool:
        """False where nobody can answer."""
        last_try = card.condition is CardCondition.HELD
        try:
            if last_try and (await _answer(input, self._last_question(card))).strip() != LAST:
                self._leave_out(card)
                return True
            pin: Pin | None = None
            if card.keypad:
                answer = await _answer(input, self._keypad_question(card))
                entered = not answer.strip()
            else:
                pin = Pin(await _answer(getpass.getpass, self._question(card)))
                entered = not pin.is_empty
        except (EOFError, OSError):
            return False
        if not entered:
            self._leave_out(card)
            return True
        try:
            await self._agent.unlock(card.name, pin, last_try=last_try)
        except LabbrokerError as error:
            sys.stderr.write(f"{error.sentence(self._language)}\n{error.remedy(self._language)}\n")
            if error.code not in ("pin-wrong", "pin-held"):
                self._leave_out(card)
        return True

    def _leave_out(self, card: CardState) -> None:
        self._left_out.add((card.name, card.serial))

    def _question(self, card: CardState) -> str:
        if self._chinese:
            return (
                f"請輸入卡片「{card.name}」（{card.institution_code}，剩餘次數："
                f"{_tries(card, True)}）的 PIN 碼，直接按 Enter 略過："
            )
        return (
            f"PIN of the card “{card.name}” ({card.institution_code}, tries left: "
            f"{_tries(card, False)}); Enter alone leaves it out: "
        )

    def _keypad_question(self, card: CardState) -> str:
        if self._chinese:
            return f"按 Enter 後於讀卡機鍵盤輸入「{card.name}」的 PIN 碼（輸入 n 略過）："
        return f"Press Enter, then type the PIN of “{card.name}” on the reader (n leaves it out): "

    def _last_question(self, card: CardState) -> str:
        if self._chinese:
            return (
                f"卡片「{card.name}」的 PIN 碼已錯誤 {card.wrong_entries} 次，再錯可能鎖卡。"
                f"輸入 {LAST} 使用最後一次機會，其他則略過："
            )
        return (
            f"The PIN of “{card.name}” was wrong {card.wrong_entries} times; one more may lock "
            f"the card. Type {LAST} to use the last try, anything else leaves it out: "
        )


def _tries(card: CardState, chinese: bool) -> str:
    words = {
        "all": ("all", "未用"),
        "fewer": ("fewer than all", "已減少"),
        "one": ("one", "一次"),
        "none": ("none", "無"),
        "unknown": ("unknown", "不明"),
    }
    return words[card.tries.value][chinese]


async def _answer(ask: Callable[[str], str], question: str) -> str:
    """Asked in a thread that the end of the program does not wait for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()

    def settle(answer: str | None, error: Exception | None) -> None:
        if not future.done():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(answer or "")

    def work() -> None:
        answer, failure = None, None
        try:
            answer = ask(question)
        except (EOFError, OSError) as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, answer, failure)

    threading.Thread(target=work, daemon=True).start()
    return await future
