"""The answer to a frame: MSH and MSA in original mode (HL7 v2.5.1 section 2.9.2).

Each answer that a peer can get is a named value here, shared by server, tests and docs. The
answer is made from the received header alone, sender and receiver swapped. MSH-15 and MSH-16
are not looked at: peers that fill them take AA for an accept acknowledgement as well, while
many that fill them by habit do not know CA.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

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
    fields = header.fields
    # All of MSH but what differs from message to message (MSH-7, MSH-8, MSH-10, MSH-13 to 17).
    said = (*fields[:6], *fields[8:9], *fields[10:12], *fields[17:18])
    frame = _frame_of(said, len(fields), header.separator)
    answer = f"{frame.before}{written_at}{frame.between}{control_id}{frame.after}"
    text = f"{answer}{reply.code}{header.separator}{header.echo_id}"
    if reply.text:
        text += header.separator + reply.text
    if reply.error and frame.has_err:
        component = frame.component
        error = reply.error.replace("^", component) + component + "HL70357"
        text += "\r" + header.separator.join(["ERR", "", "", error, "E"])
    return (text + "\r").encode(header.codec)


class _Frame(NamedTuple):
    """The parts of an answer that are the same for every message of a sender."""

    before: str
    between: str
    after: str
    component: str
    has_err: bool


@lru_cache(maxsize=512)
def _frame_of(said: tuple[str, ...], length: int, separator: str) -> _Frame:
    """``said`` are the first six fields and then those of 9, 11, 12 and 18 that are there."""
    values = [value if value.isprintable() else "" for value in said]
    values += [""] * (6 - len(values))
    encoding_characters = values[1] or "^~\\&"
    component = encoding_characters[0]
    kind, processing, version, charset = "", "", "", ""
    if values[0] == "MSH":
        later = iter(values[6:])
        kind, processing, version, charset = (
            next(later, "") if length >= number else "" for number in (9, 11, 12, 18)
        )
    version = version or "2.5"
    event = kind.split(component)
    name = "ACK"
    if len(event) > 1 and event[1]:
        name = component.join(["ACK", event[1], "ACK"][: len(event)])
    parties = [values[4], values[5], values[2], values[3]]
    rest = [processing or "P", version]
    if charset:
        rest += ["", "", "", "", "", charset]
    return _Frame(
        before=separator.join(["MSH", encoding_characters, *parties, ""]),
        between=f"{separator}{separator}{name}{separator}",
        after=f"{separator}{separator.join(rest)}\rMSA{separator}",
        component=component,
        has_err=version[:3] in _VERSIONS_WITH_ERR,
    )


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
