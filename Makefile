# Two commands are enough: `make demo` and `make test`. Needed: Python 3.11 or newer, make, git.
VENV ?= .venv
SETUP ?= scripts/setup.sh
WORKERS ?= 2
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types layers bench format clean

help:
	@echo "make demo    the demo study on this machine's CPU, a report under reports/demo"
	@echo "make test    lint, types, layers, all tests"
	@echo "make check   lint, types, layers"
	@echo "make bench   benchmarks beside peers and simulated studies, a table and reports/bench.json (about an hour on two quiet cores)"
	@echo "make format  lay the code out and mend what lint can mend"
	@echo "make clean   remove the environment, caches and build outputs; answers and reports stay"

setup:
	@VENV="$(VENV)" $(SETUP)

demo: setup
	@$(BIN)/evalsuite run studies/demo.yaml --out reports/demo

# Types take a while on one core: they are checked while the first tests run.
test: lint layers
	@$(BIN)/mypy & types=$$!; $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup; tests=$$?; wait $$types && exit $$tests

check: lint types layers

lint: setup
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: setup
	@$(BIN)/mypy

layers: setup
	@$(BIN)/lint-imports

bench: setup
	@$(BIN)/python scripts/bench.py

format: setup
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
