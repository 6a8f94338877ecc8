"""Card readers over PC/SC: which are there, what is in them, and one exchange with a card.

Readers come and go. Windows stops its smart card service with the last reader, and a pcscd that is
started again knows nothing of the old context; so a context that fails is thrown away, and the
next look makes a new one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from adapters.card.errors import CardAbsent, CardFault, CardPartMissing
from adapters.ports.card_state import ReaderState
from mapping.errors import LabbrokerError

Transmit = Callable[[bytes], bytes]
"""Sends a command APDU, returns the response with its status word. Raises ``CardFault``."""

_PNP = "\\\\?PnP?\\Notification"
_LONGEST_APDU = 261


class PcscUnavailable(LabbrokerError):
    code = "pcsc-unavailable"
    en = (
        "The smart card service does not answer ({reason}).",
        "Start it: `systemctl start pcscd` on Linux, the service “Smart Card” on Windows; it is "
        "tried again by itself.",
    )
    zh = (
        "智慧卡服務沒有回應（{reason}）。",
        "請啟動該服務：Linux 用 `systemctl start pcscd`，Windows 為「Smart Card」服務；"
        "系統會自動重試。",
    )


class PcscReaders:
    """The readers of this machine. Calls may block for some milliseconds; one at a time."""

    def __init__(self) -> None:
        self._scard = _library()
        self._context: Any = None
        self._turn = threading.Lock()
        self.contexts_made = 0
        """How often the service was found anew."""

    def look(self) -> tuple[ReaderState, ...]:
        """All readers as they are now; empty where none is plugged in.

        Raises :class:`PcscUnavailable`.
        """
        with self._turn:
            names = self._names()
            if not names:
                return ()
            states = self._call(
                "SCardGetStatusChange",
                0,
                [(name, self._scard.SCARD_STATE_UNAWARE) for name in names],
                also=("SCARD_E_TIMEOUT", "SCARD_E_UNKNOWN_READER"),
            )
            return tuple(self._state(*each) for each in states or ())

    @contextlib.contextmanager
    def card_in(self, reader: str) -> Iterator[Transmit]:
        """A connection to the card in a reader, shared with other programs (the HIS reads too).

        Raises :class:`CardAbsent`, :class:`CardFault`, :class:`PcscUnavailable`.
        """
        scard = self._scard
        with self._turn:
            if self._context is None and not self._names():
                raise CardAbsent(name=reader, reason="no reader is plugged in")
            result, card, protocol = scard.SCardConnect(
                self._context,
                reader,
                scard.SCARD_SHARE_SHARED,
                scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1,
            )
            if result in (scard.SCARD_E_NO_SMARTCARD, scard.SCARD_W_REMOVED_CARD):
                raise CardAbsent(name=reader, reason="the reader is empty")
            if result in (scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE):
                raise CardAbsent(name=reader, reason="the reader is gone")
            if result != scard.SCARD_S_SUCCESS:
                self._forget()
                raise CardFault(name=reader, reason=self._word(result))
            try:
                yield lambda command: self._transmit(reader, card, protocol, command)
            finally:
                scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)

    def close(self) -> None:
        """Give the context back."""
        with self._turn:
            self._forget()

    def _names(self) -> list[str]:
        if self._context is None:
            result, context = self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_USER)
            if result != self._scard.SCARD_S_SUCCESS:
                raise PcscUnavailable(reason=self._word(result))
            self._context = context
            self.contexts_made += 1
        found = self._call("SCardListReaders", [], also=("SCARD_E_NO_READERS_AVAILABLE",))
        if not found:
            # With the last reader the service may end: what comes next needs a new context.
            self._forget()
        return [name for name in found or () if name != _PNP]

    def _call(self, function: str, *arguments: Any, also: tuple[str, ...]) -> Any:
        """None for a result of ``also``; the context is forgotten with any other failure."""
        result, found = getattr(self._scard, function)(self._context, *arguments)
        if result == self._scard.SCARD_S_SUCCESS:
            return found
        if result in [getattr(self._scard, name) for name in also]:
            return None
        self._forget()
        raise PcscUnavailable(reason=self._word(result))

    def _state(self, name: str, flags: int, atr: list[int]) -> ReaderState:
        present = bool(flags & self._scard.SCARD_STATE_PRESENT)
        return ReaderState(
            name=name,
            has_card=present,
            atr=bytes(atr).hex() if present else "",
            mute=bool(flags & self._scard.SCARD_STATE_MUTE),
        )

    def _transmit(self, reader: str, card: Any, protocol: int, command: bytes) -> bytes:
        if len(command) > _LONGEST_APDU:
            raise ValueError("extended APDUs are not used")
        pci = self._scard.SCARD_PCI_T1
        if protocol == self._scard.SCARD_PROTOCOL_T0:
            pci = self._scard.SCARD_PCI_T0
        result, response = self._scard.SCardTransmit(card, pci, list(command))
        if result != self._scard.SCARD_S_SUCCESS:
            raise CardFault(name=reader, reason=self._word(result))
        return bytes(byte & 0xFF for byte in response)

    def _forget(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            self._scard.SCardReleaseContext(context)

    def _word(self, result: int) -> str:
        """``SCARD_E_NO_SERVICE`` → ``no-service``."""
        for name in dir(self._scard):
            known = name.startswith(("SCARD_E_", "SCARD_F_", "SCARD_W_"))
            if known and getattr(self._scard, name) == result:
                return name[8:].lower().replace("_", "-")
        return f"result {result & 0xFFFFFFFF:08X}"


def _library() -> Any:
    try:
        from smartcard import scard
    except ImportError:
        how = "Install it: pip install 'labbroker[card]' (Debian: with libpcsclite-dev and swig)."
        raise CardPartMissing(part="pyscard", how=how) from None
    return scard
