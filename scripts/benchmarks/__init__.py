"""Benchmarks. Each module that `bench.py` names has `needs`, and `measure(n_repeats)` that yields a `Measurement` or a `Claim` per case."""
