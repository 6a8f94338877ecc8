"""The cards of a rehearsal: a token that signs what is sent, patient cards at a virtual reader."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import select

from adapters.card.agent import CardAgent
from adapters.card.agent_link import AgentLink
from adapters.card.nhi_patient_card import read_patient_card
from adapters.card.pcsc_readers import PcscReaders, PcscUnavailable
from adapters.card.pin_entry import Pin, PinTries
from adapters.card.pkcs11_token import Pkcs11Token
from adapters.card.token_choice import TokenCriteria
from broker.bootstrap.service import Broker
from broker.card_desk.desk import CardNotReady
from broker.demo.channels import PartMissing
from broker.demo.patient_card import SimulatedPatientCard
from broker.demo.people import PEOPLE
from broker.demo.senders import Tell
from broker.demo.signing_card import LABEL, DemoToken
from broker.demo.virtual_reader import VirtualReader
from broker.store.schema import package

CARDS = ("pkcs11", "pcsc")
_PATIENCE_SECONDS = 20.0
_LOOK_SECONDS = 0.1


@asynccontextmanager
async def card_at_desk(made: DemoToken, broker: Broker, tell: Tell) -> AsyncIterator[None]:
    """A card agent beside what is done in the block. Its person types the PIN when the first
    package waits for it."""
    os.environ.update(made.token.environment)
    card = Pkcs11Token(
        made.token.module, TokenCriteria("front desk", LABEL), PinTries(made.folder / "card-agent")
    )
    agent = CardAgent([card], None, "rehearsal")
    link = AgentLink(
        f"http://127.0.0.1:{broker.http_port}", made.secret, agent, lambda url, word: None
    )
    work = (agent.watch(), link.run(), _type_pin(made, agent, broker, tell))
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        failed = [task for task in tasks if task.done() and not task.cancelled()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await agent.close()
        for task in failed:
            task.result()


async def _type_pin(made: DemoToken, agent: CardAgent, broker: Broker, tell: Tell) -> None:
    waits = select(package.c.id).where(package.c.error_code == CardNotReady.code).limit(1)

    def is_waited_for() -> bool:
        with broker.reader.connect() as connection:
            return connection.execute(waits).first() is not None

    while not await asyncio.to_thread(is_waited_for):  # noqa: ASYNC110 - it is in the store
        await asyncio.sleep(_LOOK_SECONDS)
    tell("card", "a package waits for its card", "locked")
    await agent.unlock("front desk", Pin(made.pin))
    tell("card", "the PIN typed at the card's reader, once", "ready")


def patients_at_desk(folder: Path, tell: Tell) -> None:
    """Some people put their NHI cards into a reader, which is unplugged between them.

    Raises :class:`PartMissing`. Blocks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = VirtualReader(folder)
    os.environ.update(made.environment)
    with made as reader:
        readers = PcscReaders()

        def holds_card() -> bool:
            with contextlib.suppress(PcscUnavailable):
                return any(each.name == reader.name and each.has_card for each in readers.look())
            return False

        for number, person in enumerate(PEOPLE[:3]):
            if number == 2:
                reader.stop()
                reader.start()
                tell("card", "the reader unplugged and plugged in again", "found again")
            reader.insert(
                SimulatedPatientCard(
                    name=person.name.replace("^", ""),
                    national_id=person.national_id,
                    birth_on=person.birth_on,
                    sex=person.sex,
                    number=f"9{number:011d}",
                )
            )
            _until(holds_card)
            with readers.card_in(reader.name) as transmit:
                card = read_patient_card(transmit)
            tell("card", "an NHI card at the desk", f"{card.name} {card.sex}")
            reader.remove()
            _until(lambda: not holds_card())
        readers.close()


def _until(happened: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + _PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > ends_at:
            raise PartMissing(
                what_en="a virtual reader that works; it does not answer",
                what_zh="可用的虛擬讀卡機（目前沒有回應）",
                how_en="Look at pcscd.log in the folder that --data names.",
                how_zh="請檢視 --data 資料夾內的 pcscd.log。",
            )
        time.sleep(_LOOK_SECONDS)
