# What a person does with this project. `make help` explains each target.
SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2
# A program of the tests; the paths are those of pyproject.toml.
OWN := PYTHONPATH=tests:container/image $(BIN)/python -m
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --max-worker-restart=0

.PHONY: image soak help setup demo test test-unit test-api test-e2e test-alerts test-node test-kind node browser lint format generate lock vendor screenshots bench bench-limits bench-recovery bench-streams bench-node clean

help: ## Show what each target does
	@sed -n 's/^\([a-z][a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "polecat needs Python 3.11 or newer; choose one with PYTHON=…" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "python3 can't make a virtual environment; install its venv module (Debian: python3-venv)" >&2; rm -rf $(VENV); exit 1; }
	@echo "installing Python packages into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(READY) ## Install everything: Python packages, control plane, Kilo CLI (minutes the first time, then cached)
	@$(BIN)/polecat setup

demo: setup ## Five beads, five agents at once on a sample repository; ends with a table of what arrived
	@$(BIN)/polecat demo

test: setup browser lint ## Run all tests but those of image and node
	@$(PYTEST) tests --ignore=tests/node --ignore=tests/image

test-unit: $(READY) ## Run the tests that do no I/O
	@$(PYTEST) tests/unit

test-api: setup ## Run the tests against a real API server
	@$(PYTEST) tests/api

test-e2e: setup browser ## Run the tests with the real Kilo CLI and a real browser
	@$(PYTEST) tests/e2e

test-node: setup node ## Run the tests of the image, and on a real node: kubelet, containerd (root on Linux)
	@$(BIN)/python -m pytest tests/image tests/node

test-kind: setup ## Run the same tests on a cluster that kind makes (needs kind and docker or podman)
	@POLECAT_TEST_CLUSTER=kind $(BIN)/python -m pytest tests/node

node: setup
	@$(OWN) support.node

test-alerts: $(READY) ## Test the alerts with promtool, which is built once from its Go module (minutes)
	@$(OWN) support.promtool
	@$(BIN)/python -m pytest tests/unit/test_monitoring.py

browser: $(READY) ## Get the browser that tests of the dashboard use, unless there is one
	@$(OWN) support.browser

lint: $(READY) ## Check style, types, the direction of imports and generated files
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## Bring the code into its form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

generate: $(READY) ## Make the CRDs, the reference pages and the Grafana board from what they are made of
	@$(BIN)/python -m polecat_api.crd crds
	@$(BIN)/python docs/generate.py
	@$(BIN)/python manifests/monitoring/board.py

lock: $(READY) ## Choose the newest versions of all Python packages and lock them with hashes
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade pyproject.toml --group dev --output-file requirements.lock

image: $(READY) ## Build the container image; BASE=bootstrap for a base of Debian packages, BASE=… for another, TOOL=buildah|podman|docker
	@$(BIN)/python container/image/build.py $(if $(BASE),--base $(BASE)) $(if $(TOOL),--tool $(TOOL)) $(if $(FRESH),--fresh)

vendor: $(READY) ## Fetch the dashboard's third-party files again from npm, as the manifest says
	@$(BIN)/python -m polecat_dashboard.vendoring

screenshots: setup browser ## Take the pictures in docs/images again, from five real agents at work (minutes)
	@$(OWN) support.browser.pictures $(or $(PICTURES),$(VENV)/pictures) docs/images

bench: setup ## Print latency, writes per bead and memory, beside the peers' figures
	@$(OWN) bench.run $(ARGS)

bench-limits: setup ## Run the test of the limits at full size: 1,000 polecats, 10,000 beads, a storm of 2,000 (minutes)
	@POLECAT_LIMITS=full $(BIN)/python -m pytest -s tests/faults/test_limits.py

soak: setup ## Random work and faults for MINUTES=… (2), all from SEED=… (random); ends with 1 if anything was lost or doubled
	@$(OWN) soak.run $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

bench-recovery: setup ## Print how long it takes to go on after restarts and outages (QUICK=1: some minutes)
	@$(OWN) bench.recovery $(if $(QUICK),--quick)

bench-streams: setup ## Print how quickly 50 viewers see what 30 agents do, and what that costs
	@$(OWN) bench.streams --stuck-minutes 10

bench-node: setup ## Print how many agents fit into a pod and how quickly they start there (root on Linux)
	@$(OWN) bench.node

clean: ## Remove what was built here; the cache in the user's cache directory stays
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
