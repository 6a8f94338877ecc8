"""The EII library in a process of this machine, with the files that it reads and writes."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from adapters.nhi.eii_codes import Outcome, eii_code
from adapters.nhi.eii_process import EiiProcess
from adapters.ports.channel import CredentialUnusable, NotDelivered, SealedPackage
from adapters.ports.eii_job import LARGEST_REPORT
from adapters.ports.eii_seat import CallLost, Recalled, SendAnswer
from mapping.moment import TAIPEI
from mapping.package_name import parse_stem
from mapping.rocdate import roc_date, roc_month

_ASK_ANEW = timedelta(hours=12)


class LocalEiiSeat:
    """Implements ``adapters.ports.eii_seat.EiiSeat``; close it.

    ``folder`` holds a folder for each package. ``report_after`` is in seconds; NHI advises at
    least 30 minutes (API 作業說明 101.11.20).
    """

    def __init__(
        self,
        process: EiiProcess,
        folder: Path,
        *,
        type_code: str,
        request_template: str,
        report_after: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._process = process
        self._folder = folder
        self._type_code = type_code
        self._template = request_template
        self._report_after = timedelta(seconds=report_after)
        self._clock = clock

    async def close(self) -> None:
        """End the library's process."""
        await self._process.close()

    async def send(self, package: SealedPackage) -> SendAnswer:
        """Call ``NHI_SendB`` once."""
        await self._same_institution(package)
        try:
            file = await asyncio.to_thread(self._lay_out, package)
        except OSError as error:
            raise NotDelivered(reason=f"the work folder: {error.strerror}") from None
        answer = await self._process.call("send", file=str(file), type=self._type_code)
        local_id, nhi_id = (str(answer.get(name, "")) for name in ("local_id", "nhi_id"))
        return SendAnswer(_code_of(answer), local_id, nhi_id, self._clock())

    async def recall(self, package: SealedPackage) -> Recalled:
        """The library tells nothing of what was sent."""
        return Recalled()

    async def report(self, package: SealedPackage) -> bytes | None:
        """Request the report, or fetch what was requested."""
        if not self._template:
            raise NotDelivered(reason="channel.eii.request_template is not set")
        place = self._place(package)
        try:
            request = await asyncio.to_thread(_read_request, place)
            if request is None:
                await self._ask_for(package, place)
                return None
            age = self._clock() - datetime.fromisoformat(request["requested_at"])
            if timedelta(0) <= age < self._report_after:
                return None
            return await self._get(request, place, age)
        except CallLost as lost:
            raise NotDelivered(reason=f"the question was lost: {lost.reason}") from None
        except OSError as error:
            raise NotDelivered(reason=f"the work folder: {error.strerror}") from None

    def clear(self, stem: str) -> None:
        """Remove a file that was sent; what tells of its report stays. Raises ``OSError``."""
        (self._folder / stem / f"{stem}.zip").unlink(missing_ok=True)
        shutil.rmtree(self._folder / stem / "download", ignore_errors=True)

    async def _same_institution(self, package: SealedPackage) -> None:
        """The SAM in the reader is the package's. Raises ``CredentialUnusable``."""
        if not self._process.asks_for_hospital:
            return
        owner = package.institution_code
        try:
            answer = await self._process.call("hospital")
        except CallLost as lost:
            raise CredentialUnusable(
                institution=owner, reason=f"csGetHospID: {lost.reason}"
            ) from None
        if _code_of(answer) != 0:
            raise CredentialUnusable(institution=owner, reason=f"csGetHospID {_code_of(answer)}")
        if answer.get("institution") != owner:
            raise CredentialUnusable(
                institution=owner, reason="the SAM in the reader is another institution's"
            )

    async def _ask_for(self, package: SealedPackage, place: Path) -> None:
        file = await asyncio.to_thread(self._write_request, package, place)
        answer = await self._process.call("request", file=str(file), type=self._type_code)
        code = _code_of(answer)
        if eii_code(code).on_ask is not Outcome.DONE:
            raise NotDelivered(reason=f"NHI_DownloadB {code}: {eii_code(code).zh}")
        note = {
            "local_id": answer["local_id"],
            "nhi_id": answer["nhi_id"],
            "requested_at": self._clock().isoformat(),
        }
        await asyncio.to_thread((place / "request.json").write_text, json.dumps(note), "ascii")

    async def _get(self, request: Mapping[str, str], place: Path, age: timedelta) -> bytes | None:
        folder = place / "download"
        await asyncio.to_thread(_empty, folder)
        answer = await self._process.call(
            "get", local_id=request["local_id"], nhi_id=request["nhi_id"], folder=str(folder)
        )
        code = _code_of(answer)
        outcome = eii_code(code).on_ask
        if outcome is Outcome.WAIT:
            if age >= _ASK_ANEW:
                await asyncio.to_thread((place / "request.json").unlink)
            return None
        if outcome is not Outcome.DONE:
            raise NotDelivered(reason=f"NHI_GetB {code}: {eii_code(code).zh}")
        raw = await asyncio.to_thread(_only_file, folder)
        # What has been fetched is asked for anew where it did not tell everything.
        await asyncio.to_thread((place / "request.json").unlink)
        return raw

    def _place(self, package: SealedPackage) -> Path:
        return self._folder / package.stem

    def _lay_out(self, package: SealedPackage) -> Path:
        """The file as the library reads it. Raises ``OSError``, ``NotDelivered``."""
        place = self._place(package)
        if not str(place).isascii():
            raise NotDelivered(reason="the path of channel.eii.work_folder is not ASCII")
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.mkdir(exist_ok=True, mode=0o700)
        file = place / f"{package.stem}.zip"
        file.write_bytes(package.raw_zip)
        return file

    def _write_request(self, package: SealedPackage, place: Path) -> Path:
        """Named 醫事機構代碼-系統日期-流水號.txt (EII-S p. 5)."""
        name = parse_stem(package.stem)
        today = roc_date(self._clock().astimezone(TAIPEI).date())
        text = self._template
        for word, value in (
            ("{institution}", name.institution_code),
            ("{upload_date}", roc_date(name.upload_on)),
            ("{month}", roc_month(name.upload_on)),
            ("{serial}", f"{name.serial:03d}"),
            ("{file}", package.stem),
        ):
            text = text.replace(word, value)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.mkdir(exist_ok=True, mode=0o700)
        file = place / f"{name.institution_code}-{today}-{name.serial:03d}.txt"
        file.write_bytes(text.replace("\r\n", "\n").replace("\n", "\r\n").encode("cp950"))
        return file


def _code_of(answer: Mapping[str, Any]) -> int:
    code = answer.get("code")
    return code if isinstance(code, int) else -1


def _read_request(place: Path) -> Mapping[str, str] | None:
    try:
        note = json.loads((place / "request.json").read_text("ascii"))
        datetime.fromisoformat(note["requested_at"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        # A damaged note is of a question alone: it is asked anew.
        return None
    return {key: str(value) for key, value in note.items()}


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _only_file(folder: Path) -> bytes:
    """Raises ``NotDelivered``."""
    files = [path for path in folder.iterdir() if path.is_file()]
    if len(files) != 1:
        raise NotDelivered(reason=f"NHI_GetB brought {len(files)} files")
    if files[0].stat().st_size > LARGEST_REPORT:
        raise NotDelivered(reason="NHI_GetB brought a file that is too large")
    return files[0].read_bytes()
