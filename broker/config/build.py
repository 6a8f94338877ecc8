"""Checked values become settings, and are held against each other."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import date
from itertools import combinations
from pathlib import Path

from adapters.ports.credential import CredentialKind
from broker.config.access_section import access_settings
from broker.config.alarm_section import alarm_limits
from broker.config.cards import agent, card_contradictions, cards, pairings
from broker.config.channels import (
    PORTAL_SOURCE,
    channel_contradictions,
    eii_channel,
    portal_channel,
    portal_folders,
    portal_sources,
)
from broker.config.delivery_sections import (
    critical_limits,
    deliveries,
    delivery_contradictions,
)
from broker.config.notice_section import notice_contradictions, notices
from broker.config.problems import ContradictingSettings, UnknownSetting
from broker.config.reading import Values
from broker.config.retention_section import retention_days
from broker.config.settings import (
    FolderSettings,
    HttpSettings,
    InstitutionSettings,
    ListSettings,
    LoggingSettings,
    MllpSettings,
    SandboxChannelSettings,
    ScheduleSettings,
    Settings,
    SourceSettings,
    TlsSettings,
)
from broker.config.subscription_section import subscription_settings
from broker.opening_hours import ALWAYS
from mapping.errors import LabbrokerError
from mapping.profile import Agreement, Commission, CsvLayout, Hl7Dialect, Route, SourceProfile


def build_settings(root: Values, file: Path | None) -> Settings:
    """The settings of values that have no problem of their own."""
    schedule, logging = root.sections["schedule"], root.sections["logging"]
    calendar = root.sections["calendar"]
    channels, lists = root.sections["channel"].sections, root.sections["lists"]
    sandbox = channels["sandbox"]
    data_dir = root["data_dir"]
    return Settings(
        data_dir=data_dir,
        language="zh" if root["language"] == "zh-TW" else "en",
        mllp=_mllp(root.sections["mllp"]),
        http=_http(root.sections["http"]),
        folders=(*map(_folder, root.entries["folder"]), *portal_folders(root, data_dir)),
        sources=(*map(_source, root.entries["source"]), *portal_sources(root)),
        agreements=tuple(_agreement(entry) for entry in root.entries["agreement"]),
        institutions=tuple(_institution(entry, data_dir) for entry in root.entries["institution"]),
        sandbox_channel=SandboxChannelSettings(
            sandbox["base_url"], sandbox["timeout_seconds"], sandbox["test_issuers"]
        ),
        schedule=ScheduleSettings(
            seal_after_seconds=schedule["seal_after_seconds"],
            press_before_minutes=schedule["press_before_minutes"],
            verdict_poll_seconds=schedule["verdict_poll_seconds"],
            settle_seconds=schedule["settle_seconds"],
            max_records_per_package=schedule["max_records_per_package"],
            max_package_bytes=schedule["max_package_bytes"],
            warn_before_hours=schedule["warn_before_hours"],
        ),
        logging=LoggingSettings(logging["level"], logging["file"]),
        store_url=root.sections["store"]["url"],
        lease_seconds=root.sections["store"]["lease_seconds"],
        upgrade_copies=root.sections["store"]["upgrade_copies"],
        alarms=alarm_limits(root.sections["alarm"]),
        file=file,
        holidays=frozenset(calendar["holidays"]),
        gateway_closed=calendar["gateway_closed"] or ALWAYS,
        lists=ListSettings(
            lists["institutions"], lists["order_codes"], lists["claims"], lists["groups"]
        ),
        eii_channel=eii_channel(channels["eii"], data_dir),
        portal_channel=portal_channel(channels["portal"], data_dir),
        deliveries=deliveries(root),
        subscription=subscription_settings(root.sections["subscription"]),
        critical_limits=critical_limits(root),
        notices=notices(root),
        cards=cards(root),
        agent=agent(root),
        pairings=pairings(root),
        access=access_settings(root.sections["access"]),
        retention_days=retention_days(root.sections["retention"]),
    )


def contradictions(root: Values) -> list[LabbrokerError]:
    """Settings that are fine one by one and cannot hold together."""
    sources = [entry["id"] for entry in root.entries["source"]]
    problems: list[LabbrokerError] = []
    problems += _twice(root.entries["source"], "id", "source id")
    problems += _twice(root.entries["folder"], "path", "folder path")
    problems += _twice(root.entries["institution"], "code", "institution code")
    problems += channel_contradictions(root)
    problems += _store_url(root.sections["store"])
    problems += delivery_contradictions(root)
    problems += notice_contradictions(root)
    problems += card_contradictions(root)
    if PORTAL_SOURCE in sources:
        what = f"the source id {PORTAL_SOURCE} is the portal channel's own"
        problems.append(ContradictingSettings(place=root.place, what=what))
    for folder in root.entries["folder"]:
        if folder["source"] not in sources:
            near = difflib.get_close_matches(folder["source"], sources, n=1, cutoff=0.5)
            nearest = near[0] if near else ", ".join(sources) or "a [[source]] with this id"
            problems.append(
                UnknownSetting(
                    place=folder.place, key=f'source = "{folder["source"]}"', nearest=nearest
                )
            )
    for door in (root.sections["mllp"], root.sections["http"]):
        if (door["tls_certificate"] is None) != (door["tls_key"] is None) or (
            door["tls_client_ca"] is not None and door["tls_certificate"] is None
        ):
            what = "tls_certificate and tls_key belong together"
            problems.append(ContradictingSettings(place=door.place, what=what))
    door = root.sections["mllp"]
    bound = any(source["certificate_sha256"] for source in root.entries["source"])
    http = root.sections["http"]
    if bound and door["tls_client_ca"] is None and http["tls_client_ca"] is None:
        what = "certificate_sha256 of a source needs tls_client_ca: peers are not asked for one"
        problems.append(ContradictingSettings(place=door.place, what=what))
    if door["enabled"] and door["tls_client_ca"] is not None and not bound:
        what = "tls_client_ca needs certificate_sha256 at a source: else every peer is a stranger"
        problems.append(ContradictingSettings(place=door.place, what=what))
    for source in root.entries["source"]:
        if len(source.sections["csv"]["delimiter"]) != 1:
            what = "csv.delimiter is one character"
            problems.append(ContradictingSettings(place=source.place, what=what))
    return problems + _agreements(root.entries["agreement"])


def _store_url(store: Values) -> list[LabbrokerError]:
    if not store["url"] or store["url"].startswith("postgresql+psycopg://"):
        return []
    what = "url begins with postgresql+psycopg://"
    return [ContradictingSettings(place=store.place, what=what)]


def _twice(entries: Iterable[Values], key: str, name: str) -> list[LabbrokerError]:
    seen: set[object] = set()
    problems: list[LabbrokerError] = []
    for entry in entries:
        if entry[key] in seen:
            what = f"the {name} {entry[key]} is used twice"
            problems.append(ContradictingSettings(place=entry.place, what=what))
        seen.add(entry[key])
    return problems


def _agreements(entries: list[Values]) -> list[LabbrokerError]:
    problems: list[LabbrokerError] = []
    for entry in entries:
        if _first(entry) > _last(entry):
            what = "valid_from is after valid_until"
            problems.append(ContradictingSettings(place=entry.place, what=what))
    # Two agreements for one order would let both sides upload it: NHI refuses that with 25.
    for one, other in combinations(entries, 2):
        same = all(one[key] == other[key] for key in ("lab_code", "clinic_code", "order_code"))
        if same and _first(one) <= _last(other) and _first(other) <= _last(one):
            what = f"this agreement and the one at {one.place} cover the same days"
            problems.append(ContradictingSettings(place=other.place, what=what))
    return problems


def _first(entry: Values) -> date:
    return entry["valid_from"] or date.min


def _last(entry: Values) -> date:
    return entry["valid_until"] or date.max


def _tls(door: Values) -> TlsSettings | None:
    if door["tls_certificate"] is None:
        return None
    return TlsSettings(door["tls_certificate"], door["tls_key"], door["tls_client_ca"])


def _mllp(door: Values) -> MllpSettings:
    return MllpSettings(
        enabled=door["enabled"],
        host=door["host"],
        port=door["port"],
        max_frame_bytes=door["max_frame_bytes"],
        max_connections=door["max_connections"],
        frame_timeout_seconds=door["frame_timeout_seconds"],
        idle_timeout_seconds=door["idle_timeout_seconds"],
        tls=_tls(door),
    )


def _http(door: Values) -> HttpSettings:
    return HttpSettings(
        enabled=door["enabled"],
        host=door["host"],
        port=door["port"],
        max_body_bytes=door["max_body_bytes"],
        tls=_tls(door),
    )


def _folder(entry: Values) -> FolderSettings:
    return FolderSettings(
        path=entry["path"],
        source_id=entry["source"],
        quiet_seconds=entry["quiet_seconds"],
        scan_seconds=entry["scan_seconds"],
        polling=entry["polling"],
        needs_marker=entry["needs_marker"],
    )


def _source(entry: Values) -> SourceSettings:
    hl7, csv = entry.sections["hl7"], entry.sections["csv"]
    profile = SourceProfile(
        source_id=entry["id"],
        lab_code=entry["lab_code"],
        clinic_code=entry["clinic_code"],
        charset=entry["charset"],
        codes=entry["codes"],
        clinics=entry["clinics"],
        default_unit=entry["default_unit"],
        default_method=entry["default_method"],
        default_specimen=entry["default_specimen"],
        default_reference=entry["default_reference"],
        hl7=Hl7Dialect(
            national_id=hl7["national_id"],
            clinic_code=hl7["clinic_code"],
            lab_code=hl7["lab_code"],
            status_from_obx_11=hl7["status_from_obx_11"],
            item_in_obx_4=hl7["item_in_obx_4"],
            card_at=hl7["card_at"],
            visit_type=hl7["visit_type"],
            visit_serial=hl7["visit_serial"],
            makeup_code=hl7["makeup_code"],
            visit_identifier=hl7["visit_identifier"],
            dispensing_code=hl7["dispensing_code"],
        ),
        csv=CsvLayout(csv["columns"], csv["encoding"], csv["delimiter"]),
        file=entry["file_profile"],
    )
    return SourceSettings(
        profile=profile,
        peers=entry["peers"],
        sending_application=entry["sending_application"],
        sending_facility=entry["sending_facility"],
        token_hashes=entry["token_sha256"],
        certificate_hashes=entry["certificate_sha256"],
        reads_for=entry["reads_for"],
        check_reports=entry["check_reports"],
    )


def _agreement(entry: Values) -> Agreement:
    return Agreement(
        lab_code=entry["lab_code"],
        clinic_code=entry["clinic_code"],
        route=Route(entry["route"]),
        commission=Commission(entry["commission"]),
        order_code=entry["order_code"],
        valid_from=entry["valid_from"],
        valid_until=entry["valid_until"],
    )


def _institution(entry: Values, data_dir: Path) -> InstitutionSettings:
    return InstitutionSettings(
        code=entry["code"],
        kind=entry["kind"],
        channel=entry["channel"],
        credential_kind=CredentialKind(entry["credential"]),
        credential_folder=entry["credential_folder"] or data_dir / "credentials" / entry["code"],
        verdict_password=entry["verdict_password"],
        card_hours=entry["card_hours"] or ALWAYS,
    )
