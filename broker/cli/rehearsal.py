"""``labbroker rehearsal``: software keys for the institutions of the settings, for the sandbox.

The keys are made up: the stand-in gateway trusts them because it is told to, nobody else does.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.card.software_key import (
    CERTIFICATE_FILE,
    RehearsalAuthority,
    SoftwareKey,
    create_rehearsal_authority,
    create_rehearsal_key,
)
from adapters.ports.credential import CredentialKind
from broker.config import load_settings

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "rehearsal",
        description="Make rehearsal keys for the institutions of the settings, where they have "
        "none, and the authority certificate that the stand-in gateway shall trust.",
    )
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")


def run(arguments: argparse.Namespace) -> int:
    """0; keys that are there already are kept. Raises the errors of the key files."""
    settings = load_settings(arguments.config, os.environ)
    folder = settings.data_dir / "credentials" / "authority"
    authority = RehearsalAuthority(folder)
    if not authority.certificate_file.exists():
        authority = create_rehearsal_authority(folder)
    chinese = arguments.language == "zh"
    for institution in settings.institutions:
        if institution.credential_kind is not CredentialKind.SOFTWARE:
            continue
        if (institution.credential_folder / CERTIFICATE_FILE).exists():
            SoftwareKey.load(institution.credential_folder)
            said = "已有金鑰" if chinese else "has a key"
        else:
            create_rehearsal_key(institution.credential_folder, institution.code, authority)
            said = "已建立演練金鑰" if chinese else "has a new rehearsal key"
        sys.stdout.write(f"{institution.code} {said}: {institution.credential_folder}\n")
    said = "模擬閘道應信任" if chinese else "the stand-in gateway shall trust"
    sys.stdout.write(f"{said}: {authority.certificate_file}\n")
    return 0
