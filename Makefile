# Parley's one door for people: `make run`, `make test`, `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run test lint types format bench screenshots deps deps-check chromium clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.base ## Start Parley with demo data; PORT=8001 another port, DEMO=0 empty, PARLEY_VAR= another data folder
	@exec $(BIN)/python manage.py up

test: $(VENV)/.dev chromium ## Run all tests, the browser's too; ARGS="tests/chat -x" chooses
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

lint: $(VENV)/.dev ## Check style, templates and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djlint templates --lint --quiet
	$(BIN)/lint-imports

types: $(VENV)/.dev ## Check types
	DATABASE_URL=postgres://nobody@127.0.0.1:1/nothing $(BIN)/mypy

format: $(VENV)/.dev ## Format the code and what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## Run the benchmarks and print their figures
	$(BIN)/python -m pytest -m benchmark -s tests $(ARGS)

screenshots: $(VENV)/.dev chromium ## Picture the pages into tests/screenshots, by the browser tests
	$(BIN)/python -m pytest $(wildcard tests/*/test_*browser*.py) $(ARGS)

deps: $(VENV)/.dev ## Pin what pyproject.toml asks for into requirements/*.txt; UPGRADE=1 takes the newest allowed
	$(BIN)/uv pip compile -q pyproject.toml $(COMPILE) -o requirements/base.txt
	$(BIN)/uv pip compile -q pyproject.toml --group dev -c requirements/base.txt $(COMPILE) -o requirements/dev.txt

# The pins serve as preferences, so that only a change of pyproject.toml makes a difference.
deps-check: $(VENV)/.dev ## Check that requirements/*.txt are in step with pyproject.toml
	@copy=$$(mktemp -d); trap 'rm -rf "$$copy"' EXIT; \
	cp -r pyproject.toml README.md requirements "$$copy"; uv=$$PWD/$(BIN)/uv; cd "$$copy"; \
	"$$uv" pip compile -q pyproject.toml $(COMPILE) -o requirements/base.txt; \
	"$$uv" pip compile -q pyproject.toml --group dev -c requirements/base.txt $(COMPILE) -o requirements/dev.txt; \
	cd "$$OLDPWD"; \
	diff -r -I '^#' requirements "$$copy/requirements" \
		|| { echo "requirements/ and pyproject.toml disagree: run make deps"; exit 1; }

COMPILE := --universal --generate-hashes --python-version 3.11 $(if $(UPGRADE),--upgrade)

chromium: ## Install Debian's chromium for the browser tests where that is possible
	@if ! command -v chromium >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium; \
		else \
			echo "The browser tests need chromium. Type: sudo apt-get install chromium"; exit 1; \
		fi; \
	fi

clean: ## Remove caches and the virtual environment; the data folder stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis tests/screenshots
	find apps project tests -name __pycache__ -type d -prune -exec rm -rf {} +

# What follows makes the virtual environment; the stamps skip it while the pins are the same.
# Not on this list: newer Pythons, for which some of the pinned wheels do not exist yet.
$(BIN)/python:
	@for python in python3 python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
			found=$$python; break; \
		fi; \
	done; \
	if [ -z "$${found-}" ]; then \
		echo "Parley needs Python 3.11, 3.12 or 3.13; none was found on the PATH. On Debian: apt-get install python3 python3-venv"; \
		exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$found cannot make virtual environments here. On Debian: apt-get install python3-venv"; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv $(VENV)

$(VENV)/.base: requirements/base.txt | $(BIN)/python
	@if [ -e $(VENV)/.dev ] && [ ! $(VENV)/.dev -ot requirements/dev.txt ]; then touch $@; exit 0; fi; \
	echo "Installing the pinned packages (about 600 MB; once)"; \
	$(BIN)/python -m pip install -q --no-deps --require-hashes -r requirements/base.txt
	@touch $@

$(VENV)/.dev: requirements/base.txt requirements/dev.txt | $(BIN)/python
	@echo "Installing the pinned packages for development (once)"
	@$(BIN)/python -m pip install -q --no-deps --require-hashes -r requirements/dev.txt
	@touch $@ $(VENV)/.base
