"""Every setting: name, kind, default and meaning. Reader, docs and checks all use this table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from broker.config.access_section import ACCESS
from broker.config.alarm_section import ALARM
from broker.config.card_sections import AGENT, CARD, PAIRING
from broker.config.channel_sections import CHANNEL, INSTITUTION
from broker.config.delivery_sections import CRITICAL_LIMIT, DELIVERY
from broker.config.notice_section import NOTICE
from broker.config.retention_section import RETENTION
from broker.config.shape import REQUIRED, Key, Kind, Section
from broker.config.subscription_section import SUBSCRIPTION
from mapping.file_profile import RESULT_COLUMNS

NO_ENTRIES: Mapping[str, object] = MappingProxyType({})

_TLS = (
    Key("tls_certificate", Kind.PATH, None, "PEM certificate chain; with it the door speaks TLS."),
    Key("tls_key", Kind.PATH, None, "PEM private key that belongs to `tls_certificate`."),
    Key(
        "tls_client_ca",
        Kind.PATH,
        None,
        "PEM certificates; with it a peer must show a certificate that one of them signed.",
    ),
)

_MLLP = Section(
    "mllp",
    "The HL7 v2 door.",
    (
        Key("enabled", Kind.BOOLEAN, True, "Whether the door is open."),
        Key("host", Kind.TEXT, "127.0.0.1", "Address to listen on; `0.0.0.0` for all."),
        Key("port", Kind.INTEGER, 2575, "TCP port; 0 takes a free one.", least=0, most=65535),
        Key(
            "max_frame_bytes",
            Kind.INTEGER,
            16 * 1024 * 1024,
            "A longer frame is refused without being kept in memory.",
            least=1024,
        ),
        Key("max_connections", Kind.INTEGER, 200, "Connections at one time.", least=1),
        Key(
            "frame_timeout_seconds",
            Kind.NUMBER,
            60,
            "A frame that has begun must be whole after this time.",
            least=1,
        ),
        Key(
            "idle_timeout_seconds",
            Kind.NUMBER,
            3600,
            "A connection that is silent for this time is closed.",
            least=1,
        ),
        *_TLS,
    ),
)

_HTTP = Section(
    "http",
    "The HTTP door: `POST /fhir`, `/healthz`, `/readyz`, `/metrics`.",
    (
        Key("enabled", Kind.BOOLEAN, True, "Whether the door is open."),
        Key("host", Kind.TEXT, "127.0.0.1", "Address to listen on; `0.0.0.0` for all."),
        Key("port", Kind.INTEGER, 8080, "TCP port; 0 takes a free one.", least=0, most=65535),
        Key(
            "max_body_bytes",
            Kind.INTEGER,
            16 * 1024 * 1024,
            "A longer body is refused with 413.",
            least=1024,
        ),
        *_TLS,
    ),
)

_FOLDER = Section(
    "folder",
    "A watched folder. Files that were taken move to `done/` in it, those that come once more to "
    "`duplicate/`, refused ones to `refused/`, those that turn out to be unreadable to `failed/`.",
    (
        Key("path", Kind.PATH, REQUIRED, "The folder."),
        Key("source", Kind.TEXT, REQUIRED, "The `id` of the source whose files these are."),
        Key(
            "quiet_seconds",
            Kind.NUMBER,
            2,
            "A file is whole when its size and time stood still for this long.",
            least=0,
        ),
        Key(
            "scan_seconds",
            Kind.NUMBER,
            10,
            "The folder is looked through this often, whatever the file system announces.",
            least=1,
        ),
        Key(
            "polling",
            Kind.BOOLEAN,
            False,
            "For network shares, whose file system announces nothing: only scans find files.",
        ),
        Key(
            "needs_marker",
            Kind.BOOLEAN,
            False,
            "Take a file only when `NAME.done` lies beside it.",
        ),
    ),
    repeated=True,
)

_SOURCE = Section(
    "source",
    "A sender: a laboratory, its LIS, or the clinic's own system.",
    (
        Key("id", Kind.TEXT, REQUIRED, "Short name of the source, used in logs and reports."),
        Key(
            "lab_code",
            Kind.INSTITUTION,
            "",
            "Institution code of the laboratory where a payload does not name one.",
        ),
        Key(
            "clinic_code",
            Kind.INSTITUTION,
            "",
            "Institution code of the ordering clinic where a payload does not name one.",
        ),
        Key(
            "charset",
            Kind.TEXT,
            "utf-8",
            "Character set where a payload declares none (`utf-8`, `big5`, `cp950`).",
        ),
        Key("default_unit", Kind.TEXT, "", "Unit (r5) of results that come without one."),
        Key("default_method", Kind.TEXT, "", "Method (r3) of results that come without one."),
        Key("default_specimen", Kind.TEXT, "", "Specimen (h22) of reports that come without one."),
        Key(
            "default_reference",
            Kind.TEXT,
            "",
            "Reference text (r6-1) of results that come without a range.",
        ),
        Key(
            "peers",
            Kind.NETWORKS,
            (),
            "MLLP: addresses from which this source connects; empty means any. A source of a "
            "folder or with a token is an MLLP peer only when this, a certificate, MSH-3 or MSH-4 "
            "is set.",
        ),
        Key("sending_application", Kind.TEXT, "", "MLLP: MSH-3 of this source; empty means any."),
        Key("sending_facility", Kind.TEXT, "", "MLLP: MSH-4 of this source; empty means any."),
        Key(
            "token_sha256",
            Kind.HASHES,
            (),
            "HTTP: SHA-256 of each bearer token that this source may use.",
        ),
        Key(
            "reads_for",
            Kind.INSTITUTIONS,
            (),
            "HTTP: the clinics whose results the tokens of this source may read by FHIR. A source "
            "that reads for a clinic sends nothing; without it, a source reads what it sent "
            "itself.",
        ),
        Key(
            "certificate_sha256",
            Kind.HASHES,
            (),
            "SHA-256 fingerprint of each client certificate of this source, colons allowed. "
            "A peer that shows a certificate is only the source that lists it; with "
            "`tls_client_ca` a source without one is nobody.",
        ),
        Key(
            "check_reports",
            Kind.BOOLEAN,
            False,
            "Whether NHI's check reports may come from this source: a folder into which a person "
            "puts what was downloaded from the VPN. Their ZIPs are opened with the "
            "`verdict_password` of the institutions.",
        ),
        Key(
            "codes",
            Kind.CODES,
            NO_ENTRIES,
            "The sender's codes and the order codes they mean; an empty order code means that a "
            "result is never uploaded.",
        ),
        Key(
            "file_profile",
            Kind.FILE_PROFILE,
            None,
            "The layout of its result files, as `labbroker profile suggest` writes it; it takes "
            "the place of `[source.csv]`.",
        ),
        Key(
            "clinics",
            Kind.LINKS,
            NO_ENTRIES,
            "The sender's own clinic codes and the institution codes they mean.",
        ),
    ),
    (
        Section(
            "hl7",
            "How this source bends HL7 v2. A place is `SEG-field` or `SEG-field.component`.",
            (
                Key("national_id", Kind.TEXTS, (), "Places of the national id, tried first."),
                Key("clinic_code", Kind.TEXTS, (), "Places of the ordering clinic's code."),
                Key("lab_code", Kind.TEXTS, (), "Places of the laboratory's code."),
                Key(
                    "status_from_obx_11",
                    Kind.BOOLEAN,
                    True,
                    "False where OBX-11 holds a 0/1 flag of the laboratory instead of a status.",
                ),
                Key(
                    "item_in_obx_4",
                    Kind.BOOLEAN,
                    False,
                    "True where OBX-4 holds the item's name, or its code instead of an empty "
                    "OBX-3.",
                ),
                Key(
                    "card_at",
                    Kind.TEXTS,
                    (),
                    "Order and visit messages: places of the card time (h5) with seconds, tried "
                    "first; as the next five, usually in a Z-segment.",
                ),
                Key("visit_type", Kind.TEXTS, (), "Places of the visit type (h6)."),
                Key("visit_serial", Kind.TEXTS, (), "Places of the visit serial (h7)."),
                Key("makeup_code", Kind.TEXTS, (), "Places of the make-up code (h8)."),
                Key("visit_identifier", Kind.TEXTS, (), "Places of the visit identifier (h28)."),
                Key(
                    "dispensing_code",
                    Kind.TEXTS,
                    (),
                    "Places of the dispensing code (h26) of an order.",
                ),
            ),
        ),
        Section(
            "csv",
            "How this source writes result files.",
            (
                Key(
                    "columns",
                    Kind.LINKS,
                    NO_ENTRIES,
                    "Header texts that this source uses, by column: "
                    + ", ".join(f"`{name}`" for name in RESULT_COLUMNS)
                    + ".",
                    choices=RESULT_COLUMNS,
                ),
                Key("encoding", Kind.TEXT, "utf-8", "Character set of the files."),
                Key("delimiter", Kind.TEXT, ",", "One character between two cells."),
            ),
        ),
    ),
    repeated=True,
)

_AGREEMENT = Section(
    "agreement",
    "Who uploads the results of one laboratory for one clinic.",
    (
        Key("lab_code", Kind.INSTITUTION, REQUIRED, "The laboratory."),
        Key("clinic_code", Kind.INSTITUTION, REQUIRED, "The ordering clinic."),
        Key(
            "route",
            Kind.CHOICE,
            REQUIRED,
            "Who uploads: the ordering clinic or the laboratory.",
            choices=("clinic", "lab"),
        ),
        Key(
            "commission",
            Kind.CHOICE,
            "specimen",
            "What was sent on: the specimen (代檢) or the patient (轉檢).",
            choices=("specimen", "patient"),
        ),
        Key("order_code", Kind.TEXT, "", "Only for this order code; empty means all others."),
        Key("valid_from", Kind.DATE, None, "First day of the agreement; unset means always."),
        Key("valid_until", Kind.DATE, None, "Last day of the agreement; unset means no end."),
    ),
    repeated=True,
)

_CALENDAR = Section(
    "calendar",
    "When nothing can be sent, in Taipei time. Packages wait, and warnings come the earlier.",
    (
        Key(
            "holidays",
            Kind.DATES,
            (),
            "Days on which no card is there: `[2027-01-01, 2027-02-05]`.",
        ),
        Key("gateway_closed", Kind.HOURS, (), "When NHI's gateway takes nothing."),
    ),
)

_SCHEDULE = Section(
    "schedule",
    "When packages are sealed and verdicts asked for.",
    (
        Key(
            "seal_after_seconds",
            Kind.NUMBER,
            900,
            "A whole order that is ready leaves after at most this time.",
            least=0,
        ),
        Key(
            "press_before_minutes",
            Kind.NUMBER,
            120,
            "A package never waits when one of its records is due within this time. A part of an "
            "order leaves without its rest so long before anybody would be warned of it.",
            least=0,
        ),
        Key(
            "warn_before_hours",
            Kind.NUMBER,
            6,
            "A person is warned so long before the last moment at which a record can be sent.",
            least=0,
            most=24,
        ),
        Key(
            "verdict_poll_seconds",
            Kind.NUMBER,
            1800,
            "How often the check report of a submitted package is asked for.",
            least=0,
        ),
        Key(
            "settle_seconds",
            Kind.NUMBER,
            1800,
            "How long “not there” must hold before an unknown outcome may be sent again.",
            least=0,
        ),
        Key(
            "max_records_per_package",
            Kind.INTEGER,
            20000,
            "Records in one package at most.",
            least=1,
            most=1_000_000,
        ),
        Key(
            "max_package_bytes",
            Kind.INTEGER,
            32 * 1024 * 1024,
            "Bytes of the XML in one package at most; what does not fit goes into the next one.",
            least=64 * 1024,
            most=1024 * 1024 * 1024,
        ),
    ),
)

_LISTS = Section(
    "lists",
    "Lists that an operator imports for the checks that need them. They are read at start, and by "
    "`check`, `convert` and `monthly`; a check without its list is told as not run.",
    (
        Key(
            "institutions",
            Kind.PATH,
            None,
            "NHI's list of contracted institutions (CSV with 醫事機構代碼): code 28.",
        ),
        Key(
            "order_codes",
            Kind.PATH,
            None,
            "NHI's fee schedule (CSV with 診療項目代碼, 生效起日, 生效迄日): code 37.",
        ),
        Key(
            "claims",
            Kind.PATH,
            None,
            "An institution's claim (the claims XML, or CSV with its field names), or a folder of "
            "them: codes 26 and 31, and the monthly upload.",
        ),
        Key(
            "groups",
            Kind.PATH,
            None,
            "Which clinic belongs to which group of family doctors (CSV with 醫療群代碼, "
            "醫事機構代碼 and, where wanted, 醫療群名稱, 起日, 迄日): the rates of groups.",
        ),
    ),
)

_STORE = Section(
    "store",
    "Where everything is kept: a file in `data_dir`, or a PostgreSQL that several nodes share.",
    (
        Key(
            "url",
            Kind.TEXT,
            "",
            "`postgresql+psycopg://USER@HOST/DATABASE`; unset means SQLite in `data_dir`. "
            "The password belongs in `PGPASSFILE` or `PGPASSWORD`.",
        ),
        Key(
            "lease_seconds",
            Kind.NUMBER,
            20,
            "In PostgreSQL: the work of a node that died or was cut off is taken over after it.",
            least=1,
        ),
        Key(
            "upgrade_copies",
            Kind.INTEGER,
            3,
            "How many of the copies that upgrades make in `backups` are kept (SQLite); older ones "
            "are erased at start, the last one never.",
            least=1,
            most=1000,
        ),
    ),
)

_LOGGING = Section(
    "logging",
    "The log: one JSON object a line, never patient data.",
    (
        Key(
            "level",
            Kind.CHOICE,
            "info",
            "The least severe level that is written.",
            choices=("debug", "info", "warning", "error"),
        ),
        Key("file", Kind.PATH, None, "Log file; unset means standard error."),
    ),
)

SETTINGS = Section(
    "",
    "Top of the file.",
    (
        Key(
            "data_dir",
            Kind.PATH,
            "var",
            "Folder of the store, on a local disk (never NFS or SMB).",
        ),
        Key(
            "language",
            Kind.CHOICE,
            "zh-TW",
            "Language of texts that the service writes for people.",
            choices=("zh-TW", "en"),
        ),
    ),
    (
        _MLLP,
        _HTTP,
        ACCESS,
        _FOLDER,
        _SOURCE,
        _AGREEMENT,
        INSTITUTION,
        CHANNEL,
        PAIRING,
        AGENT,
        CARD,
        DELIVERY,
        SUBSCRIPTION,
        CRITICAL_LIMIT,
        ALARM,
        NOTICE,
        _CALENDAR,
        _SCHEDULE,
        _LISTS,
        _STORE,
        RETENTION,
        _LOGGING,
    ),
)
"""The whole of the settings file."""
