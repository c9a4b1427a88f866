"""`make bench`: Wadi against a named peer on the same data in the same run.

Each side runs in a process of its own, so that its peak memory is its own too. Ours runs
three times and the median counts; peers, which take minutes, run once. Where the two sides take
milliseconds, or the other is a floor that ours cannot go below, one process measures both in turn.
Prints one line a case, ``name: ours / peer = ratio, peak MB``, and writes build/bench.json.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path

from .cases import CASES, Case

RESULTS = Path("build/bench.json")


@cache  # one measurement serves every case that asks for it
def measure(function: str, runs: int) -> dict[str, float]:
    """Median of each figure of `runs` processes, and their largest peak MB."""
    outcomes = []
    for _ in range(runs):
        command = [sys.executable, "-m", "tests.bench.cases", function]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{function} failed:\n{done.stderr}")
        outcomes.append(json.loads(done.stdout.splitlines()[-1]))
    figures = {name: statistics.median(o[name] for o in outcomes) for name in outcomes[0]}
    return {**figures, "peak_mb": max(o["peak_mb"] for o in outcomes), "runs": runs}


def compare(case: Case) -> dict[str, object]:
    """Run both sides of a case and print its line."""
    ours = measure(case.ours, case.runs)
    row: dict[str, object] = {"name": case.name, "ours": ours, "unit": case.unit, "wanted": case.wanted}
    own = ours[case.unit]
    if case.limit is not None:
        peer, peer_name = float(case.limit), "limit"
    elif case.peer in ours:
        peer, peer_name = ours[case.peer], case.peer
    else:
        measured = measure(case.peer, 1)
        row["peer"] = measured
        peer, peer_name = measured[case.unit], case.peer
    row |= {"peer_name": peer_name, "ratio": own / peer}
    figures = f"{own:.4g} / {peer:.4g} = {own / peer:.3f}, {ours['peak_mb']:.0f} MB"
    print(f"{case.name} ({case.unit}, {peer_name}, wanted {case.wanted}): {figures}", flush=True)
    return row


def main() -> None:
    """Run the cases named on the command line, or all."""
    chosen = [c for c in CASES if not sys.argv[1:] or any(word in c.name for word in sys.argv[1:])]
    rows = [compare(case) for case in chosen]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
