"""What the log may say: every event and every field, nothing else.

The list is an allow-list: :mod:`broker.redact` masks whatever is not on it. No field may hold a
text that a sender wrote (control ids and file names can be a patient's number), only numbers of
ours, words from our code, names from the settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """What a field's value must look like; any other value is masked."""

    NUMBER = "number"
    WORD = "word of our code"
    NAME = "name from the settings"
    INSTITUTION = "institution code"
    ADDRESS = "network address"
    STEM = "package name"
    DIGITS = "digits"
    YES_NO = "true or false"
    PLACE = "file:line of our code"
    DATE_TIME = "ISO 8601 time"


@dataclass(frozen=True, slots=True)
class FieldRule:
    shape: Shape
    meaning: str


FIELDS: Mapping[str, FieldRule] = {
    "accepted": FieldRule(Shape.NUMBER, "Records that NHI found correct."),
    "agent": FieldRule(Shape.NAME, "Card agent of the settings."),
    "attempt": FieldRule(Shape.NUMBER, "Which try this was, from 1."),
    "cause": FieldRule(Shape.WORD, "Class of the error behind this one."),
    "channel": FieldRule(Shape.WORD, "Submission channel."),
    "content": FieldRule(Shape.WORD, "What a payload turned out to hold."),
    "delivery_id": FieldRule(Shape.NUMBER, "Our number of a delivery."),
    "destination": FieldRule(Shape.NAME, "Name of a destination, from the settings."),
    "door": FieldRule(Shape.WORD, "Door: mllp, http, folder, card-agent."),
    "due_at": FieldRule(Shape.DATE_TIME, "When the earliest record is due."),
    "error_class": FieldRule(Shape.WORD, "Class of an error, never its text."),
    "error_code": FieldRule(Shape.WORD, "Stable code of an error or finding."),
    "findings": FieldRule(Shape.NUMBER, "Number of findings."),
    "held": FieldRule(Shape.NUMBER, "Records held."),
    "host": FieldRule(Shape.ADDRESS, "Address that a door listens on."),
    "institution": FieldRule(Shape.INSTITUTION, "Institution code (h2)."),
    "library": FieldRule(Shape.WORD, "Logger of a library; its text is withheld."),
    "media": FieldRule(Shape.WORD, "What the payload is: hl7v2, fhir+json …"),
    "package_id": FieldRule(Shape.NUMBER, "Our number of a package."),
    "peer": FieldRule(Shape.ADDRESS, "Network address of the other side."),
    "port": FieldRule(Shape.NUMBER, "TCP port."),
    "ready": FieldRule(Shape.NUMBER, "Records ready to leave."),
    "reason": FieldRule(Shape.WORD, "Held reason or outcome, a word of our code."),
    "receipt_id": FieldRule(Shape.NUMBER, "Our number of a receipt."),
    "receipts": FieldRule(Shape.NUMBER, "Number of receipts."),
    "receipt_number": FieldRule(Shape.DIGITS, "The gateway's number of a package."),
    "records": FieldRule(Shape.NUMBER, "Number of records."),
    "rejected": FieldRule(Shape.NUMBER, "Records that NHI found wrong."),
    "reports": FieldRule(Shape.NUMBER, "Number of laboratory reports."),
    "rows": FieldRule(Shape.NUMBER, "Number of rows of the store."),
    "seconds": FieldRule(Shape.NUMBER, "How long it took."),
    "settings_file": FieldRule(Shape.YES_NO, "Whether a settings file was given."),
    "size_bytes": FieldRule(Shape.NUMBER, "Size of a payload or file."),
    "source": FieldRule(Shape.NAME, "Source id from the settings."),
    "sqlite": FieldRule(Shape.WORD, "Version of the SQLite library."),
    "state": FieldRule(Shape.WORD, "State after the event."),
    "stem": FieldRule(Shape.STEM, "Package name: institution, date, serial."),
    "unread": FieldRule(Shape.NUMBER, "Records of a package that a check report did not tell."),
    "version": FieldRule(Shape.WORD, "Version of labbroker."),
    "visits": FieldRule(Shape.NUMBER, "Number of visits."),
    "where": FieldRule(Shape.PLACE, "Place in our code where an error was raised."),
}


@dataclass(frozen=True, slots=True)
class EventRule:
    """``fields`` are names of :data:`FIELDS`. Any event may carry :data:`ERROR_FIELDS` too."""

    meaning: str
    fields: frozenset[str] = frozenset()


def _event(meaning: str, fields: str = "") -> EventRule:
    return EventRule(meaning, frozenset(fields.split()))


ERROR_FIELDS = frozenset({"error_class", "error_code", "where", "cause"})
"""Any event may carry these: they describe the exception that came with it."""

EVENTS: Mapping[str, EventRule] = {
    "service.started": _event("All doors are open.", "version sqlite settings_file"),
    "service.stopping": _event("No new work is taken.", "reason"),
    "service.stopped": _event("Everything is recorded; the process ends.", "seconds"),
    "service.was_stuck": _event(
        "The service hung before and was ended; where is in stuck-at.txt of the data folder."
    ),
    "service.fault": _event("An error reached the outermost boundary.", "reason"),
    "access.first_administrator": _event(
        "Nobody could sign in yet: the code for `admin` is in first-sign-in.txt."
    ),
    "lease.lost": _event("Another node does this work now.", "reason"),
    "audit.not_anchored": _event("Where the audit trail stands could not be written beside it."),
    "store.opened": _event("The store is open and checked.", "sqlite seconds"),
    "store.unguarded": _event(
        "PostgreSQL's row level security is not in use: `labbroker doctor` says what is missing."
    ),
    "operation.alarm": _event(
        "A source is silent, the disk nearly full, a backup old, or deliveries do not arrive or "
        "are refused.",
        "institution reason records",
    ),
    "operation.over": _event("It is so no more.", "institution reason records"),
    "retention.erased": _event(
        "What is older than the settings keep it was erased.", "reason rows size_bytes"
    ),
    "store.unavailable": _event("The store refused a write; nothing was acknowledged.", "reason"),
    "list.unreadable": _event("A list of the settings was left out: it cannot be read."),
    "door.opened": _event("A door listens.", "door host port source"),
    "peer.refused": _event("A peer was turned away.", "door peer"),
    "peer.disconnected": _event("A peer was cut off.", "door peer"),
    "frame.refused": _event("A frame was refused; nothing of it is kept.", "peer size_bytes"),
    "receipt.parsed": _event(
        "A payload was read.",
        "receipt_id source media content reports visits records ready held findings seconds",
    ),
    "receipt.quarantined": _event(
        "A payload cannot be read; its bytes are kept.",
        "receipt_id source media content records visits",
    ),
    "receipt.replayed": _event("A payload is read again.", "receipt_id source state"),
    "pipeline.fault": _event("A payload broke its reader; it is quarantined.", "receipt_id"),
    "results.fault": _event(
        "A result that a clinic asked for could not be read again; others are shown.", "receipt_id"
    ),
    "folder.event": _event("Something about a watched folder.", "source reason receipt_id"),
    "delivery.acknowledged": _event("A clinic has a result.", "delivery_id destination reason"),
    "delivery.failed": _event(
        "A result did not arrive at a clinic; it is sent again.", "delivery_id destination reason"
    ),
    "delivery.refused": _event(
        "A clinic's system will not have a result, or it cannot be written: for a person.",
        "delivery_id destination reason",
    ),
    "notice.failed": _event(
        "Nobody could be told of an alarm this way; it is tried again.", "destination"
    ),
    "delivery.fault": _event(
        "A fault of ours met a result on its way to a clinic: it is tried again, or set aside "
        "after the third time.",
        "delivery_id destination",
    ),
    "deadline.alarm": _event(
        "Records may come late, or are late, or their check report has not come for 7 or 12 days: "
        "one alarm for each institution and reason.",
        "institution reason records due_at",
    ),
    "deadline.over": _event(
        "The records of an alarm are at NHI, or no longer wait.",
        "institution reason records due_at",
    ),
    "card.agent_came": _event("A card agent has connected.", "agent"),
    "card.agent_gone": _event("A card agent has gone; what waits for its cards waits.", "agent"),
    "card.ready": _event("A card can sign; what waited for it leaves.", "institution"),
    "card.alarm": _event(
        "A card that should be there cannot sign, or its certificate ends within 30 days.",
        "institution reason records due_at",
    ),
    "card.over": _event(
        "The card is back, or has a new certificate.", "institution reason records due_at"
    ),
    "package.sealed": _event(
        "Records were packed.", "package_id stem institution records size_bytes due_at"
    ),
    "package.inflight": _event(
        "The intent to send is durable; bytes may leave now.", "package_id stem attempt channel"
    ),
    "package.submitted": _event(
        "The gateway confirmed receipt.",
        "package_id stem institution records receipt_number seconds attempt channel",
    ),
    "package.not_delivered": _event(
        "No byte reached the gateway; it is tried again.", "package_id stem attempt channel"
    ),
    "package.handed_over": _event(
        "The file lies in a folder for a person to upload.", "package_id"
    ),
    "package.told": _event(
        "A person said that a package was uploaded, or that it was not.",
        "package_id receipt_id state",
    ),
    "package.refused": _event("The gateway said no.", "package_id stem attempt channel"),
    "package.unknown": _event(
        "The gateway may have taken it; it is asked first.", "package_id stem attempt channel"
    ),
    "package.resolved": _event("An unknown outcome became known.", "package_id stem state"),
    "package.stale": _event(
        "Its date has passed; its records are sealed again.", "package_id stem"
    ),
    "package.failed": _event(
        "A package cannot leave until a person has acted.", "package_id stem institution reason"
    ),
    "package.checked": _event(
        "The check report was read.", "package_id stem accepted rejected unread receipt_number"
    ),
    "records.corrected": _event(
        "A person put a group of records right.", "receipt_id records ready held"
    ),
    "codes.decided": _event(
        "A person linked local codes; what waited for them is read again.", "records receipts"
    ),
    "code.changed": _event(
        "A laboratory sends a code in another unit (held) or with another range.",
        "receipt_id reason",
    ),
    "order.opted_out": _event(
        "A person said that an order must not be uploaded, or took that back.",
        "receipt_id records",
    ),
    "record.matched": _event("A person chose the visit of a held result.", "receipt_id"),
    "record.dismissed": _event(
        "A person put a held result aside, or ended a task about one that had left.", "receipt_id"
    ),
    "verdict.brought": _event("A check report came as a file and told of a package.", "package_id"),
    "verdict.unreadable": _event("A check report could not be read.", "package_id stem"),
    "library.message": _event("A library said something; its text is withheld.", "library"),
    "unlisted": _event("Something not on this list was logged; all of it is masked."),
}
