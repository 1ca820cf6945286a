# BleepStore: the front door. `make serve`, `make test`, `make check`; nothing else is installed by hand.

PORT ?= 9000
DIR ?= bleepstore-data
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
CLOUDS := plugins/backend-aws plugins/backend-gcp plugins/backend-azure
PROJECTS := pyproject.toml core/pyproject.toml plugins/backend-local/pyproject.toml constraints.txt
SOURCES := conftest.py core plugins/backend-local $(CLOUDS) tests schemas examples

.PHONY: help serve test check format schemas wheels clean

help:
	@echo "make serve [PORT=9000] [DIR=bleepstore-data]   build the environment and serve"
	@echo "make test                                      build it and run all tests"
	@echo "make check                                     format, lint, types, walls"
	@echo "make test-clients [ONLY=http|tls]              test with every client, each in its own environment"
	@echo "make fuzz [SECONDS=120] [TARGETS=...]          hostile input, guided by coverage, for so long each"
	@echo "make test-gateways [ONLY_GATEWAYS=...]        the S3 kit through every gateway, side by side"
	@echo "make bench [QUICK=1] [PEERS=\"--peer N=URL\"]     measured beside other servers, by turns"
	@echo "make crash [ROUNDS=500] [CUTS=500] [BACKEND=aws|gcp|azure]   kill -9 and power cuts, each checked"
	@echo "make format | schemas | wheels | clean"

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "BleepStore needs Python 3.11 or newer" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.python $(PROJECTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ./core -e ./plugins/backend-local
	@touch $@

$(VENV)/.development: $(VENV)/.runtime requirements-dev.txt $(CLOUDS:=/pyproject.toml)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-dev.txt \
		$(CLOUDS:%=-e ./%)
	@touch $@

serve: $(VENV)/.runtime
	@exec $(BIN)/bleepstore serve $(DIR) --port $(PORT)

test: $(VENV)/.development system-tools hostile-tools emulators
	$(BIN)/python -m pytest -n 2 --dist loadfile

include tests/system.mk
include tests/clients/environments.mk
include tests/hostile/environment.mk
include tests/emulators/emulators.mk
include tests/gateways/gateways.mk
include tests/durability/crash.mk
include tests/performance/bench.mk

check: $(VENV)/.development
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy core/src plugins/backend-local/src $(CLOUDS:=/src) examples/backend-sqlitefs/src
	$(BIN)/lint-imports

format: $(VENV)/.development
	$(BIN)/ruff check --fix-only $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

schemas: $(VENV)/.development
	$(BIN)/bleepstore config schema > schemas/bleepstore.schema.json
	$(BIN)/python schemas/generate.py
	$(BIN)/python schemas/readme_table.py
	$(BIN)/python schemas/plugin_api.py
	$(BIN)/python schemas/api_snapshot.py

wheels: $(VENV)/.python
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps -w dist \
		. ./core ./plugins/backend-local ./plugins/backend-aws ./plugins/backend-gcp \
		./plugins/backend-azure ./plugins/metadata-raft

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
