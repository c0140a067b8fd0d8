# make demo   sets up and runs the whole main job on the sample owner
# make test   sets up and passes the tests, Python and web
#
# Both can be run again, and then need no network. Everything lands in this folder.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
export TWIN_HOME ?= $(CURDIR)/.twin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
MODEL := smollm2-135m-instruct

DENO = $(shell $(BIN)/python -c 'import deno; print(deno.find_deno_bin())')
export DENO_DIR := $(CURDIR)/.cache/deno
export DENO_TLS_CA_STORE := system
export DENO_NO_UPDATE_CHECK := 1

.PHONY: demo test test-python test-web check format bench clean

demo: $(VENV)/.installed
	@$(BIN)/twin demo

test: check test-python test-web

check: $(VENV)/.tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test-python: $(VENV)/.tested .cache/models/$(MODEL)/manifest.json
	$(BIN)/python -m pytest

test-web: $(VENV)/.tested
	cd gateway && $(DENO) ci && $(DENO) task check && $(DENO) task test

format: $(VENV)/.tested
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.tested .cache/models/$(MODEL)/manifest.json
	$(BIN)/python benchmarks/mbox.py
	$(BIN)/python benchmarks/demo.py

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo 'AI Twin needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python3' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo 'Installing into $(VENV): some 70 packages, about 340 MB to download (most of it PyTorch), 1.5 GB on disk.'
	@echo 'On Linux without a CPU build at hand, pip takes PyTorch with CUDA: some 3 GB more.'
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	@echo 'Installing the tools for tests into $(VENV): about 75 MB to download.'
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

# The tests' own shelf, apart from the owner's.
.cache/models/$(MODEL)/manifest.json: | $(VENV)/.installed
	@TWIN_HOME=$(CURDIR)/.cache $(BIN)/twin models pull $(MODEL)

clean:
	rm -rf $(VENV) .cache gateway/node_modules gateway/build gateway/.svelte-kit
