# make run | test | check | bench | soak | setup
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup dev run test check bench soak clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Loa needs Python 3.11 or newer; set PYTHON=python3.12, for example."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian: apt install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[server,box]'
	@touch $@

dev: $(VENV)/.installed-dev

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[server,box,dev]'
	@touch $@

run: setup
	@$(BIN)/loa demo

test: dev
	$(BIN)/pytest tests

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: dev
	$(BIN)/python -m benchmarks $(ONLY)

soak: dev
	SOAK=20 $(BIN)/pytest tests/schedules --timeout 3600
	SOAK=100 $(BIN)/pytest tests/simulation --timeout 36000
	SOAK=20 $(BIN)/pytest tests/system/test_box_never_misses.py --timeout 3600

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache
