"""The settings of institutions and of the ways to NHI."""

from __future__ import annotations

from broker.config.shape import REQUIRED, Key, Kind, Section

CREDENTIAL_OF_CHANNEL = {"sandbox": "software", "eii": "sam", "portal": "person"}
"""What signs for each channel where nothing else is said."""
CARD_CHANNELS = frozenset({"sandbox"})
"""Where a card may sign instead (`pkcs11`). A software key signs for the sandbox alone."""

INSTITUTION = Section(
    "institution",
    "An institution in whose name results are uploaded.",
    (
        Key("code", Kind.INSTITUTION, REQUIRED, "Institution code (h2)."),
        Key("kind", Kind.TEXT, "11", "醫事類別 (h3): `11` a clinic, `50` a laboratory."),
        Key(
            "channel",
            Kind.CHOICE,
            "sandbox",
            "The [channel](channels.md) that its packages take.",
            choices=("sandbox", "eii", "portal"),
        ),
        Key(
            "credential",
            Kind.CHOICE,
            "software",
            "What signs in its name: `software` with channel `sandbox` (a key file, for rehearsal "
            "only) or `pkcs11` (a card, held by an agent that a `[[pairing]]` lets in), `sam` with "
            "`eii`, `person` with `portal`.",
            choices=("software", "pkcs11", "sam", "person"),
        ),
        Key(
            "credential_folder",
            Kind.PATH,
            None,
            "Folder of the software key or of the `.SAM` file; unset means `credentials/CODE` in "
            "`data_dir`.",
        ),
        Key(
            "card_hours",
            Kind.HOURS,
            (),
            "When its card is in the reader; unset means always. Holidays are left out.",
        ),
        Key(
            "verdict_password",
            Kind.SECRET,
            None,
            "Where the password of the check report's ZIP is kept; never the password itself.",
        ),
    ),
    repeated=True,
)

_SANDBOX = Section(
    "sandbox",
    "The stand-in gateway (`labbroker sandbox`).",
    (
        Key(
            "base_url",
            Kind.TEXT,
            "http://127.0.0.1:8091",
            "Where the stand-in gateway listens.",
        ),
        Key(
            "timeout_seconds",
            Kind.NUMBER,
            30,
            "An answer that takes longer makes the outcome unknown.",
            least=1,
        ),
        Key(
            "test_issuers",
            Kind.TEXTS,
            (),
            "Parts of the names of authorities that issue test cards. Rehearsal cards may always "
            "sign for the stand-in, test cards when they are named here, production cards never.",
        ),
    ),
)

_EII = Section(
    "eii",
    "NHI's library `nhi_eiiapi.dll`, which comes from the VPN (下載專區) and runs in a process of "
    "its own.",
    (
        Key("library", Kind.PATH, None, "`nhi_eiiapi.dll` (cloud SAM: `cnhi_eiiapi.dll`)."),
        Key("reader_library", Kind.PATH, None, "The reader maker's `Reader.dll`."),
        Key(
            "control_library",
            Kind.PATH,
            None,
            "The control software's `csHis.dll`; with it the reader is asked whose SAM it holds "
            "before each send.",
        ),
        Key("port", Kind.INTEGER, 0, "Number of the reader's port; 0 is COM1.", least=0, most=255),
        Key(
            "python",
            Kind.PATH,
            None,
            "The Python that loads the library: it must be 32-bit where the library is. Unset "
            "means the one that runs labbroker.",
        ),
        Key("type_code", Kind.TEXT, "26", "NHI's number of the daily upload."),
        Key(
            "request_template",
            Kind.TEXT,
            "",
            "Content of the request file for check reports; it is not public, copy it from "
            "下載專區. `{institution}`, `{upload_date}` (ROC, 7 digits), `{month}` (5), "
            "`{serial}`, `{file}` (without .zip) stand for the package. Without it no report is "
            "asked for.",
        ),
        Key(
            "work_folder",
            Kind.PATH,
            None,
            "Folder for the files that the library reads and writes, ASCII only; unset means `eii` "
            "in `data_dir`.",
        ),
        Key(
            "timeout_seconds",
            Kind.NUMBER,
            300,
            "A call that takes longer is ended with its process; its outcome is unknown.",
            least=1,
        ),
        Key(
            "report_after_seconds",
            Kind.NUMBER,
            1800,
            "How long after its request a check report is fetched for the first time.",
            least=0,
        ),
    ),
)

_PORTAL = Section(
    "portal",
    "A person uploads the files on NHI's portal.",
    (
        Key(
            "folder",
            Kind.PATH,
            None,
            "Where files wait for the person, a folder for each institution; unset means `portal` "
            "in `data_dir`.",
        ),
        Key(
            "results_folder",
            Kind.PATH,
            None,
            "Where the person puts the check reports that were downloaded; unset means `results` "
            "in `folder`.",
        ),
    ),
)

CHANNEL = Section("channel", "The ways to NHI.", sections=(_SANDBOX, _EII, _PORTAL))
