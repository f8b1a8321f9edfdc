# On a fresh machine with Python 3.11+ each target sets itself up with what it needs; nothing needs doing before.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
EDITABLE := --config-settings editable_mode=compat --editable
READY := $(VENV)/.ready

.PHONY: recovery lm test test-all goldens check proofs kernel bench fix clean

recovery: $(READY)
	$(BIN)/python -m experiments recovery

lm: $(READY)-lm
	$(BIN)/python -m experiments gpt2

test: $(READY)-test
	$(BIN)/python -m pytest -n 2 --dist worksteal

# with the claims that train for long: before a release, and after a change of training
test-all: $(READY)-test
	$(BIN)/python -m pytest -m "" -n 2 --dist worksteal

# what is computed now against what was kept: about a quarter of an hour on one core
goldens: $(READY)-test
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.golden.goldens check

check: $(READY)-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

proofs: $(READY)-proofs
	$(BIN)/python -m proofs_check

# compiles the theorems of proofs_check/kernel, audits their axioms, renews the record; needs Coq's packages
kernel: $(READY)
	$(BIN)/python -m proofs_check.engines.kernel

bench: $(READY)
	$(BIN)/python -m experiments benchmark --parts steps worlds matching growth

fix: $(READY)-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# torch first and pinned: its CPU build satisfies the range, and nothing pulls another one
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) $(EDITABLE) .
	touch $@

# what is beside the core, added to the same folder
$(READY)-test: EXTRAS := dev,proofs,lm,classical
$(READY)-proofs: EXTRAS := proofs
$(READY)-lm: EXTRAS := lm
$(READY)-%: $(READY)
	$(PIP) $(EDITABLE) '.[$(EXTRAS)]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
