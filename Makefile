# From nothing: `make run` starts the desk, `make test` proves it. Everything lives in .venv and .cache of this folder.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
ARGS ?=
export UV_PYTHON := $(CURDIR)/$(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help setup run test check services kafka lock bench faults clean

help: ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(READY) ## the environment of requirements.lock in .venv

run: $(READY) ## start the desk (ARGS="--kafka HOST:PORT" ...); prints its address
	@exec $(BIN)/ims run $(ARGS)

test: $(READY) services ## everything a change must pass, with the services it needs
	@$(MAKE) --no-print-directory check

check: $(READY) ## format, lint, types, imports, tests, whatever the others say (ARGS="-n 0": tests one after the other)
	@failed=""; \
	for gate in "ruff format --check" "ruff check" "mypy --num-workers 2" "lint-imports"; do \
		echo "== $$gate"; $(BIN)/$$gate || failed="$$failed [$$gate]"; \
	done; \
	[ -z "$$failed" ] || echo "== failed:$$failed"; \
	echo "== pytest"; PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n 2 $(ARGS) && [ -z "$$failed" ]

services: $(READY) ## Redis, PostgreSQL, Chromium and Kafka for the tests, where they are missing
	@deploy/services/install.sh
	@$(BIN)/python -m app.bench || [ "$$CI" != true ]

kafka: $(READY) ## a Kafka broker on 127.0.0.1:9092, in the foreground, to try things with
	@exec $(BIN)/python -m app.bench 9092

lock: $(READY) ## renew requirements.lock after a change of pyproject.toml (ARGS=--upgrade: to the newest versions)
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header -q $(ARGS) -o requirements.lock

bench: $(READY) ## every figure of tests/bench/RESULTS.md on this machine (ARGS=--json)
	@for name in kernel recalc impact kafka recovery archive latency locates orders start; do $(BIN)/ims bench $$name $(ARGS) || exit 1; done

faults: $(READY) services ## kill, cut off, damage and set wrong under load, 20 times each (ARGS="--times 3 --rate 20000")
	@exec $(BIN)/ims bench faults $(ARGS)

clean: ## remove environment and caches; what the desk has written (.ims) stays
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@deploy/services/venv.sh "$(PYTHON)" $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv
	@$(BIN)/uv pip install -q --require-hashes --compile-bytecode -r requirements.lock
	@$(BIN)/uv pip install -q --no-deps --no-build-isolation -e .
# compiled ahead: where PYTHONDONTWRITEBYTECODE is set each start would compile everything again
	@$(BIN)/python -m compileall -q app assets engine feeds layouts
	@touch $@
