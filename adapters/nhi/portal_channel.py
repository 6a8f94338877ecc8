"""The channel for clinics without the API: a person uploads the file on NHI's portal.

``submit`` puts the ZIP and a page that says what to do into a folder. From then on whether NHI has
it is unknown until that person says so, or a check report of it comes. What was handed over is
noted beside the file before the file can be seen, so that a crash never makes it look unsent.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.nhi.portal_page import portal_page
from adapters.ports.channel import (
    Arrival,
    ChannelReceipt,
    HandedOver,
    NotDelivered,
    OutcomeUnknown,
    QueryAnswer,
    RefusedByGateway,
    SealedPackage,
)
from adapters.ports.credential import Credential

NOTES = ".notes"
UPLOADED = "uploaded"
_STATES = ("handing", "handed", "uploaded", "withdrawn")


@dataclass(frozen=True, slots=True)
class PersonsWord:
    """What a person said of one file. ``receipt_number`` may be ``""``."""

    by: str
    said_at: datetime
    uploaded_at: datetime
    receipt_number: str = ""

    def to_json(self) -> dict[str, str]:
        return {
            "by": self.by,
            "said_at": self.said_at.isoformat(),
            "uploaded_at": self.uploaded_at.isoformat(),
            "receipt_number": self.receipt_number,
        }


class PortalChannel:
    """Implements ``adapters.ports.channel.SubmissionChannel``.

    ``folder`` holds one folder for each institution, ``results`` is where the person puts the
    check reports that were downloaded. ``submit`` raises ``HandedOver`` when all went well:
    the outcome is a person's to tell. ``query`` says ``PENDING`` until then.
    """

    name = "portal"

    def __init__(self, folder: Path, results: Path) -> None:
        self._folder = folder
        self._results = results

    async def submit(self, package: SealedPackage, credential: Credential) -> ChannelReceipt:
        """Hand the file over once; the same bytes again are the same hand-over."""
        receipt = await asyncio.to_thread(self._hand_over, package)
        if receipt is not None:
            return receipt
        raise HandedOver(folder=self.place(package.institution_code))

    async def query(self, package: SealedPackage, credential: Credential) -> QueryAnswer:
        """What a person said of it. ``ABSENT`` only of what was never handed over or was taken
        back."""
        return await asyncio.to_thread(self._look, package)

    async def fetch_verdict(
        self, package: SealedPackage, receipt: ChannelReceipt, credential: Credential
    ) -> bytes | None:
        """The downloaded ZIP whose name has the receipt number, or None. Reports are applied as
        soon as they lie in the results folder; this finds those that lay there before."""
        with _storage(NotDelivered):
            return await asyncio.to_thread(self._verdict, package, receipt.receipt_number)

    async def close(self) -> None:
        """Nothing is open."""

    def place(self, institution_code: str) -> Path:
        """Where the files of an institution wait for a person."""
        return self._folder / institution_code

    def confirm(self, institution_code: str, stem: str, word: PersonsWord) -> None:
        """A person has uploaded the file. Raises ``OSError``."""
        self._note(institution_code, stem, state="uploaded", word=word.to_json())
        self._clear_away(institution_code, stem)

    def withdraw(self, institution_code: str, stem: str, word: PersonsWord) -> None:
        """A person has not uploaded the file and will not: it is taken out of the folder first.
        Raises ``OSError``."""
        for path in self._files(institution_code, stem):
            path.unlink(missing_ok=True)
        self._note(institution_code, stem, state="withdrawn", word=word.to_json())

    def _hand_over(self, package: SealedPackage) -> ChannelReceipt | None:
        with _storage(NotDelivered):
            note = self._read_note(package.institution_code, package.stem)
        if note and note["sha256"] != package.sha256 and note["state"] != "withdrawn":
            raise RefusedByGateway(reason="27 流水號重覆", gateway_code="27")
        if note and note["state"] == "uploaded":
            return _receipt(note)
        if note and note["state"] == "handed":
            return None
        digest = hashlib.sha256(package.raw_zip).hexdigest()
        if digest != package.sha256:
            raise NotDelivered(reason="the file is not what was sealed")
        with _storage(NotDelivered):
            self._note(
                package.institution_code,
                package.stem,
                state="handing",
                sha256=package.sha256,
                handed_at=datetime.now(UTC).isoformat(),
            )
        page, file = self._files(package.institution_code, package.stem)
        with _storage(NotDelivered):
            try:
                _write(page, portal_page(package.stem, self._results).encode("utf-8"))
                # The ZIP comes last: where it is seen, its page is there.
                _write(file, package.raw_zip)
            except OSError:
                # Never seen by anybody under its name: nobody can have uploaded it.
                self._note(package.institution_code, package.stem, state="withdrawn")
                raise
        with _storage(OutcomeUnknown):
            self._note(package.institution_code, package.stem, state="handed")
        return None

    def _look(self, package: SealedPackage) -> QueryAnswer:
        with _storage(OutcomeUnknown):
            note = self._read_note(package.institution_code, package.stem)
        if note is None or note["state"] == "withdrawn":
            return QueryAnswer(Arrival.ABSENT)
        if note["sha256"] != package.sha256:
            raise OutcomeUnknown(reason="other bytes were handed over under this name")
        if note["state"] == "uploaded":
            return QueryAnswer(Arrival.ARRIVED, _receipt(note))
        if note["state"] == "handing" and package.raw_zip:
            # The process ended in the middle: the same bytes under the same name do no harm.
            page, file = self._files(package.institution_code, package.stem)
            with _storage(OutcomeUnknown):
                _write(page, portal_page(package.stem, self._results).encode("utf-8"))
                _write(file, package.raw_zip)
                self._note(package.institution_code, package.stem, state="handed")
        return QueryAnswer(Arrival.PENDING, reason="handed-over")

    def _verdict(self, package: SealedPackage, receipt_number: str) -> bytes | None:
        self._clear_away(package.institution_code, package.stem)
        if not receipt_number or not receipt_number.isdecimal():
            return None
        pattern = f"{package.institution_code}-*-{receipt_number}-*.zip"
        for folder in (self._results, self._results / "done"):
            for path in sorted(folder.glob(pattern)):
                return path.read_bytes()
        return None

    def _clear_away(self, institution_code: str, stem: str) -> None:
        """What NHI has is no longer among what waits."""
        done = self.place(institution_code) / UPLOADED
        for path in self._files(institution_code, stem):
            if path.exists():
                done.mkdir(exist_ok=True)
                path.replace(done / path.name)

    def _files(self, institution_code: str, stem: str) -> tuple[Path, Path]:
        place = self.place(institution_code)
        return place / f"{stem}.html", place / f"{stem}.zip"

    def _note_path(self, institution_code: str, stem: str) -> Path:
        return self.place(institution_code) / NOTES / f"{stem}.json"

    def _read_note(self, institution_code: str, stem: str) -> dict[str, Any] | None:
        path = self._note_path(institution_code, stem)
        try:
            note = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise OutcomeUnknown(reason="the note of the hand-over is damaged") from error
        if not isinstance(note, dict) or note.get("state") not in _STATES or "sha256" not in note:
            raise OutcomeUnknown(reason="the note of the hand-over is damaged")
        return note

    def _note(self, institution_code: str, stem: str, **changes: Any) -> None:
        note = {"sha256": "", **(self._read_note(institution_code, stem) or {}), **changes}
        path = self._note_path(institution_code, stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, json.dumps(note, ensure_ascii=False, indent=1).encode("utf-8"))


def _receipt(note: Mapping[str, Any]) -> ChannelReceipt:
    word = note["word"]
    raw = json.dumps(word, ensure_ascii=False).encode("utf-8")
    uploaded_at = datetime.fromisoformat(word["uploaded_at"]).astimezone(UTC)
    return ChannelReceipt(word["receipt_number"], uploaded_at, raw)


def _write(path: Path, raw: bytes) -> None:
    """Whole or not at all, and durable before its name is seen."""
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    if os.name == "posix":
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _storage(kind: type[NotDelivered] | type[OutcomeUnknown]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise kind(
            reason=f"the hand-off folder: {error.strerror or type(error).__name__}"
        ) from None
