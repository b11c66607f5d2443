# Every target works on a bare machine with python3 and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Tests that fill a given Redis' memory cannot share it with others at the same time.
ARGS   ?= $(if $(TEST_REDIS_URL),-n 0,-n 4 --dist worksteal)

.PHONY: demo run test bench chaos lint lock clean

demo: $(READY)  ## the main job, end to end, against the fake Instagram; then exits
	@$(BIN)/python -m deploy.local demo

run: $(READY)   ## the same stack, kept up
	@$(BIN)/python -m deploy.local run

test: $(READY)
	$(BIN)/python -m pytest $(ARGS)

bench: $(READY) ## figures side by side in one run, also in bench.json; BENCH="webhooks" for some of them
	@$(BIN)/python -m tests.bench $(BENCH)

chaos: $(READY) ## kills at every step, and random faults; CHAOS="--seed 7 --rounds 2" for less
	@$(BIN)/python -m tests.chaos $(CHAOS)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

lock: $(READY)  ## requirements*.txt from pyproject.toml, for every platform and Python it names
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" $(LOCKFLAGS) -o requirements.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" $(LOCKFLAGS) -c requirements.txt --extra dev -o requirements-dev.txt pyproject.toml

clean:
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .hypothesis

$(READY): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Heliograph needs Python 3.11 to 3.13; make PYTHON=python3.12 ... names another one.")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
