"""A card over PKCS#11: real C_Logins at SoftHSM, each of them counted."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.card.errors import (
    CardAbsent,
    CardAmbiguous,
    CardFault,
    CardLocked,
    CardPartMissing,
    CertificateUnfit,
    PinBlocked,
    PinHeld,
    PinNotEntered,
    PinWrong,
)
from adapters.card.pin_entry import Pin, PinTries
from adapters.card.pkcs11_token import Pkcs11Token
from adapters.card.token_choice import TokenCriteria
from adapters.ports.card_certificate import CardCertificate
from adapters.ports.card_state import CardCondition, TriesLeft
from adapters.ports.credential import Credential, CredentialKind
from tests.card.soft_token import (
    CLINIC,
    ELLIPTIC,
    NAMELESS,
    PIN,
    WRONG,
    CountingToken,
)


@pytest.fixture
def token(card: CountingToken, tmp_path: Path) -> Iterator[Pkcs11Token]:
    held = at(card, tmp_path)
    yield held
    held.lock()


def at(
    card: CountingToken, folder: Path, subject: str = CLINIC, code: str = "", **more: object
) -> Pkcs11Token:
    criteria = TokenCriteria("front", certificate_subject=subject)
    return Pkcs11Token(card.module, criteria, PinTries(folder), code, **more)  # type: ignore[arg-type]


def test_the_card_tells_whose_it_is_before_anybody_enters_a_pin(
    token: Pkcs11Token, card: CountingToken
) -> None:
    credential: Credential = token
    state = token.look()
    assert credential.kind is CredentialKind.PKCS11
    assert credential.institution_code == CLINIC
    assert state.condition is CardCondition.LOCKED
    assert (state.label, state.institution_code) == ("labbroker test", CLINIC)
    assert (state.tries, state.wrong_entries) == (TriesLeft.ALL, 0)
    certificate = CardCertificate.read(credential.certificate)
    assert certificate.days_left(datetime.now(UTC)) in (364, 365)
    assert certificate.pem.decode() == state.certificate
    assert card.calls == 0


def test_it_signs_many_times_after_one_entry(token: Pkcs11Token, card: CountingToken) -> None:
    token.unlock(Pin(PIN))
    certificate = CardCertificate.read(token.certificate)
    for message in (b"one", b"two", "三".encode()):
        assert certificate.proves(hashlib.sha256(message).digest(), token.sign(message))
    assert not certificate.proves(hashlib.sha256(b"other").digest(), token.sign(b"one"))
    assert token.look().condition is CardCondition.READY
    assert card.calls == 1


def test_it_signs_with_an_elliptic_key(card: CountingToken, tmp_path: Path) -> None:
    token = at(card, tmp_path, ELLIPTIC)
    token.unlock(Pin(PIN))
    digest = hashlib.sha256(b"message").digest()
    assert CardCertificate.read(token.certificate).proves(digest, token.sign_digest(digest))
    token.lock()


def test_without_an_entry_nothing_is_signed_and_nothing_tried(
    token: Pkcs11Token, card: CountingToken
) -> None:
    with pytest.raises(CardLocked):
        token.sign(b"x")
    for pin in (None, Pin("")):
        with pytest.raises(PinNotEntered):
            token.unlock(pin)
    assert card.calls == 0


def test_an_entry_is_used_once(token: Pkcs11Token, card: CountingToken) -> None:
    entered = Pin(WRONG)
    with pytest.raises(PinWrong):
        token.unlock(entered)
    with pytest.raises(PinNotEntered):
        token.unlock(entered)
    assert card.calls == 1


def test_a_wrong_pin_shows_the_tries_that_are_left(token: Pkcs11Token) -> None:
    with pytest.raises(PinWrong) as refused:
        token.unlock(Pin(WRONG))
    state = token.look()
    assert refused.value.parameters["tries"] == "fewer"
    assert (state.condition, state.tries, state.wrong_entries) == (
        CardCondition.LOCKED,
        TriesLeft.FEWER,
        1,
    )
    assert WRONG not in f"{refused.value} {refused.value!r}"


def test_the_breaker_opens_before_the_last_try(token: Pkcs11Token, card: CountingToken) -> None:
    for _ in range(2):
        with pytest.raises(PinWrong):
            token.unlock(Pin(WRONG))
    state = token.look()
    assert (state.condition, state.tries) == (CardCondition.HELD, TriesLeft.ONE)
    with pytest.raises(PinHeld):
        token.unlock(Pin(PIN))
    assert card.calls == 2
    token.unlock(Pin(PIN), last_try=True)
    assert (token.look().tries, token.look().wrong_entries) == (TriesLeft.ALL, 0)
    assert card.calls == 3


def test_a_locked_card_is_not_asked_again(token: Pkcs11Token, card: CountingToken) -> None:
    for last in (False, False, True):
        with pytest.raises((PinWrong, PinBlocked)):
            token.unlock(Pin(WRONG), last_try=last)
    assert token.look().condition is CardCondition.BLOCKED
    with pytest.raises(PinBlocked):
        token.unlock(Pin(PIN), last_try=True)
    assert card.calls == 3


def test_the_breaker_outlives_the_process_and_a_card_that_tells_no_count(
    card: CountingToken, tmp_path: Path
) -> None:
    for _ in range(2):
        with pytest.raises(PinWrong):
            at(card, tmp_path).unlock(Pin(WRONG))
        card.clear("wrong")
    again = at(card, tmp_path)
    assert (again.look().condition, again.look().tries) == (CardCondition.HELD, TriesLeft.ALL)
    with pytest.raises(PinHeld):
        again.unlock(Pin(WRONG))
    assert card.calls == 2


def test_a_count_that_was_torn_holds_every_card(card: CountingToken, tmp_path: Path) -> None:
    (tmp_path / "pin-tries.json").write_text("{", "ascii")
    token = at(card, tmp_path)
    with pytest.raises(PinHeld):
        token.unlock(Pin(PIN))
    token.unlock(Pin(PIN), last_try=True)
    token.lock()
    assert token.look().condition is CardCondition.LOCKED


def test_a_try_that_cannot_be_counted_is_not_made(card: CountingToken, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CardFault):
        at(card, tmp_path / "file" / "below").unlock(Pin(PIN), last_try=True)
    assert card.calls == 0


def test_fifty_waiting_workers_cause_no_try(token: Pkcs11Token, card: CountingToken) -> None:
    with pytest.raises(PinWrong):
        token.unlock(Pin(WRONG))

    def work(number: int) -> str:
        try:
            token.sign(b"x")
        except CardLocked as error:
            return error.code
        return "signed"

    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(work, range(50)))
    assert answers == {"card-locked"}
    assert card.calls == 1


def test_one_entry_serves_fifty_workers(token: Pkcs11Token, card: CountingToken) -> None:
    token.unlock(Pin(PIN))
    with ThreadPoolExecutor(50) as pool:
        signatures = list(pool.map(lambda number: token.sign(b"x"), range(50)))
    assert len(set(signatures)) == 1
    assert card.calls == 1


def test_a_card_that_is_pulled_wants_its_pin_again(token: Pkcs11Token, card: CountingToken) -> None:
    token.unlock(Pin(PIN))
    card.set("absent")
    with pytest.raises(CardAbsent):
        token.sign(b"x")
    assert token.look().condition is CardCondition.ABSENT
    card.clear("absent")
    assert token.look().condition is CardCondition.LOCKED
    with pytest.raises(CardLocked):
        token.sign(b"x")
    assert card.calls == 1


def test_a_library_that_hangs_blocks_nobody_else_and_its_try_counts(
    card: CountingToken, tmp_path: Path
) -> None:
    token = at(card, tmp_path, wait_seconds=0.05)
    card.set("hang")
    stuck = threading.Thread(target=lambda: token.unlock(Pin(PIN)))
    stuck.start()
    while card.calls == 0:
        threading.Event().wait(0.01)
    assert token.look().condition is CardCondition.FAULT
    with pytest.raises(CardFault):
        token.unlock(Pin(PIN))
    assert (card.calls, sum(PinTries(tmp_path)._read().values())) == (1, 1)
    card.clear("hang")
    stuck.join()
    token.lock()


def test_a_crash_after_the_card_was_asked_is_counted_and_not_repeated(
    card: CountingToken, tmp_path: Path
) -> None:
    card.set("crash")
    program = (
        "import sys; from pathlib import Path\n"
        "from adapters.card.pin_entry import Pin, PinTries\n"
        "from adapters.card.pkcs11_token import Pkcs11Token\n"
        "from adapters.card.token_choice import TokenCriteria\n"
        "criteria = TokenCriteria('front', certificate_subject=sys.argv[3])\n"
        "token = Pkcs11Token(Path(sys.argv[1]), criteria, PinTries(Path(sys.argv[2])))\n"
        "token.unlock(Pin(sys.stdin.read()))\n"
    )
    for _ in range(2):
        dead = subprocess.run(
            [sys.executable, "-c", program, str(card.module), str(tmp_path), CLINIC],
            input=WRONG.encode(),
            env={**os.environ, **card.environment},
            check=False,
            timeout=30,
        )
        assert dead.returncode == 70
    card.clear("crash")
    token = at(card, tmp_path)
    assert (token.look().condition, token.look().wrong_entries) == (CardCondition.HELD, 2)
    assert card.calls == 2


def test_the_criterion_that_nothing_fits_is_named(card: CountingToken, tmp_path: Path) -> None:
    for criteria, told in (
        (TokenCriteria("front", label="other"), "label other"),
        (TokenCriteria("front", serial="99"), "serial 99"),
        (TokenCriteria("front", certificate_subject="nobody"), "nobody"),
    ):
        with pytest.raises(CardAbsent) as absent:
            _ = Pkcs11Token(card.module, criteria, PinTries(tmp_path)).certificate
        assert told in absent.value.sentence()


def test_two_certificates_that_sign_need_a_criterion(card: CountingToken, tmp_path: Path) -> None:
    with pytest.raises(CardAmbiguous) as error:
        _ = at(card, tmp_path, "").certificate
    assert "certificate" in error.value.sentence()


def test_a_certificate_that_names_no_institution_needs_the_setting(
    card: CountingToken, tmp_path: Path
) -> None:
    with pytest.raises(CertificateUnfit):
        _ = at(card, tmp_path, NAMELESS).institution_code
    assert at(card, tmp_path, NAMELESS).look().condition is CardCondition.FAULT
    assert at(card, tmp_path, NAMELESS, CLINIC).institution_code == CLINIC


def test_a_setting_that_contradicts_the_certificate_is_refused(
    card: CountingToken, tmp_path: Path
) -> None:
    with pytest.raises(CertificateUnfit) as error:
        at(card, tmp_path, CLINIC, ELLIPTIC).unlock(Pin(PIN))
    assert CLINIC in error.value.sentence()
    assert card.calls == 0


def test_a_certificate_that_has_ended_signs_nothing(card: CountingToken, tmp_path: Path) -> None:
    later = datetime.now(UTC) + timedelta(days=400)
    token = at(card, tmp_path, clock=lambda: later)
    with pytest.raises(CertificateUnfit):
        token.unlock(Pin(PIN))
    assert card.calls == 0


def test_a_library_that_is_not_there_is_told(tmp_path: Path) -> None:
    gone = Pkcs11Token(tmp_path / "gone.so", TokenCriteria("front"), PinTries(tmp_path))
    with pytest.raises(CardPartMissing):
        _ = gone.certificate
    (tmp_path / "text.so").write_text("no library", "ascii")
    text = Pkcs11Token(tmp_path / "text.so", TokenCriteria("front"), PinTries(tmp_path))
    assert text.look().reason == "card-part-missing"


def test_a_pin_shows_itself_nowhere(token: Pkcs11Token) -> None:
    pin = Pin(PIN)
    assert PIN not in f"{pin} {pin!r} {pin!s} {token!r}"
    with pytest.raises(TypeError):
        pin.__reduce__()
