"""Whoever asks the FHIR door, and however: nothing of another tenant comes back.

Random probes, from a seed that a failure tells; ``LABBROKER_PROBES`` is their number (docs of the
promises: 10,000), ``LABBROKER_SEED`` repeats a run.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.fhir.samples import CLINIC_CODE, PERSONS, Number, encode, national_id, observation
from tests.fhir.stage import CLINICS, OTHER_CLINIC, SENDERS, FhirStage, open_fhir_stage
from tests.integration.test_fhir_reading import resources, result

PROBES = int(os.environ.get("LABBROKER_PROBES", "300"))
TYPES = ("DiagnosticReport", "Observation")
ASKERS = (*CLINICS, *SENDERS)
READS_FOR = dict(CLINICS)


@dataclass(frozen=True)
class Known:
    """One result, and by what it would be recognised in an answer."""

    sender: str
    clinic: str
    person: str
    filler: str
    value: str

    @property
    def marks(self) -> tuple[str, ...]:
        return (self.person, self.filler, self.value)

    def is_of(self, who: str) -> bool:
        return who == self.sender or self.clinic in READS_FOR.get(who, ())


KNOWN = tuple(
    Known(
        sender,
        clinic,
        national_id(22340000 + number),
        f"SECRET-{number}",
        f"90.70{number:02}",
    )
    for number, (sender, clinic) in enumerate(
        (sender, clinic)
        for _ in range(2)
        for sender in ("lab-one", "lab-two")
        for clinic in (CLINIC_CODE, OTHER_CLINIC)
    )
)


@dataclass
class Prober:
    """Asks, and looks through every answer. ``owners`` are the tenants of each resource."""

    door: FhirStage
    dice: random.Random
    owners: dict[str, set[str]] = field(default_factory=dict)
    marks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    asked: int = 0
    session: ClientSession = field(init=False)

    async def fill(self) -> None:
        for number, known in enumerate(KNOWN):
            body = result(
                number,
                known.clinic,
                known.person,
                known.filler,
                valueQuantity={"value": Number(known.value), "unit": "mg/dL"},
            )
            await self.door.ask(known.sender, "", body)
        for who in ASKERS:
            for name in TYPES:
                _, found = await self.door.ask(who, f"/{name}?_count=200")
                for shown in resources(found):
                    place = f"{shown['resourceType']}/{shown['id']}"
                    self.owners.setdefault(place, set()).add(who)
        assert len(self.owners) == 2 * len(KNOWN)
        assert all(len(owners) == 2 for owners in self.owners.values())

    async def run(self, probes: int) -> None:
        while self.asked < probes:
            await self.probe()

    async def probe(self) -> None:
        who = self.dice.choice(ASKERS)
        kind = self.dice.choice([self._read, self._read, self._search, self._search, self._write])
        await kind(who)
        self.asked += 1

    async def _read(self, who: str) -> None:
        """Another's resource answers in every respect as one that does not exist."""
        foreign = [place for place, owners in self.owners.items() if who not in owners]
        place = self.dice.choice(foreign)
        name = place.partition("/")[0]
        nobodys = f"{name}/r{self.dice.randint(10_000, 99_999)}-1"
        suffix = self.dice.choice(
            ["", "", "/_history/1", "?_format=xml", "?_format=json", "/_history", "/$everything"]
        )
        method = self.dice.choice(["GET", "GET", "GET", "HEAD", "DELETE", "PATCH", "OPTIONS"])
        headers = self.dice.choice(
            [{}, {}, {"If-None-Match": 'W/"1"'}, {"Accept": "application/fhir+xml"}]
        )
        told = await self._ask(who, method, f"/{place}{suffix}", headers)
        other = await self._ask(who, method, f"/{nobodys}{suffix}", headers)
        assert told == tuple(
            part.replace(nobodys, place) if isinstance(part, str) else part for part in other
        ), (who, method, place, suffix)

    async def _search(self, who: str) -> None:
        name = self.dice.choice(TYPES)
        chosen = self.dice.choice(KNOWN)
        parts = self.dice.sample(
            [
                f"patient.identifier={PERSONS}|{chosen.person}",
                f"subject:identifier={chosen.person}",
                f"patient.identifier={chosen.filler}",
                f"_page={self.dice.randint(0, 40)}.{self.dice.randint(0, 3)}",
                f"_count={self.dice.choice(['1', '2', '200', '999999'])}",
                "date=ge1900-01-01",
                "_lastUpdated=ge2000-01-01",
                "_since=2000-01-01T00:00:00Z",
                "_include=DiagnosticReport:result",
                f"identifier={chosen.filler}",
                f"_id={self.dice.choice(list(self.owners)).partition('/')[2]}",
                "performer=Organization/1",
                "_revinclude=*",
                "_source=lab-one",
                f"clinic={chosen.clinic}",
                "%00=1",
                "' OR 1=1 --=1",
            ],
            self.dice.randint(0, 3),
        )
        query = "&".join(parts)
        if self.dice.random() < 0.2:
            body = query.encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            status, text = await self._ask(who, "POST", f"/{name}/_search", headers, body)
        else:
            status, text = await self._ask(who, "GET", f"/{name}?{query}")
        assert status in (200, 400), (who, query, status)
        self._require_own(who, text, asked=query)
        for place, owners in self.owners.items():
            assert who in owners or f"/{place}" not in text, (who, query, place)

    async def _write(self, who: str) -> None:
        """Nobody changes another's resource, nor learns by trying whether it is there."""
        if who in CLINICS:
            return
        foreign = [
            place
            for place, owners in self.owners.items()
            if who not in owners and place.startswith("Observation")
        ]
        place = self.dice.choice(foreign)
        own_id = place.partition("/")[2]
        body = encode({**observation(), "id": own_id})
        headers = {
            "Content-Type": "application/fhir+json",
            "If-Match": 'W/"7"',
        }
        nobodys = f"r{self.dice.randint(10_000, 99_999)}-1"
        told = await self._ask(who, "PUT", f"/{place}", headers, body)
        other_body = encode({**observation(), "id": nobodys})
        other = await self._ask(who, "PUT", f"/Observation/{nobodys}", headers, other_body)
        assert told == (other[0], other[1].replace(nobodys, own_id)), (who, place)
        assert told[0] in (404, 412)
        self._require_own(who, told[1])

    async def _ask(
        self,
        who: str,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[int, str]:
        wanted = {"Authorization": f"Bearer {who}", **(headers or {})}
        async with self.door.session.request(
            method, self.door.base + path, data=body, headers=wanted, allow_redirects=False
        ) as response:
            text = await response.text()
            status = response.status
            said = " ".join(f"{name}: {value}" for name, value in response.headers.items())
        assert status < 500, (who, method, path, status)
        self._require_own(who, said, asked=path)
        return status, text

    def _require_own(self, who: str, text: str, asked: str = "") -> None:
        for known in KNOWN:
            if not known.is_of(who):
                for mark in known.marks:
                    # What was asked for may be repeated to who asked.
                    assert mark in asked or mark not in text, (who, "was told of", known.filler)


@pytest.mark.slow
async def test_no_probe_learns_anything_of_another_tenant(tmp_path: Path) -> None:
    seed = int(os.environ.get("LABBROKER_SEED", "0")) or random.randrange(10**6)
    async with open_fhir_stage(tmp_path) as door:
        prober = Prober(door, random.Random(seed))
        await prober.fill()
        try:
            while prober.asked < PROBES:
                await prober.probe()
        except AssertionError as error:
            raise AssertionError(f"LABBROKER_SEED={seed}, probe {prober.asked}: {error}") from error
        assert door.receipts() == len(KNOWN), "a probe stored something"


async def test_the_probes_would_notice_a_clinic_that_sees_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_fhir_stage(tmp_path) as door:
        prober = Prober(door, random.Random(1))
        await prober.fill()
        monkeypatch.setitem(CLINICS, "clinic-b", frozenset({CLINIC_CODE, OTHER_CLINIC}))
        with pytest.raises(AssertionError):
            await prober.run(200)
