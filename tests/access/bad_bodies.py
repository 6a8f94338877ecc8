"""Bodies that break careless readers, for whoever has not said who he is.

``LABBROKER_CORPUS`` adds other people's bad files; ``LABBROKER_STRANGERS`` is how many bodies each
route gets (all of them: ``all``).
"""

from __future__ import annotations

import os
from pathlib import Path

_GIVEN = os.environ.get("LABBROKER_STRANGERS", "2")
_LONGEST = 300_000
_FOLDERS = ("bad", "hl7v2", "fhir")
BUILT_IN: tuple[tuple[str, bytes], ...] = (
    ("application/json", b"[" * 50_000),
    ("application/json", b'{"a": NaN, "a": 1e400}'),
    ("application/fhir+json", b'{"resourceType": "Bundle", "entry": [' + b"{}," * 5000),
    ("application/xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
    ("application/fhir+xml", b"<Bundle xmlns='http://hl7.org/fhir'>" + b"<entry>" * 5000),
    ("application/x-www-form-urlencoded", b"login=%ff%00&password=" + b"%" * 9000),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n"),
    ("x-application/hl7-v2+er7", b"MSH|^~\\&|\xa5|\x00\rPID|||A123456789\r"),
    ("application/zip", b"PK\x03\x04" + b"\xff" * 400),
    ("text/plain; charset=utf-7", "\ufeff王小明".encode("utf-16")),
)


def bad_bodies() -> list[tuple[str, bytes]]:
    """Type and bytes."""
    found = list(BUILT_IN)
    corpus = os.environ.get("LABBROKER_CORPUS", "")
    for folder in _FOLDERS if corpus else ():
        files = sorted(each for each in (Path(corpus) / folder).rglob("*") if each.is_file())
        types = ("application/json", "application/x-www-form-urlencoded", "application/fhir+json")
        found += [
            (types[number % len(types)], each.read_bytes()[:_LONGEST])
            for number, each in enumerate(files)
        ]
    return found


def bodies_for(number: int, bodies: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Those that the route of this number gets: others than its neighbours."""
    each = len(bodies) if _GIVEN == "all" else min(int(_GIVEN), len(bodies))
    return [bodies[(number * each + at) % len(bodies)] for at in range(each)]
