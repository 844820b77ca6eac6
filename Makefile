# Two commands: `make demo` and `make test`. They need Python 3.11 or later and make, no compiler; each
# sets up its own environment in .venv the first time, from hashed requirements.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Side by side, as most tests wait for seconds of event time to pass.
JOBS   ?= 10

.DEFAULT_GOAL := help

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: $(VENV)/server.stamp ## a whole event on this machine: 2,135 real viewers, counted, proven, verified
	@$(BIN)/streamcount demo $(if $(VIEWERS),--viewers $(VIEWERS)) $(if $(SEED),--seed $(SEED))

serve: $(VENV)/server.stamp ## the service, on ports 8080 (viewers) and 8081 (console)
	@$(BIN)/streamcount serve

test: $(VENV)/dev.stamp ## all tests: real Valkey, real sockets, a real browser where there is a Chromium
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal

browser: $(VENV)/dev.stamp ## the embed in a real Chromium, with what takes long: 20 s offline, kill -9 and restart, 50 pages, the stories of each player
	@$(BIN)/python -m pytest -q tests/browser tests/browser/long_*.py

search: $(VENV)/dev.stamp ## property tests with new random examples, EXAMPLES=1000 each
	@STREAMCOUNT_EXAMPLES=$(or $(EXAMPLES),1000) STREAMCOUNT_CASES=$(or $(EXAMPLES),1000) $(BIN)/python -m pytest -q -n $(JOBS) tests/core tests/tlog tests/store tests/evidence tests/simulate tests/schemas/test_messages.py tests/schemas/test_openapi.py

api: $(VENV)/dev.stamp ## asks every endpoint of the running service by schemathesis, EXAMPLES=200 each; SEED=1
	@$(BIN)/python -m tests.schemas.asking --examples $(or $(EXAMPLES),200) --seed $(or $(SEED),1)

check: $(VENV)/dev.stamp ## ruff, formatting, mypy --strict, the house's rules, generated files up to date
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_house.py tests/test_project.py

faults: $(VENV)/dev.stamp ## breaks the running service in every way known, recounts, prints the table (root: every row); AT_ONCE=2, ROW=name
	@$(BIN)/python -m tests.faults.matrix --jobs $(or $(AT_ONCE),1) $(foreach row,$(ROW),--row $(row))

kills: $(VENV)/dev.stamp ## KILLS=1000 seeded kills around the archive's system calls; SEED=1
	@$(BIN)/python -m tests.faults.kills --kills $(or $(KILLS),1000) --seed $(or $(SEED),1)

soak: $(VENV)/dev.stamp ## MINUTES=20 of viewers and seeded random faults: nothing lost, memory level; SEED=1
	@$(BIN)/python -m tests.faults.soak --minutes $(or $(MINUTES),20) --seed $(or $(SEED),1)

sim: $(VENV)/dev.stamp ## SEEDS=10000 histories in virtual time, with faults, recounted; SEED=123 tells one
	@$(BIN)/python -m tests.sim $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000) --first $(or $(FIRST),0))

interop: $(VENV)/dev.stamp ## verifiers that we did not write read what we write, true and spoilt: a table; TOOL=xmod, JSON=file, DOCS=1
	@$(BIN)/python -m tests.interop $(foreach tool,$(TOOL),--tool $(tool)) $(if $(JSON),--json $(JSON)) $(if $(DOCS),--docs)

bench: $(VENV)/dev.stamp ## CPU and memory of our worker, a naive one and a bare C loop; the store's scripts beside ZADD; verifying large packs
	@$(BIN)/python -m loadtests.bench $(BENCH)

load: $(VENV)/dev.stamp ## locust's viewers against a service of its own, for a minute
	@$(BIN)/python -m loadtests.run --users 300 --seconds 60

dashboards: $(VENV)/dev.stamp ## writes the Grafana dashboard anew
	@$(BIN)/python -m dashboards.overview

pictures: $(VENV)/dev.stamp ## takes the README's pictures anew (needs Chromium)
	@$(BIN)/python -m tests.browser.pictures

lock: $(VENV)/dev.stamp ## writes the hashed requirements anew (needs uv)
	uv pip compile pyproject.toml --extra server --universal --python-version 3.11 --generate-hashes --no-emit-package streamcount --no-header -q -o requirements/server.txt
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-package streamcount --no-header -q -o requirements/dev.txt
	for n in interop interop-go; do uv pip compile requirements/$$n.in --universal --python-version 3.12 --generate-hashes --no-header -q -o requirements/$$n.txt || exit 1; done

clean: ## removes what these commands made here
	rm -rf $(VENV) .players .interop .mypy_cache .ruff_cache .pytest_cache .hypothesis

# --- Setting up ---

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "streamcount needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "$(PYTHON) cannot make a virtual environment; on Debian: apt install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/%.stamp: requirements/%.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	@echo "setting up $(VENV) from requirements/$*.txt ..."
	@$(PIP) install --require-hashes --only-binary :all: -r requirements/$*.txt -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@

.PHONY: help demo serve test browser search api check faults kills soak sim interop bench load dashboards pictures lock clean
