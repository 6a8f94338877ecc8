"""A card behind a PKCS#11 library: 醫事機構卡, 醫事人員卡, or any token that signs.

One PIN entry is one C_Login. After that the session signs until the card is pulled, and then only
a new entry opens it again: nothing here keeps a PIN, or tries one that nobody has just typed.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.card.errors import (
    CardAbsent,
    CardAmbiguous,
    CardFault,
    CardLocked,
    CertificateUnfit,
    PinBlocked,
    PinHeld,
    PinNotEntered,
    PinWrong,
)
from adapters.card.pin_entry import Pin, PinTries, is_held
from adapters.card.pkcs11_module import load_module, tokens_present, told, tries_left
from adapters.card.token_choice import TokenCriteria, serial_of
from adapters.ports.card_certificate import CardCertificate
from adapters.ports.card_state import CardCondition, CardState, TriesLeft
from adapters.ports.credential import CredentialKind
from mapping.errors import LabbrokerError

if TYPE_CHECKING:
    from pkcs11 import Session, Token

_SHA256_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
"""RFC 8017, 9.2: what stands before a SHA-256 digest that RSA signs."""
_WAIT_SECONDS = 20.0


class Pkcs11Token:
    """Implements ``adapters.ports.credential.Credential``. Calls block: use a thread.

    ``institution_code`` of the settings counts where the certificate names none; where both name
    one and they differ, the card is not used.
    """

    kind = CredentialKind.PKCS11

    def __init__(
        self,
        module: Path,
        criteria: TokenCriteria,
        tries: PinTries,
        institution_code: str = "",
        *,
        wait_seconds: float = _WAIT_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._module = module
        self._criteria = criteria
        self._tries = tries
        self._set_institution = institution_code
        self._wait = wait_seconds
        self._clock = clock
        self._turn = threading.Lock()
        self._session: Session | None = None
        self._key: Any = None
        self._known: tuple[str, CardCertificate, bytes] | None = None
        """Serial, certificate and its CKA_ID, as read from the card that is in the reader."""

    @property
    def name(self) -> str:
        return self._criteria.name

    @property
    def institution_code(self) -> str:
        """Raises :class:`CardAbsent` or what :meth:`sign` raises for the certificate."""
        with self._taking_turns():
            _, certificate = self._find()
        return self._institution_of(certificate)

    @property
    def certificate(self) -> bytes:
        with self._taking_turns():
            return self._find()[1].pem

    def look(self) -> CardState:
        """How the card stands. Never raises for what a card or reader can do, enters no PIN."""
        state = CardState(self.name, CardCondition.FAULT)
        try:
            with self._taking_turns():
                return self._look()
        except CardAbsent as error:
            return CardState(self.name, CardCondition.ABSENT, reason=error.code)
        except LabbrokerError as error:
            return CardState(self.name, state.condition, reason=error.code)

    def unlock(self, pin: Pin | None, *, last_try: bool = False) -> None:
        """Enter the PIN that a person has just typed, once; None where it is typed on the reader.

        Raises :class:`PinWrong`, :class:`PinHeld` (nothing was tried: say ``last_try``),
        :class:`PinBlocked`, :class:`PinNotEntered`, :class:`CardAbsent`, :class:`CardFault` and
        what the certificate gives cause for.
        """
        with self._taking_turns():
            token, certificate = self._find()
            self._institution_of(certificate)
            if self._is_open():
                return
            serial = serial_of(token.serial)
            tries, wrong = tries_left(token), self._tries.wrong_entries(serial)
            if tries is TriesLeft.NONE:
                raise PinBlocked(name=self.name)
            if is_held(wrong, tries) and not last_try:
                raise PinHeld(name=self.name, wrong=wrong)
            self._login(token, serial, pin)

    def lock(self) -> None:
        """Forget the session; the PIN is wanted again."""
        with self._taking_turns():
            self._drop()

    def sign(self, message: bytes) -> bytes:
        """RSA PKCS#1 v1.5 or ECDSA (DER) over SHA-256. Raises as :meth:`sign_digest`."""
        return self.sign_digest(hashlib.sha256(message).digest())

    def sign_digest(self, digest: bytes) -> bytes:
        """The same over a SHA-256 digest that is known. Raises :class:`CardLocked`,
        :class:`CardAbsent`, :class:`CardFault` or :class:`CertificateUnfit`; never enters a PIN."""
        if len(digest) != 32:
            raise ValueError("a SHA-256 digest has 32 bytes")
        with self._taking_turns():
            _, certificate = self._find()
            self._institution_of(certificate)
            if self._session is None:
                raise CardLocked(name=self.name)
            try:
                with told(self.name):
                    signature = self._signature(self._private_key(), digest)
            except CardFault:
                # Pulled and put back, or taken over by another program: it is locked again.
                self._drop()
                raise
            if not certificate.proves(digest, signature):
                self._drop()
                raise CertificateUnfit(name=self.name, reason="its key made another signature")
            return signature

    def __repr__(self) -> str:
        return f"Pkcs11Token({self.name})"

    def __reduce__(self) -> str:
        raise TypeError("a card is not pickled")

    @contextlib.contextmanager
    def _taking_turns(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=self._wait):
            raise CardFault(name=self.name, reason="the library does not answer")
        try:
            yield
        finally:
            self._turn.release()

    def _look(self) -> CardState:
        token, certificate = self._find()
        serial = serial_of(token.serial)
        tries, wrong = tries_left(token), self._tries.wrong_entries(serial)
        condition, reason = CardCondition.LOCKED, ""
        institution = ""
        try:
            institution = self._institution_of(certificate)
        except CertificateUnfit as error:
            condition, reason = CardCondition.FAULT, error.code
        else:
            if self._is_open():
                condition = CardCondition.READY
            elif tries is TriesLeft.NONE:
                condition = CardCondition.BLOCKED
            elif is_held(wrong, tries):
                condition = CardCondition.HELD
        return CardState(
            name=self.name,
            condition=condition,
            institution_code=institution,
            label=token.label,
            serial=serial,
            certificate=certificate.pem.decode("ascii"),
            tries=tries,
            wrong_entries=wrong,
            keypad=_has_keypad(token),
            reason=reason,
        )

    def _find(self) -> tuple[Token, CardCertificate]:
        """The card and its certificate. What is known of another card, or of one that has been
        pulled, is forgotten with its session."""
        try:
            module = load_module(self._module)
            with told(self.name):
                tokens = self._criteria.choose_token(tokens_present(module))
            if self._known and len(tokens) == 1 and serial_of(tokens[0].serial) == self._known[0]:
                return tokens[0], self._known[1]
            fitting = []
            for token in tokens:
                with told(self.name):
                    certificates = _certificates(token)
                chosen = self._criteria.choose_certificate([each for each, _ in certificates])
                if chosen is not None:
                    ids = [key_id for each, key_id in certificates if each.sha256 == chosen.sha256]
                    fitting.append((token, chosen, ids[0]))
        except LabbrokerError:
            self._drop()
            raise
        if not fitting:
            self._drop()
            wanted = self._criteria.certificate_subject
            raise CardAbsent(name=self.name, reason=f"no certificate's subject holds {wanted}")
        if len(fitting) > 1:
            self._drop()
            raise CardAmbiguous(name=self.name, what="card", found=len(fitting))
        token, certificate, key_id = fitting[0]
        serial = serial_of(token.serial)
        if self._known is None or self._known[0] != serial:
            self._drop()
        self._known = (serial, certificate, key_id)
        return token, certificate

    def _institution_of(self, certificate: CardCertificate) -> str:
        named, wanted = certificate.institution_code, self._set_institution
        if named and wanted and named != wanted:
            reason = f"it names institution {named}, the settings {wanted}"
            raise CertificateUnfit(name=self.name, reason=reason)
        if not (named or wanted):
            raise CertificateUnfit(name=self.name, reason="it names no institution")
        if not certificate.is_valid(self._clock()):
            valid = f"{certificate.valid_from:%Y-%m-%d} to {certificate.valid_until:%Y-%m-%d}"
            raise CertificateUnfit(name=self.name, reason=f"it is valid from {valid} only")
        return named or wanted

    def _login(self, token: Token, serial: str, pin: Pin | None) -> None:
        from pkcs11 import PROTECTED_AUTH, PinIncorrect, PinInvalid, PinLenRange, PinLocked

        if pin is None and not _has_keypad(token):
            raise PinNotEntered(name=self.name)
        entered: Any = PROTECTED_AUTH if pin is None else pin.spend()
        if not entered:
            raise PinNotEntered(name=self.name)
        try:
            self._tries.begin(serial)
        except OSError as error:
            # A try that cannot be counted is not made.
            raise CardFault(name=self.name, reason=type(error).__name__) from None
        try:
            with told(self.name):
                try:
                    self._session = token.open(user_pin=entered)
                except (PinIncorrect, PinLocked, PinInvalid, PinLenRange) as error:
                    left = self._tries_now(serial)
                    if isinstance(error, PinLocked) or left is TriesLeft.NONE:
                        raise PinBlocked(name=self.name) from None
                    raise PinWrong(name=self.name, tries=left.value) from None
        finally:
            entered = None
        with contextlib.suppress(OSError):
            self._tries.accepted(serial)

    def _tries_now(self, serial: str) -> TriesLeft:
        from pkcs11 import PKCS11Error

        with contextlib.suppress(PKCS11Error):
            for token in tokens_present(load_module(self._module)):
                if serial_of(token.serial) == serial:
                    return tries_left(token)
        return TriesLeft.UNKNOWN

    def _is_open(self) -> bool:
        """Whether the session is alive: it dies with the card's removal."""
        from pkcs11 import PKCS11Error

        if self._session is None:
            return False
        try:
            self._key = None
            self._private_key()
        except (PKCS11Error, CertificateUnfit):
            self._drop()
            return False
        return True

    def _private_key(self) -> Any:
        from pkcs11 import Attribute, ObjectClass

        assert self._session is not None and self._known is not None  # noqa: S101, PT018 - above
        if self._key is None:
            wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: self._known[2]}
            found: list[Any] = list(self._session.get_objects(wanted))
            if len(found) != 1:
                reason = f"{len(found)} private keys belong to it"
                raise CertificateUnfit(name=self.name, reason=reason)
            self._key = found[0]
        return self._key

    @staticmethod
    def _signature(key: Any, digest: bytes) -> bytes:
        from pkcs11 import KeyType, Mechanism
        from pkcs11.util.ec import encode_ecdsa_signature

        if key.key_type is KeyType.EC:
            return encode_ecdsa_signature(bytes(key.sign(digest, mechanism=Mechanism.ECDSA)))
        return bytes(key.sign(_SHA256_DIGEST_INFO + digest, mechanism=Mechanism.RSA_PKCS))

    def _drop(self) -> None:
        session, self._session, self._key, self._known = self._session, None, None, None
        if session is not None:
            from pkcs11 import PKCS11Error

            with contextlib.suppress(PKCS11Error):
                session.close()


def _has_keypad(token: Token) -> bool:
    from pkcs11 import TokenFlag

    return bool(token.flags & TokenFlag.PROTECTED_AUTHENTICATION_PATH)


def _certificates(token: Token) -> list[tuple[CardCertificate, bytes]]:
    """Those that anybody may read, with their CKA_ID."""
    from pkcs11 import Attribute, ObjectClass

    with token.open() as session:
        return [
            (CardCertificate.read(bytes(found[Attribute.VALUE])), bytes(found[Attribute.ID]))
            for found in session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE})
        ]
