"""Kills processes with SIGKILL at random moments and checks that nothing was lost or doubled.

    python -m bench.kill9 [--cycles 500] [--seed 1]

Two processes share one SQLite file at any time; the older one is killed, a new one started.
Prints what was accepted and cut short, every breach of a promise, and how long it took until
nothing was left in a dead process's name. Exits 1 after a breach.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from tests.acceptance.crashes import Battery, check


def main(cycles: int, seed: int) -> int:
    """Run the battery, print its figures and return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        battery = Battery(home, seed)
        battery.run(cycles)
        verdict = check(home)
    print(
        f"{cycles} kills, {verdict.accepted} accepted, {verdict.cut_short} cut short with their "
        f"text kept, {verdict.run_again} run again, {len(verdict.breaches)} breaches"
    )
    for breach in verdict.breaches:
        print(breach)
    taken = sorted(battery.takeovers_s)
    if taken:
        p99 = taken[int(len(taken) * 0.99)]
        print(
            f"takeover ({len(taken)} kills that hit work): p50 {statistics.median(taken):.2f} s, "
            f"p99 {p99:.2f} s, worst {taken[-1]:.2f} s"
        )
    return 1 if verdict.breaches else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sys.exit(main(given.cycles, given.seed))
