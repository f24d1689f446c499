# Counterfoil. `make demo` and `make test` are all a fresh Debian machine with Python 3.11 needs.

PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= 3
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Type checking loads the settings; it needs no key of a real installation.
CHECK  := COUNTERFOIL_SECRET_KEY=only-for-type-checking-0123456789

# Every start of the product would compile it anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo serve test lint types unit bench format lock clean
.DELETE_ON_ERROR:

help:  ## Say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

demo: $(VENV)/.runtime  ## Load the demo company, run its story and serve it on http://127.0.0.1:8000
	$(BIN)/counterfoil demo

serve: $(VENV)/.runtime  ## Serve your own books on http://127.0.0.1:8000
	$(BIN)/counterfoil serve

test: $(VENV)/.development  ## Run everything: lint, types, tests
	@tools/prepare.sh programs chromium hledger jq openssl perl
	@$(MAKE) --no-print-directory lint types unit

lint: $(VENV)/.development  ## Style, import rules, money rules
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/lint-imports
	$(BIN)/python tools/lint_rules.py

types: $(VENV)/.development  ## Check the types
	$(CHECK) $(BIN)/mypy

unit: $(VENV)/.development  ## Run the tests alone
	$(BIN)/pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

bench: $(VENV)/.development  ## Measure
	@set -e; for file in $(filter-out benchmarks/common.py,$(wildcard benchmarks/*.py)); do echo "== $$file"; $(BIN)/python $$file; done

format: $(VENV)/.development  ## Put the code into shape
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/ruff format --quiet .

lock: $(VENV)/.development  ## Choose newest versions of everything (developers only)
	$(BIN)/uv pip compile $(LOCK) pyproject.toml -o requirements/runtime.lock
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra dev -c requirements/runtime.lock -o requirements/dev.lock
	echo hatchling editables | tr ' ' '\n' | $(BIN)/uv pip compile $(LOCK) - -o requirements/build.lock
LOCK := --quiet --upgrade --generate-hashes --no-header --no-annotate --universal --python-version 3.11

clean:  ## Remove what was made here (never your data)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# -- environments: a stamp file each, so a second run is quick ---------------------------------------------------------

$(BIN)/python:
	tools/prepare.sh venv $(PYTHON) $(VENV)

$(VENV)/.runtime: requirements/runtime.lock requirements/build.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/build.lock -r requirements/runtime.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.development: requirements/dev.lock $(VENV)/.runtime
	$(PIP) install --require-hashes -r requirements/dev.lock
	@touch $@
