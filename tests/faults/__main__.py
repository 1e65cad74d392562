"""Injects every fault into running cars and tells the longest time until the chip showed neutral.

Usage:
    faults [--trials N] [--json FILE] [FAULT...]

Options:
    --trials N   how often each [default: 20]
    --json FILE  write {fault: longest milliseconds} there
"""

import json
import random
import statistics
import sys
import tempfile
from pathlib import Path

import docopt

from tests.faults.trial import FAULTS, LIMIT_MS, trial


def main(argv):
    args = docopt.docopt(__doc__, argv)
    faults = args["FAULT"] or FAULTS
    unknown = set(faults) - set(FAULTS)
    if unknown:
        sys.exit(f"no such fault: {', '.join(sorted(unknown))}; there are: {', '.join(FAULTS)}")
    trials = int(args["--trials"])
    print(f"{'fault':<26}{'trials':>7}{'median ms':>11}{'max ms':>9}   stood within {LIMIT_MS} ms")
    longest, moments = {}, random.Random(0)
    for fault in faults:
        times_ms = []
        for number in range(trials):
            if sys.stderr.isatty():
                print(f"\r{fault} {number + 1}/{trials} ", end="", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory() as folder:
                times_ms.append(trial(fault, Path(folder), moments.uniform(0, 0.05)))
        longest[fault] = round(max(times_ms), 1)
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        verdict = "yes" if longest[fault] < LIMIT_MS else "NO"
        median = statistics.median(times_ms)
        print(f"{fault:<26}{trials:>7}{median:>11.1f}{longest[fault]:>9.1f}   {verdict}", flush=True)
    if args["--json"]:
        path = Path(args["--json"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(longest, indent=1) + "\n")
    return 0 if max(longest.values()) < LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
