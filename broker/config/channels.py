"""The settings of the channels, and what the portal channel adds to folders and sources."""

from __future__ import annotations

from pathlib import Path

from broker.config.channel_sections import CARD_CHANNELS, CREDENTIAL_OF_CHANNEL
from broker.config.problems import ContradictingSettings
from broker.config.reading import Values
from broker.config.settings import (
    EiiChannelSettings,
    FolderSettings,
    PortalChannelSettings,
    SourceSettings,
)
from mapping.errors import LabbrokerError
from mapping.profile import SourceProfile

PORTAL_SOURCE = "portal-results"
"""The source of the check reports that a person puts into the results folder."""


def eii_channel(section: Values, data_dir: Path) -> EiiChannelSettings:
    """What stands under ``[channel.eii]``."""
    return EiiChannelSettings(
        library=section["library"],
        reader_library=section["reader_library"],
        control_library=section["control_library"],
        port=section["port"],
        python=section["python"],
        type_code=section["type_code"],
        request_template=section["request_template"],
        work_folder=section["work_folder"] or data_dir / "eii",
        timeout_seconds=section["timeout_seconds"],
        report_after_seconds=section["report_after_seconds"],
    )


def portal_channel(section: Values, data_dir: Path) -> PortalChannelSettings:
    """What stands under ``[channel.portal]``."""
    folder = section["folder"] or data_dir / "portal"
    return PortalChannelSettings(folder, section["results_folder"] or folder / "results")


def portal_folders(root: Values, data_dir: Path) -> tuple[FolderSettings, ...]:
    """The results folder is watched, where an institution uses the portal."""
    if not _used(root, "portal"):
        return ()
    portal = portal_channel(root.sections["channel"].sections["portal"], data_dir)
    return (FolderSettings(portal.results_folder, PORTAL_SOURCE, 2, 10),)


def portal_sources(root: Values) -> tuple[SourceSettings, ...]:
    """Who brings what lies in the results folder: check reports and nothing else."""
    if not _used(root, "portal"):
        return ()
    return (SourceSettings(SourceProfile(PORTAL_SOURCE), check_reports=True),)


def channel_contradictions(root: Values) -> list[LabbrokerError]:
    """Credentials that do not sign for their channel, and parts of a used channel that are not
    named."""
    problems: list[LabbrokerError] = []
    for entry in root.entries["institution"]:
        channel, credential = entry["channel"], entry["credential"]
        wanted = CREDENTIAL_OF_CHANNEL[channel]
        if credential == "pkcs11" and channel in CARD_CHANNELS:
            continue
        if credential != wanted:
            what = f'channel = "{channel}" needs credential = "{wanted}", not "{credential}"'
            problems.append(ContradictingSettings(place=entry.place, what=what))
    eii = root.sections["channel"].sections["eii"]
    elsewhere = {code for entry in root.entries["pairing"] for code in entry["eii"]}
    here = (each["channel"] == "eii" and each["code"] not in elsewhere
            for each in root.entries["institution"])  # fmt: skip
    if any(here):
        for name in ("library", "reader_library"):
            if eii[name] is None:
                what = f'channel = "eii" needs {name} under [channel.eii]'
                problems.append(ContradictingSettings(place=eii.place, what=what))
    return problems


def _used(root: Values, channel: str) -> bool:
    return any(entry["channel"] == channel for entry in root.entries["institution"])
