# The menu: `make` lists what there is. Everything installs into .venv, and only when a lock file changed.

SHELL := /bin/sh
.DEFAULT_GOAL := menu
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# The first interpreter that is new enough; `make PYTHON=/path/to/python ...` names another.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$name; break; }; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
	--no-emit-index-url
PYTEST := $(BIN)/python -m pytest --dist loadfile

# What starts a hundred processes is not to compile everything a hundred times.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: menu install demo demo-reset test test-full chaos test-stripe stripe-key check format lock bench up clean

menu: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/installed-dev ## everything for working on Paysaga, into .venv

demo: $(VENV)/installed-demo ## the whole service with a little shop; ONCE=1 ends after the purchases
	@$(BIN)/python -m paysaga.demo $(if $(filter-out 0,$(ONCE)),--once)

demo-reset: $(VENV)/installed-demo ## forget what the demo has kept in .paysaga/
	@$(BIN)/python -m paysaga.demo --reset

# Much of the time is spent waiting for servers and processes: on two cores three are at work.
test: $(VENV)/installed-dev ## the tests, under 10 minutes; COVERAGE=1 tells, too, what they leave out
	@$(PYTEST) -n 3 -m "not full" $(if $(COVERAGE),--cov --cov-report=) $(ARGS)
ifdef COVERAGE
	@$(BIN)/coverage report --skip-covered
	@$(BIN)/coverage report --include='workflows/*,paysaga/domain/*' --show-missing --skip-covered --fail-under=100
endif

test-full: $(VENV)/installed-dev ## the long runs, on top of make test
	@$(PYTEST) -n 2 -m full $(ARGS)

test-stripe: stripe-key $(VENV)/installed-dev ## the gateway's tests against your own test account (STRIPE_TEST_KEY)
	@$(BIN)/python -m pytest -m stripe $(ARGS)

# Before the installation: nobody should wait a minute to learn that the key is missing.
stripe-key:
	@test -n "$$STRIPE_TEST_KEY" || { echo "Set STRIPE_TEST_KEY to the secret key of a Stripe test account (sk_test_...)."; exit 2; }

check: $(VENV)/installed-dev ## style, types and who imports whom
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/installed-dev ## let ruff write it as it should be
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .

lock: $(VENV)/installed-dev ## write requirements/*.txt anew from pyproject.toml; UPGRADE=1 takes newer versions
	@mkdir -p .cache && cp requirements/dev.txt .cache/before.txt
	@$(LOCK) pyproject.toml --group build --group dev --extra demo $(if $(UPGRADE),--upgrade) -o requirements/dev.txt
	@$(LOCK) pyproject.toml --group build --extra demo -c requirements/dev.txt -o requirements/demo.txt
	@$(LOCK) pyproject.toml --group build -c requirements/dev.txt -o requirements/runtime.txt
	@if cmp -s .cache/before.txt requirements/dev.txt; then echo "Nothing changed."; else echo "Changed: run make install."; fi

bench: $(VENV)/installed-dev ## latency, throughput and billable actions, beside a bare workflow
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: $(VENV)/installed-dev ## 1000 payments amid kills and faults; SAGAS, SEED, POSTGRESQL=1, OUTAGE=1
	@SAGAS="$(SAGAS)" SEED="$(SEED)" POSTGRESQL="$(POSTGRESQL)" OUTAGE="$(OUTAGE)" $(BIN)/python -m tests.chaos

up: ## the service as containers: PostgreSQL, Temporal, simulator, worker, API
	docker compose up --build --wait

clean: ## remove the virtual environment and all caches; .paysaga/ stays
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* dist

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Paysaga needs Python 3.11 or newer: install it, or name it with make PYTHON=/path/to/python3.11."; exit 2; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python could not make a virtual environment: install its venv package (python3-venv on Debian)."; exit 2; }

# dev.txt holds all that demo.txt holds, at the same versions: what is installed for one serves the other.
$(VENV)/installed-demo: requirements/demo.txt pyproject.toml | $(BIN)/python
	@if [ $(VENV)/installed-dev -nt requirements/dev.txt ] && [ $(VENV)/installed-dev -nt pyproject.toml ]; then :; \
	else echo "Installing what the demo needs (about a minute, once)"; \
	$(PIP) install --require-hashes -r requirements/demo.txt; \
	$(PIP) install --no-deps --no-build-isolation -e .; fi
	@touch $@

$(VENV)/installed-dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the tests and checks need (a minute or two, once)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
