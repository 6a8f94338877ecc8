"""A suite that does not fail when a promise is broken on purpose proves nothing.

``LABBROKER_SEEDED_FAULTS`` is how many of the faults are tried; ``make mutants`` tries all.
"""

from __future__ import annotations

import os

import pytest

from tests.seeded_faults.faults import ROOT, Fault, FaultDoesNotFit, is_caught, read_faults

FAULTS = read_faults()
TRIED = int(os.environ.get("LABBROKER_SEEDED_FAULTS", "4"))


def test_every_fault_still_fits_the_code() -> None:
    for fault in FAULTS:
        text = (ROOT / fault.file).read_text("utf-8")
        assert fault.applied(text) != text
        assert fault.tests
        for test in fault.tests:
            assert (ROOT / test.partition("::")[0]).exists(), test


def test_a_fault_that_does_not_fit_is_an_error() -> None:
    fault = Fault("x", "y", "what is not there", "", ("z",))
    with pytest.raises(FaultDoesNotFit):
        fault.applied("text")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("fault", FAULTS[:TRIED], ids=lambda fault: fault.name)
def test_the_suite_notices(fault: Fault) -> None:
    assert is_caught(fault)
