"""``make mutants``: breaks each promise on purpose and says whether the tests notice."""

from __future__ import annotations

import sys

from tests.seeded_faults.faults import ROOT, is_caught, read_faults, run_tests


def main(words: list[str]) -> int:
    """0 when the tests pass without a fault and each fault is caught; ``words`` choose by name."""
    faults = [
        fault for fault in read_faults() if not words or any(word in fault.name for word in words)
    ]
    tests = sorted({test for fault in faults for test in fault.tests})
    if not faults or run_tests(ROOT, tests) != 0:
        print("the tests do not pass as the code is: no fault proves anything", file=sys.stderr)
        return 2
    missed = 0
    for fault in faults:
        caught = is_caught(fault)
        missed += not caught
        print(f"{'caught' if caught else 'MISSED'}  {fault.name}", flush=True)
    print(f"{len(faults) - missed} of {len(faults)} caught")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
