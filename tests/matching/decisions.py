"""What the rule decides about the labelled cases, in the order in which they come in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from mapping.match import Answers, Match, Outcome, card_event, match_visit, room_for
from mapping.match_candidates import rank_candidates
from mapping.match_score import is_near
from mapping.roc_fields import written_moment
from mapping.same_order import bare_time
from mapping.visit import Visit
from tests.matching.labelled_cases import Case, District

Decide = Callable[[Case, list[Visit], Answers], Match]


@dataclass(slots=True)
class Tally:
    """``right`` and ``wrong`` went by themselves; ``held`` had their visit among those known."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    nowhere: Counter[str] = field(default_factory=Counter)
    """Their visit is not known: holding is all that could be right."""
    first: int = 0
    """Of the held, those whose visit stood first among the candidates."""
    listed: int = 0
    faults: list[tuple[Case, Match]] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """Of what went by itself, the part that went right."""
        return self.right.total() / max(1, self.right.total() + self.wrong.total())

    @property
    def recall(self) -> float:
        """Of what could have gone right, the part that went by itself."""
        possible = self.right.total() + self.held.total() + self.wrong.total()
        return self.right.total() / possible

    def table(self) -> str:
        """For people: a line for each kind."""
        kinds = sorted({*self.right, *self.wrong, *self.held, *self.nowhere})
        lines = [f"{'':30}{'right':>8}{'wrong':>8}{'held':>8}{'unknown':>8}"]
        lines += [
            f"{kind:30}{self.right[kind]:8}{self.wrong[kind]:8}{self.held[kind]:8}"
            f"{self.nowhere[kind]:8}"
            for kind in kinds
        ]
        held = max(1, self.held.total())
        lines.append(f"precision {self.precision:.5f}, recall {self.recall:.4f}")
        lines.append(
            f"held: right visit first {self.first / held:.3f}, listed {self.listed / held:.3f}"
        )
        return "\n".join(lines)


def by_rule(case: Case, visits: list[Visit], answers: Answers) -> Match:
    """The product's rule."""
    return match_visit(case.report, case.order_code, case.clinic_code, visits, answers=answers)


def decide_all(district: District, decide: Decide = by_rule) -> Tally:
    """Each case in its turn; what went by itself answers its order for those that follow."""
    known = district.by_person()
    at_clinic: dict[str, dict[str, list[Visit]]] = defaultdict(dict)
    for (clinic, person), visits in known.items():
        at_clinic[clinic][person] = visits
    answered: dict[tuple[object, ...], list[str]] = defaultdict(list)

    def answers(visit: Visit, code: str) -> list[str]:
        return answered[(visit.national_id, *card_event(visit), code)]

    tally = Tally()
    for case in district.cases:
        visits = known.get((case.clinic_code, case.report.patient.national_id), [])
        match = _with_room(decide(case, visits, answers), case, answers)
        truth = (case.truth.national_id, *card_event(case.truth))
        if match.outcome is Outcome.MATCHED:
            assert match.visit is not None
            found = (match.visit.national_id, *card_event(match.visit))
            taken = case.report.specimen.collected_at
            at = bare_time(written_moment(taken)) if taken else ""
            answered[(*found, case.order_code)].append(at)
            (tally.right if found == truth else tally.wrong)[case.kind] += 1
            if found != truth:
                tally.faults.append((case, match))
        elif any(
            (each.national_id, *card_event(each)) == truth
            for each in known.get((case.truth.institution_code, case.truth.national_id), [])
        ):
            tally.held[case.kind] += 1
            _rank(case, truth, at_clinic[case.clinic_code], visits, tally)
        else:
            tally.nowhere[case.kind] += 1
    return tally


def _with_room(match: Match, case: Case, answers: Answers) -> Match:
    """An order that has its result already takes no second one of another time: the store holds
    it (``order-answered``)."""
    if match.visit is None:
        return match
    taken = case.report.specimen.collected_at
    at = bare_time(written_moment(taken)) if taken else ""
    known = set(answers(match.visit, case.order_code))
    again = any(each.startswith(at) or at.startswith(each) for each in known)
    if again or len(known) < room_for(match.visit, case.order_code):
        return match
    return Match(Outcome.UNMATCHED, None, None, match.reasons, match.candidates)


def _rank(
    case: Case,
    truth: tuple[object, ...],
    clinic: dict[str, list[Visit]],
    visits: list[Visit],
    tally: Tally,
) -> None:
    patient = case.report.patient
    near = [
        visit
        for person, theirs in clinic.items()
        if is_near(person, patient.national_id) or not patient.national_id
        for visit in theirs
        if patient.birth_on is not None and visit.birth_on == patient.birth_on
    ]
    ranked = rank_candidates(case.report, case.order_code, case.clinic_code, [*visits, *near])
    found = [(each.visit.national_id, *card_event(each.visit)) for each in ranked]
    tally.first += found[:1] == [truth]
    tally.listed += truth in found
