"""Benchmarks beside peers. Each module that `bench.py` names has `measure(n_repeats) -> Iterator[Measurement]`."""
