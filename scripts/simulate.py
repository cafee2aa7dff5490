"""Simulated answers whose true differences are known: how often the intervals hold them and how often the tests err.

python scripts/simulate.py                            all cases, 10,000 repeats each, tables to the terminal
python scripts/simulate.py --page docs/simulation.md  the same, written into the page
python scripts/simulate.py --repeats 200              coarse, in seconds
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT)]

from benchmarks.simulation_cases import SEED, simulate  # noqa: E402
from benchmarks.simulation_page import results_of, with_results  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10_000, help="draws of each case, at least 5")
    parser.add_argument("--page", type=Path, help="page whose results are replaced")
    chosen = parser.parse_args()
    if chosen.repeats < 5:
        parser.error("--repeats must be at least 5")
    results = results_of(simulate(chosen.repeats), SEED, datetime.now(tz=UTC).date().isoformat())
    if chosen.page is None:
        print(results)
        return 0
    chosen.page.write_text(with_results(chosen.page.read_text(encoding="utf-8"), results), encoding="utf-8")
    print(chosen.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
