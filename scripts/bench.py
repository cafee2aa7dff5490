"""Benchmarks beside peers, both sides in turn on this machine, and promises held; prints a table and writes reports/bench.json.

python scripts/bench.py                      all cases, five repeats
python scripts/bench.py --quick              three repeats
python scripts/bench.py --only vllm_scoring  one module of scripts/benchmarks
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT)]

from benchmarks.claims import Claim  # noqa: E402
from benchmarks.sides import Measurement  # noqa: E402

MODULES = (
    "transformers_scoring",
    "forward_share",
    "vllm_scoring",
    "million_requests",
    "rendering_speed",
    "second_run",
    "statistics_speed",
    "nearest_neighbours",
    "strategy_overhead",
    "perturbation_speed",
    "coverage",
)
"""Modules of scripts/benchmarks, in the order in which they run."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three repeats")
    parser.add_argument("--only", choices=MODULES, help="one module")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "bench.json")
    chosen = parser.parse_args()
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    print(f"{'case':<44} {'ours':>8} {'peer':>8} {'ratio (min to max)':>22} {'target':>7} {'holds':>6} {'with load':>10}", flush=True)
    for name in [chosen.only] if chosen.only else MODULES:
        module = importlib.import_module(f"benchmarks.{name}")
        if module.needs:
            left_out.append(f"{name}: left out, needs {', '.join(module.needs)}")
            print(left_out[-1], file=sys.stderr)
            continue
        for measurement in module.measure(3 if chosen.quick else 5):
            row = measurement.row() if isinstance(measurement, Claim) else row_of(measurement)
            rows.append({**row, "on": datetime.now(UTC).date().isoformat()})
            # After each, since all of them take an hour.
            chosen.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
            print(line_of_claim(row) if isinstance(measurement, Claim) else line_of(row), flush=True)
    print(*left_out, chosen.out, sep="\n")
    return 0 if all(row.get("equal", True) for row in rows) else 1


def row_of(measured: Measurement) -> dict[str, Any]:
    """A measurement as it is written: medians, and the ratio of each repeat's two times."""
    ratios = sorted(peer / ours for ours, peer in zip(measured.ours_s, measured.peer_s, strict=True))
    ours, peer = median(measured.ours_s), median(measured.peer_s)
    equal = measured.difference <= measured.tolerance
    return {
        "case": measured.case,
        "ours": round(ours, 3),
        "peer": round(peer, 3),
        "ratio": round(median(ratios), 3),
        "target": measured.target,
        "holds": False if not equal else None if measured.target is None else median(ratios) >= measured.target,
        "unit": "s",
        "ratio_min": round(ratios[0], 3),
        "ratio_max": round(ratios[-1], 3),
        "n_repeats": len(ratios),
        "ours_s": [round(value, 3) for value in measured.ours_s],
        "peer_s": [round(value, 3) for value in measured.peer_s],
        "ours_load_s": round(measured.ours_load_s, 3),
        "peer_load_s": round(measured.peer_load_s, 3),
        "ratio_with_load": round((peer + measured.peer_load_s) / (ours + measured.ours_load_s), 3),
        "equal": equal,
        "largest_difference": measured.difference,
        "detail": measured.detail,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    spread = f"{row['ratio']:.2f} ({row['ratio_min']:.2f} to {row['ratio_max']:.2f})"
    holds = {True: "yes", False: "no", None: ""}[row["holds"]] if row["equal"] else "unequal"
    target = "" if row["target"] is None else f"{row['target']:.1f}x"
    times = f"{row['ours']:>7.2f}s {row['peer']:>7.2f}s"
    return f"{row['case']:<44} {times} {spread:>22} {target:>7} {holds:>6} {row['ratio_with_load']:>9.2f}x"


def line_of_claim(row: dict[str, Any]) -> str:
    """A row of the table whose target is a fixed number, with its unit."""
    peer = "" if row["peer"] is None else f"{row['peer']:.3f}"
    target = "" if row["target"] is None else f"{'<=' if row['at_most'] else '>='} {row['target']:g}"
    holds = "" if row["target"] is None else "yes" if row["holds"] else "no"
    return f"{row['case']:<44} {row['ours']:>8.3f} {peer:>8} {target:>22} {row['unit']:>7} {holds:>6}"


if __name__ == "__main__":
    sys.exit(main())
