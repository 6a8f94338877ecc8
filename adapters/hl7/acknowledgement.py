"""The answer to a frame: MSH and MSA in original mode (HL7 v2.5.1 section 2.9.2).

Each answer that a peer can get is a named value here, shared by server, tests and docs. The
answer is made from the received header alone, sender and receiver swapped. MSH-15 and MSH-16
are not looked at: peers that fill them take AA for an accept acknowledgement as well, while
many that fill them by habit do not know CA.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from adapters.hl7.header import MessageHeader, read_header


@dataclass(frozen=True, slots=True)
class Reply:
    """MSA-1, MSA-3 and, for v2.5 and later, ERR-3 (HL7 table 0357)."""

    code: str
    text: str = ""
    error: str = ""


ACCEPTED: Final = Reply("AA")
"""Durably stored: no need to send again."""
NOT_STORED: Final = Reply("AE", "Not stored, send again", "207^Application internal error")
NOT_HL7: Final = Reply("AR", "Not an HL7 v2 message", "200^Unsupported message type")
"""Stored all the same, as received, so that a person can look at it."""
TOO_LARGE: Final = Reply("AR", "Message too large", "207^Application internal error")
UNKNOWN_SOURCE: Final = Reply("AR", "Unknown source", "207^Application internal error")

_VERSIONS_WITH_ERR: Final = frozenset({"2.5", "2.6", "2.7", "2.8", "2.9"})


def write_acknowledgement(
    header: MessageHeader | None, reply: Reply, written_at: str, control_id: str
) -> bytes:
    """The acknowledgement as ER7 bytes in the charset of the received header.

    ``written_at`` is MSH-7 as text, ``control_id`` our own MSH-10. MSA-2 echoes the received
    control id where it is printable and at most 199 characters, else it is empty.
    """
    if header is None:
        text = (
            f"MSH|^~\\&|||||{written_at}||ACK|{control_id}|P|2.5\rMSA|{reply.code}||{reply.text}\r"
        )
        return text.encode("ascii")
    separator = header.separator
    field = header.field
    encoding_characters = field(2) or "^~\\&"
    component = encoding_characters[0]
    is_message = header.fields[0] == "MSH"
    kind = field(9).split(component) if is_message else []
    name = (
        "ACK"
        if len(kind) < 2 or not kind[1]
        else component.join(["ACK", kind[1], "ACK"][: len(kind)])
    )
    version = (field(12) if is_message else "") or "2.5"
    parts = [
        "MSH",
        encoding_characters,
        field(5),
        field(6),
        field(3),
        field(4),
        written_at,
        "",
        name,
        control_id,
        (field(11) if is_message else "") or "P",
        version,
    ]
    charset = field(18) if is_message else ""
    if charset:
        parts += ["", "", "", "", "", charset]
    answer = ["MSA", reply.code, header.echo_id]
    if reply.text:
        answer.append(reply.text)
    text = f"{separator.join(parts)}\r{separator.join(answer)}\r"
    if reply.error and version[:3] in _VERSIONS_WITH_ERR:
        error = reply.error.replace("^", component) + component + "HL70357"
        text += separator.join(["ERR", "", "", error, "E"]) + "\r"
    return text.encode(header.codec)


def read_acknowledgement(frame: bytes) -> tuple[str, str, str] | None:
    """MSA-1, MSA-2, MSA-3 of a frame that a peer answered; ``None`` where it holds no MSA."""
    header = read_header(frame)
    if header is None:
        return None
    # Latin-1 reads any byte and MSA-1, MSA-2 are ASCII in practice; the text is for people.
    text = frame.decode("latin-1")
    for line in text.replace("\n", "\r").split("\r"):
        if line.startswith("MSA" + header.separator):
            fields = [*line.split(header.separator), "", "", ""]
            return fields[1].strip(), fields[2], fields[3]
    return None
