# Every target works on a bare machine with python3 and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Tests that fill a given Redis' memory cannot share it with others at the same time.
ARGS   ?= $(if $(TEST_REDIS_URL),-n 0,-n 4 --dist worksteal)
# Python 3.11 is the oldest version that the lock files must serve.
LOCK   := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help demo run test bench chaos mutations format lint openapi lock clean

help:           ## list the targets
	@awk -F ':|## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$NF}' $(MAKEFILE_LIST)

demo: $(READY)  ## run the main job end to end against the fake Instagram, then exit
	@$(BIN)/python -m deploy.local demo

run: $(READY)   ## keep the same stack up
	@$(BIN)/python -m deploy.local run

test: $(READY)  ## run all tests; ARGS="tests/jobs -k claim" for some
	$(BIN)/python -m pytest $(ARGS)

bench: $(READY) ## measure and compare, also into bench.json; BENCH="webhooks" for some
	@$(BIN)/python -m tests.bench $(BENCH)

chaos: $(READY) ## kill processes at every step and at random, promote replicas; CHAOS="--seed 7 --rounds 2" for less
	@$(BIN)/python -m tests.chaos $(CHAOS)

mutations: $(READY) ## break the code in many places and see what the tests notice; MUTATIONS="A04 lua" for some
	@$(BIN)/python -m tests.mutations $(MUTATIONS)

format: $(READY) ## format the code and apply safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(READY)  ## check formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.lint.lua
	$(BIN)/lint-imports --no-cache

openapi: $(READY) ## rewrite docs/openapi.json from the routes
	@$(BIN)/python -m tests.support.openapi

lock: $(READY)  ## rewrite requirements*.txt from pyproject.toml
	$(LOCK) $(LOCKFLAGS) -o requirements.txt pyproject.toml
	$(LOCK) $(LOCKFLAGS) -c requirements.txt --extra dev -o requirements-dev.txt pyproject.toml

clean:          ## remove the virtual environment, local data and caches
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .hypothesis

$(READY): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 14) else "Heliograph needs Python 3.11 to 3.14; make PYTHON=python3.12 ... names another one.")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
