"""The settings of cards: those in the readers of this PC, and the agents that hold them."""

from __future__ import annotations

from broker.config.shape import REQUIRED, Key, Kind, Section

CARD = Section(
    "card",
    "A card in a reader of this PC, held by `labbroker card-agent` "
    "([how](../how-to/sign-with-a-card.md)). Its PIN is no setting.",
    (
        Key("name", Kind.TEXT, REQUIRED, "What people call it, such as `front desk`."),
        Key(
            "module",
            Kind.PATH,
            REQUIRED,
            "The maker's PKCS#11 library, such as `HCAPKCS11.dll` or `libsofthsm2.so`.",
        ),
        Key("label", Kind.TEXT, "", "Label of the token; empty fits any."),
        Key("serial", Kind.TEXT, "", "Serial number of the token; empty fits any."),
        Key(
            "certificate_subject",
            Kind.TEXT,
            "",
            "A part of the subject of the certificate to sign with, as `labbroker cards` shows "
            "it; empty fits any.",
        ),
        Key(
            "institution",
            Kind.INSTITUTION,
            "",
            "Institution code, where the certificate does not name it; where it does, both must "
            "agree.",
        ),
    ),
    repeated=True,
)

AGENT = Section(
    "agent",
    "The card agent of this PC (`labbroker card-agent`).",
    (
        Key(
            "brokers",
            Kind.TEXTS,
            (),
            "Addresses of the brokers' HTTP doors, `https://…`; `http://` on this machine alone. "
            "Where several brokers share one store, name all of them.",
        ),
        Key(
            "tls_ca",
            Kind.PATH,
            None,
            "PEM certificates that prove the brokers; unset means those of the system.",
        ),
        Key(
            "secret",
            Kind.SECRET,
            None,
            "Where the pairing secret is kept (`labbroker cards pair`); never the secret itself.",
        ),
        Key("readers", Kind.BOOLEAN, True, "Whether PC/SC readers are watched and shown."),
    ),
)

PAIRING = Section(
    "pairing",
    "A card agent that may connect to this broker's HTTP door.",
    (
        Key("agent", Kind.TEXT, REQUIRED, "What people call it, such as the PC's name."),
        Key(
            "secret_sha256",
            Kind.HASHES,
            REQUIRED,
            "SHA-256 of each pairing secret that is good (two while one takes the other's place); "
            "`labbroker cards pair` makes both.",
        ),
        Key(
            "institutions",
            Kind.INSTITUTIONS,
            REQUIRED,
            "Whose cards it may hold; a card of another institution is not taken.",
        ),
        Key(
            "eii",
            Kind.INSTITUTIONS,
            (),
            'Institutions with `channel = "eii"` whose files this agent sends, with NHI\'s library '
            "on its PC ([how](channels.md#eii-at-an-agent)).",
        ),
    ),
    repeated=True,
)
