# All tasks of this repository. Each target first makes what it needs; a second call finds it made.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 4
SECTIONS ?=
TIMES ?= 20
MINUTES ?= 2
PYTEST_ARGS ?=
CHECK_DEPLOY ?= all
EVENTS ?= 10000000
BENCH_ARGS ?=
BENCH_ROLLUPS_ARGS ?=

# npm brings the TimescaleDB of the tests and the tools of the tracker. Node and npm are among the locked packages of the tests.
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm
MODULES := $(foreach folder,timescale tracker,tests/$(folder)/node_modules/.package-lock.json)

# the tests start Python hundreds of times: it should not compile everything each time
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test oracle proof soak mutations audit bench bench-queries check check-deploy deploy-tools sdk-libraries sdk-matrix reference tracker format lock hooks clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

run: $(VENV)/.main ## start the platform with its own PostgreSQL and Valkey; Ctrl-C ends it
	@$(BIN)/analytics run

test: $(VENV)/.dev $(MODULES) ## run the tests (PYTEST_ARGS=... to choose, WORKERS=4, POSTGRES_BIN=... for another PostgreSQL)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

oracle: $(VENV)/.dev $(MODULES) ## run the property tests on new random examples, TIMES=20 times as many as CI
	EXAMPLES=$(TIMES) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m hypothesis $(PYTEST_ARGS)

mutations: $(VENV)/.dev ## break each safeguard once and see which test fails; writes docs/mutations.md
	$(BIN)/python -m tests.mutations.run

audit: $(VENV)/.dev ## look every locked package up in the advisory service (needs the network)
	$(BIN)/python requirements/check.py
	$(BIN)/python requirements/audit.py

proof: $(VENV)/.dev $(MODULES) ## run every fault test at full length, in up to 15 minutes; writes docs/proof.md
	WORKERS=$(WORKERS) $(BIN)/python -m tests.faults.proof $(PYTEST_ARGS)

soak: $(VENV)/.dev ## run a steady load through all roles for MINUTES=2; fails when memory, descriptors, connections, partitions or queue age grow
	$(BIN)/python -m tests.faults.soak $(MINUTES)

bench: $(VENV)/.dev ## measure and write docs/performance.md (SECTIONS="collector store" to choose, BENCH_ARGS=--short for five minutes)
	$(BIN)/python -m bench $(SECTIONS) $(BENCH_ARGS)

check: $(VENV)/.dev ## check lint, format, types, layers and lock files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python requirements/check.py

check-deploy: $(VENV)/.dev $(if $(filter all,$(CHECK_DEPLOY)),deploy-tools) ## check the deployment files with the programs that will read them (CHECK_DEPLOY=some: with those that are installed)
	CHECK_DEPLOY=$(CHECK_DEPLOY) $(BIN)/python -m pytest tests/deploy $(PYTEST_ARGS)

deploy-tools: $(VENV)/deploy/.done ## install the programs of check-deploy
	@tests/deploy/debian.sh

bench-queries: $(VENV)/.dev ## load 10 million events and time every question (EVENTS=1000000 for fewer); writes docs/performance.md
	$(BIN)/python -m bench.queries --events $(EVENTS) --write $(BENCH_ARGS)
	$(BIN)/python -m bench.rollups $(BENCH_ROLLUPS_ARGS)

sdk-libraries: $(VENV)/.dev tests/sdks/.venv/.done tests/sdks/node_modules/.package-lock.json ## install other products' libraries

sdk-matrix: sdk-libraries ## run other products' libraries, and clients made of openapi.json, against the platform; writes docs/sdks/matrix.md
	SDK_MATRIX=1 $(BIN)/python -m pytest tests/sdks $(PYTEST_ARGS)

reference: sdk-libraries ## put the locked Swagger UI into the package, for /api/docs
	$(BIN)/python -m tests.sdks.swagger_ui

tracker: tests/tracker/node_modules/.package-lock.json ## check the browser tracker's types and minify it; writes analytics/tracker/tracker.min.js
	$(NPM) run --silent --prefix tests/tracker check
	$(NPM) run --silent --prefix tests/tracker build

format: $(VENV)/.dev ## let ruff format and fix what it can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: $(VENV)/.dev ## write requirements/*.txt from pyproject.toml and requirements/*.in
	$(BIN)/python requirements/check.py --write
	sh tests/deploy/lock.sh
	sh tests/sdks/lock.sh
	$(NPM) install --prefix tests/tracker --package-lock-only --ignore-scripts --no-audit --no-fund
	$(BIN)/python requirements/check.py

hooks: $(VENV)/.dev ## run the checks before every commit
	$(BIN)/pre-commit install

clean: ## remove what the other targets made (never data)
	rm -rf $(VENV) tests/*/node_modules tests/sdks/.venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment: main is what runs, dev adds what tests and checks. A lock file is complete, so pip has nothing to resolve (--no-deps). If pip
# resolved, it would look at the newest release of a package named with an extra, find no hash for it here, and fail the day that one is published.
$(VENV)/.main: requirements/main.txt pyproject.toml | $(BIN)/python
	$(call install,main)

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(call install,dev)
	@touch $(VENV)/.main

# the programs of check-deploy, in an environment of their own; some others come from Debian
$(VENV)/deploy/.done: tests/deploy/tools.txt | $(BIN)/python
	@$(PYTHON) -m venv $(VENV)/deploy
	@$(VENV)/deploy/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

define install
@echo "installing requirements/$(1).txt"
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/$(1).txt
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
@$(BIN)/python -m pip check --quiet
@touch $@
endef

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "python 3.11 or newer is needed; name one with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get install -qy python3-venv; } || \
		{ echo "$(PYTHON) cannot make virtual environments; as root: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

tests/timescale/node_modules/.package-lock.json tests/tracker/node_modules/.package-lock.json: tests/%/node_modules/.package-lock.json: tests/%/package.json tests/%/package-lock.json | $(VENV)/.dev
	$(NPM) ci --prefix tests/$* --no-audit --no-fund
	@touch $@

tests/sdks/.venv/.done: tests/sdks/requirements.txt | $(BIN)/python
	$(BIN)/python -m venv tests/sdks/.venv
	tests/sdks/.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/sdks/requirements.txt
	@touch $@

tests/sdks/node_modules/.package-lock.json: tests/sdks/package.json tests/sdks/package-lock.json | $(VENV)/.dev
	$(NPM) install --prefix tests/sdks --no-save --ignore-scripts --no-audit --no-fund # npm ci would ask for optional parts of other machines
	@touch $@
