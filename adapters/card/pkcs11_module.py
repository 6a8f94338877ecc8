"""A maker's PKCS#11 library, loaded once for each process, and its errors in our words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.card.errors import CardFault, CardPartMissing
from adapters.ports.card_state import TriesLeft

if TYPE_CHECKING:
    from pkcs11 import Token


def load_module(path: Path) -> Any:
    """The library at ``path``. Raises :class:`CardPartMissing`."""
    try:
        import pkcs11
    except ImportError:
        how = "Install it: pip install 'labbroker[card]'."
        raise CardPartMissing(part="python-pkcs11", how=how) from None
    if not path.is_file():
        how = "Install the card's own software, or correct `module` of the card."
        raise CardPartMissing(part=str(path), how=how)
    try:
        return pkcs11.lib(str(path))
    except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
        how = (
            f"It is no PKCS#11 library for this machine ({type(error).__name__}); look at `module`."
        )
        raise CardPartMissing(part=str(path), how=how) from None


def tokens_present(module: Any) -> list[Token]:
    """The cards that are in a reader now and have been set up."""
    from pkcs11 import PKCS11Error, TokenFlag

    found = []
    for slot in module.get_slots(token_present=True):
        with contextlib.suppress(PKCS11Error):  # pulled since it was listed
            token = slot.get_token()
            if token.flags & TokenFlag.TOKEN_INITIALIZED:
                found.append(token)
    return found


def tries_left(token: Token) -> TriesLeft:
    """What the flags of the token say (PKCS#11 v2.40, CK_TOKEN_INFO)."""
    from pkcs11 import TokenFlag

    for flag, tries in (
        (TokenFlag.USER_PIN_LOCKED, TriesLeft.NONE),
        (TokenFlag.USER_PIN_FINAL_TRY, TriesLeft.ONE),
        (TokenFlag.USER_PIN_COUNT_LOW, TriesLeft.FEWER),
    ):
        if token.flags & flag:
            return tries
    return TriesLeft.ALL


@contextlib.contextmanager
def told(name: str) -> Iterator[None]:
    """Turn the library's errors into :class:`CardFault`; they carry no text of the card."""
    from pkcs11 import PKCS11Error

    try:
        yield
    except PKCS11Error as error:
        raise CardFault(name=name, reason=_word(error)) from None


def _word(error: Exception) -> str:
    return "".join(
        f"-{letter.lower()}" if letter.isupper() else letter for letter in type(error).__name__
    ).lstrip("-")
