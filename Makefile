# Needs Python >= 3.11, git and make; everything else comes by itself (tools/bootstrap.sh, tools/fetch.py).

ARGS ?=
WORKERS ?= 2
READY := .venv/.ready
BIN := .venv/bin
# Tests of what is compiled: they run a second time on the sources.
COMPILED_TESTS := $(wildcard tests/unit/test_proxy_*.py tests/property/test_proxy_*.py tests/e2e/test_proxy_*.py)

.PHONY: up demo test check bench chaos mutants fmt proto docs fetch compile help format lint types contracts wire unit clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

up: $(READY) ## Start everything on this machine; options in ARGS="--upstream postgresql://..."
	@$(BIN)/python tools/compile.py --hint
	@exec $(BIN)/airlock up $(ARGS)

demo: $(READY) ## A story against the running system
	@exec $(BIN)/airlock demo $(ARGS)

test: $(READY) fetch compile ## All tests; lists what this machine could not test
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 15 $(ARGS)
	@AIRLOCK_NO_COMPILED=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile -q $(COMPILED_TESTS)

check: $(READY) ## Format, lint, types, contracts, unit tests: under a minute
	@$(MAKE) --no-print-directory -j 2 --output-sync=target types format lint contracts wire unit
	@echo "check: all good"

format:
	@$(BIN)/ruff format --check --quiet
lint:
	@$(BIN)/ruff check --quiet
types:
	@$(BIN)/mypy --no-error-summary
contracts:
	@mkdir -p .cache && $(BIN)/lint-imports > .cache/lint-imports.log || { cat .cache/lint-imports.log; exit 1; }
wire:
	@$(BIN)/buf lint proto
	@$(BIN)/python -m decision.wire.generate --check
unit:
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile -q --durations 5 tests/unit tests/docs

bench: $(READY) compile ## Benchmarks as ratios, written to bench/results/
	$(BIN)/python -m bench $(ARGS)

chaos: $(READY) fetch compile ## Kill -9 everything at random under load, then account for every decision; ARGS="--seconds 600 --seed 7"
	$(BIN)/python -m tests.chaos $(ARGS)

mutants: $(READY) ## How many small wrong changes of the statement analysis its tests notice; ARGS="--sample 300 --seed 7"
	$(BIN)/python tools/mutants.py $(ARGS)

fmt: $(READY) ## Format and sort
	$(BIN)/ruff format
	$(BIN)/ruff check --fix --select I,UP,F401 --quiet

proto: $(READY) ## Generate the stubs of proto/
	$(BIN)/buf lint proto
	$(BIN)/python -m decision.wire.generate

docs: $(READY) ## Write the reference pages that come from the code
	$(BIN)/python tools/reference.py

fetch: $(READY) ## What some tests need beyond Python, where the toolchains are there
	@$(BIN)/python tools/fetch.py

compile: $(READY) ## The hot modules by mypyc, where there is a C compiler
	@$(BIN)/python tools/compile.py

clean: ## Remove what was made, but neither data nor fetched things
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .compiled

$(READY): pyproject.toml uv.lock tools/bootstrap.sh
	@tools/bootstrap.sh
