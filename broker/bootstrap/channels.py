"""The ways to NHI that the settings name, each built when an institution uses it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adapters.card.software_key import SoftwareKey
from adapters.nhi.check_report import open_verdict
from adapters.nhi.eii_channel import EiiChannel
from adapters.nhi.portal_channel import PortalChannel
from adapters.nhi.sandbox_channel import SandboxChannel
from adapters.nhi.unsigning_credential import CloudSam, PersonCard
from adapters.ports.credential import Credential, CredentialKind
from broker.bootstrap.cards import Cards
from broker.bootstrap.eii_seat import local_eii_seat
from broker.config.settings import InstitutionSettings, Settings
from broker.submission import Uploader
from mapping.errors import LabbrokerError
from mapping.verdict import CheckReport


class CredentialNotAllowed(LabbrokerError):
    code = "credential-not-allowed"
    en = (
        "A software key may sign for the sandbox only, not for channel {channel} ({institution}).",
        "Set the credential of the channel for the institution.",
    )
    zh = (
        "軟體金鑰僅能用於演練通道，不可用於 {channel}（{institution}）。",
        "請為該機構設定該通道的憑證。",
    )


class Channels:
    """Gives each institution its uploader; ``close`` ends what they hold open."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], cards: Cards) -> None:
        self._settings = settings
        self._cards = cards
        self._environ = environ
        self._sandbox: SandboxChannel | None = None
        self._eii: dict[bool, EiiChannel] = {}
        """By whether the library is at an agent."""
        self._portal: PortalChannel | None = None

    def prepare(self) -> None:
        """Make the folders that people and libraries use."""
        folders = self.hand_off_folders()
        if folders:
            self._settings.portal_channel.results_folder.mkdir(parents=True, exist_ok=True)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)

    def hand_off_folders(self) -> tuple[Path, ...]:
        """Where files wait for a person, one for each institution of the portal."""
        portal = self._settings.portal_channel
        return tuple(
            portal.folder / each.code
            for each in self._settings.institutions
            if each.channel == "portal"
        )

    async def close(self) -> None:
        """Close connections and end child processes."""
        if self._sandbox is not None:
            await self._sandbox.close()
        for eii in self._eii.values():
            await eii.close()

    def uploader(self, institution: InstitutionSettings) -> Uploader:
        """Channel and credential of an institution. Raises :class:`CredentialNotAllowed` or what
        the credential raises."""
        read = self._reader(institution)
        credential: Credential
        if institution.channel == "eii":
            remote = institution.code in self._cards.sams
            if remote:
                credential = self._cards.sam(institution.code)
            else:
                credential = CloudSam(institution.credential_folder, institution.code)
            return Uploader(institution.code, self._eii_channel(remote), credential, read)
        if institution.channel == "portal":
            credential = PersonCard(institution.code)
            return Uploader(institution.code, self._portal_channel(), credential, read)
        if institution.credential_kind is CredentialKind.PKCS11:
            credential = self._cards.credential(institution.code)
            return Uploader(institution.code, self._sandbox_channel(), credential, read)
        if institution.credential_kind is not CredentialKind.SOFTWARE:
            raise CredentialNotAllowed(channel=institution.channel, institution=institution.code)
        credential = SoftwareKey.load(institution.credential_folder)
        return Uploader(institution.code, self._sandbox_channel(), credential, read)

    def portal_of(self, institution_code: str) -> PortalChannel | None:
        """The portal channel, where the institution uses it."""
        return portal_of(self._settings, institution_code)

    def _reader(self, institution: InstitutionSettings) -> Reader:
        return Reader(institution, self._environ)

    def _sandbox_channel(self) -> SandboxChannel:
        if self._sandbox is None:
            sandbox = self._settings.sandbox_channel
            self._sandbox = SandboxChannel(sandbox.base_url, sandbox.timeout_seconds)
        return self._sandbox

    def _portal_channel(self) -> PortalChannel:
        if self._portal is None:
            portal = self._settings.portal_channel
            self._portal = PortalChannel(portal.folder, portal.results_folder)
        return self._portal

    def _eii_channel(self, remote: bool) -> EiiChannel:
        if remote not in self._eii:
            eii = self._settings.eii_channel
            seat = self._cards.eii_seat(eii) if remote else local_eii_seat(eii)
            readers = {
                each.code: self._reader(each)
                for each in self._settings.institutions
                if each.channel == "eii"
            }
            self._eii[remote] = EiiChannel(
                seat,
                eii.work_folder,
                open_verdict=lambda institution, raw: readers[institution](raw),
            )
        return self._eii[remote]


class Reader:
    """Opens the check reports of an institution; its password is read anew each time."""

    def __init__(self, institution: InstitutionSettings, environ: Mapping[str, str]) -> None:
        self._code = institution.code
        self._password = institution.verdict_password
        self._environ = environ

    def __call__(self, raw: bytes) -> tuple[CheckReport, ...]:
        secret = self._password.read(self._environ).reveal() if self._password else ""
        refused: LabbrokerError | None = None
        for password in passwords_of(self._code, secret):
            try:
                return open_verdict(raw, password)
            except LabbrokerError as error:
                if error.code != "verdict-password-wrong":
                    raise
                refused = error
        assert refused is not None  # noqa: S101 - at least one password is tried
        raise refused


def passwords_of(institution_code: str, person: str) -> tuple[str, ...]:
    """What NHI's downloads are locked with: the id of the person who was logged in, its first
    letter a capital (S004 pp. 9-10), or institution code, ``_`` and that id (S000, list of cases
    not uploaded)."""
    if not person:
        return ("",)
    capital = person[:1].upper() + person[1:]
    return tuple(dict.fromkeys((person, capital, f"{institution_code}_{capital}")))


def portal_of(settings: Settings, institution_code: str) -> PortalChannel | None:
    """The portal channel of these settings, where the institution uses it."""
    if any(
        each.code == institution_code and each.channel == "portal" for each in settings.institutions
    ):
        portal = settings.portal_channel
        return PortalChannel(portal.folder, portal.results_folder)
    return None
