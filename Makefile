# On a fresh machine with Python 3.11+ each target sets itself up; nothing needs doing before.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: recovery lm test goldens check proofs bench fix clean

recovery: $(READY)
	$(BIN)/python experiments/recovery.py

lm: $(READY)
	$(BIN)/python experiments/gpt2.py

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

# what is computed now against what was kept: about a quarter of an hour on one core
goldens: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.golden.goldens check

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

proofs: $(READY)
	$(BIN)/python -m proofs_check

bench: $(READY)
	$(BIN)/python experiments/benchmark.py --parts steps worlds matching growth

fix: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# torch first and pinned: its CPU build satisfies the range, and nothing pulls another one
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,proofs,lm]'
	touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
