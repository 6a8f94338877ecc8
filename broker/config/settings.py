"""The settings as the broker uses them: frozen, checked, with absolute paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TypeAlias

from adapters.ports.credential import CredentialKind
from broker.config.access_section import AccessSettings
from broker.config.alarm_section import AlarmLimits
from broker.config.cards import AgentSettings, CardSettings, Pairing
from broker.config.notice_section import NoticeSettings
from broker.config.secret import SecretReference
from broker.config.subscription_section import SubscriptionSettings
from broker.delivery.agreement import DeliveryAgreement
from broker.opening_hours import ALWAYS, OpeningHours, without
from broker.store.location import StoreLocation
from mapping.critical import CriticalLimit
from mapping.errors import Language
from mapping.profile import Agreement, SourceProfile

Network: TypeAlias = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """PEM files. With ``client_ca`` a peer must show a certificate."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class MllpSettings:
    enabled: bool
    host: str
    port: int
    max_frame_bytes: int
    max_connections: int
    frame_timeout_seconds: float
    idle_timeout_seconds: float
    tls: TlsSettings | None = None


@dataclass(frozen=True, slots=True)
class HttpSettings:
    enabled: bool
    host: str
    port: int
    max_body_bytes: int
    tls: TlsSettings | None = None


@dataclass(frozen=True, slots=True)
class FolderSettings:
    path: Path
    source_id: str
    quiet_seconds: float
    scan_seconds: float
    polling: bool = False
    needs_marker: bool = False


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """A sender. Empty ``peers``, ``sending_application`` or ``sending_facility`` match any;
    empty ``token_hashes`` match nobody: such a source cannot use the HTTP door."""

    profile: SourceProfile
    peers: tuple[Network, ...] = ()
    sending_application: str = ""
    sending_facility: str = ""
    token_hashes: tuple[str, ...] = field(default=(), repr=False)
    certificate_hashes: tuple[str, ...] = ()
    """SHA-256 of the client certificates (DER) of this source; whoever shows another is not it."""
    reads_for: tuple[str, ...] = ()
    """Institution codes of the clinics whose results its token may read; it sends none then."""
    check_reports: bool = False
    """It may bring NHI's check reports, which move the records of whole packages."""

    @property
    def source_id(self) -> str:
        return self.profile.source_id


@dataclass(frozen=True, slots=True)
class InstitutionSettings:
    """``kind`` is h3 (``11`` a clinic, ``50`` a laboratory)."""

    code: str
    kind: str
    channel: str
    credential_kind: CredentialKind
    credential_folder: Path
    verdict_password: SecretReference | None = None
    card_hours: OpeningHours = ALWAYS


@dataclass(frozen=True, slots=True)
class SandboxChannelSettings:
    base_url: str
    timeout_seconds: float
    test_issuers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EiiChannelSettings:
    """``library`` None: it is not set up. ``python`` None: the Python that runs."""

    library: Path | None = None
    reader_library: Path | None = None
    control_library: Path | None = None
    port: int = 0
    python: Path | None = None
    type_code: str = "26"
    request_template: str = ""
    work_folder: Path = Path("eii")
    timeout_seconds: float = 300
    report_after_seconds: float = 1800


@dataclass(frozen=True, slots=True)
class PortalChannelSettings:
    """Where a person takes files from, and where check reports are brought."""

    folder: Path = Path("portal")
    results_folder: Path = Path("portal/results")


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    seal_after_seconds: float
    press_before_minutes: float
    verdict_poll_seconds: float
    settle_seconds: float
    max_records_per_package: int
    max_package_bytes: int
    warn_before_hours: float = 6

    @property
    def parts_ahead(self) -> timedelta:
        """How long before its last chance a part of an order leaves without the rest: before
        anybody is warned of what only waits."""
        return timedelta(hours=self.warn_before_hours, minutes=self.press_before_minutes)


@dataclass(frozen=True, slots=True)
class ListSettings:
    """Files that an operator imported; ``claims`` may be a folder."""

    institutions: Path | None = None
    order_codes: Path | None = None
    claims: Path | None = None
    groups: Path | None = None


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """``level`` is a name of :mod:`logging` in lower case; no ``file`` means standard error."""

    level: str = "info"
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration. ``file`` is where it was read from, or None for defaults."""

    data_dir: Path
    language: Language
    mllp: MllpSettings
    http: HttpSettings
    folders: tuple[FolderSettings, ...]
    sources: tuple[SourceSettings, ...]
    agreements: tuple[Agreement, ...]
    institutions: tuple[InstitutionSettings, ...]
    sandbox_channel: SandboxChannelSettings
    schedule: ScheduleSettings
    logging: LoggingSettings
    file: Path | None = None
    lists: ListSettings = field(default_factory=ListSettings)
    holidays: frozenset[date] = frozenset()
    gateway_closed: OpeningHours = ALWAYS
    """The closures, as hours; :data:`ALWAYS` where none are named."""
    eii_channel: EiiChannelSettings = field(default_factory=EiiChannelSettings)
    portal_channel: PortalChannelSettings = field(default_factory=PortalChannelSettings)
    deliveries: tuple[DeliveryAgreement, ...] = ()
    subscription: SubscriptionSettings = field(default_factory=SubscriptionSettings)
    critical_limits: tuple[CriticalLimit, ...] = ()
    alarms: AlarmLimits = field(default_factory=AlarmLimits)
    notices: tuple[NoticeSettings, ...] = ()
    cards: tuple[CardSettings, ...] = ()
    """Those in the readers of this PC."""
    agent: AgentSettings = field(default_factory=AgentSettings)
    pairings: tuple[Pairing, ...] = ()
    access: AccessSettings = field(default_factory=AccessSettings)
    retention_days: Mapping[str, int | None] = field(default_factory=dict)
    """By what is kept; nothing, or None: for good."""

    store_url: str = field(default="", repr=False)
    lease_seconds: float = 20
    upgrade_copies: int = 3

    @property
    def store(self) -> StoreLocation:
        """The SQLite file in ``data_dir``, or the PostgreSQL that several nodes share."""
        return StoreLocation(self.data_dir, self.store_url)

    @property
    def hours(self) -> Mapping[str, OpeningHours]:
        """When each institution's packages can be sent: its card is there, the gateway is open."""
        gateway = without(self.gateway_closed)
        return {
            institution.code: institution.card_hours.except_on(self.holidays).within(gateway)
            for institution in self.institutions
        }

    @property
    def profiles(self) -> Mapping[str, SourceProfile]:
        """Source profiles by ``source_id``."""
        return {source.source_id: source.profile for source in self.sources}
