# `make help` lists the targets. PYTHON picks the interpreter that .venv is made from; PYTEST_ARGS goes to pytest.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The build backend is installed first, from the same pins, so that no unpinned one is fetched for the build.
INSTALL := $(PIP) install -c constraints.txt setuptools && $(PIP) install -c constraints.txt --no-build-isolation
PINS := pyproject.toml constraints.txt
TOO_OLD := Quicksilver needs Python 3.11 or newer: run make PYTHON=/path/to/python3.11

# Python keeps what it compiles, whatever the shell says: every worker and every process of a test would compile it all again.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: help venv demo check test test-editors test-coder editors lint style types imports fast clean

help:
	@echo 'make demo          create .venv, install, and complete holes cut from real files'
	@echo 'make check         before each commit: ruff, pyright and the fast tests, side by side'
	@echo 'make test          all tests but those in real editors'
	@echo 'make test-coder    test with the real model coder (QUICKSILVER_CODER_GGUF=its file, QUICKSILVER_CODER_FOLDER=what quicksilver fetch made of it)'
	@echo 'make lint          ruff (format and lint), pyright and import-linter'
	@echo 'make editors       get the editors that are tested, into .editors (Debian, as root; PARTS=terminal: no VS Code)'
	@echo 'make test-editors  test in real editors: Neovim 0.7 and 0.12, Emacs, VS Code; the playground; what is missing is skipped'
	@echo 'make venv          only create .venv and install everything'
	@echo 'make clean         remove .venv and what builds and tools left behind'
	@echo 'Variables:         PYTHON=python3.12 (interpreter for .venv)  PYTEST_ARGS="tests/fim -k name" (for make test)'
	@echo '                   PARALLEL= (for make test: one process, as a debugger needs it)'

# pip is the last thing that `venv` puts in place, so it marks a finished environment. Where the distribution ships
# venv without ensurepip (Debian without python3-venv), the interpreter's own pip puts one there.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { $(PYTHON) --version >&2; echo '$(TOO_OLD)' >&2; exit 1; }
	@echo 'Creating $(VENV). The first installation takes a minute; for the tests some more: PyTorch is large.'
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		$(PYTHON) -m venv $(VENV); \
	else \
		$(PYTHON) -m venv --without-pip $(VENV) \
		&& $(PYTHON) -m pip --python $(BIN)/python install -c constraints.txt pip; \
	fi

$(VENV)/.installed-base: $(PINS) | $(BIN)/pip
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: $(PINS) | $(BIN)/pip
	$(INSTALL) -e '.[dev]'
	@mkdir -p $(VENV)/links/quicksilver
	@for init in */__init__.py; do ln -sfn "$(CURDIR)/$${init%/*}" $(VENV)/links/quicksilver/; done
	@touch $(VENV)/.installed-base $@

venv: $(VENV)/.installed-dev

demo: $(VENV)/.installed-base
	@$(BIN)/quicksilver demo --yes

# One worker a core; a file's tests stay together, since they share what is slow to make. Files keep their order, slow ones
# first (tests/conftest.py); xdist's own order starts files of many tests first, and slow files have few. A lost worker ends
# the run: with files kept together, xdist 3.8 waits for ever for the tests that the lost worker had.
PARALLEL ?= -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0
# pytest's own script, not `python -m pytest`: that one would put this folder, with its `kernels`, on sys.path.
test: $(VENV)/.installed-dev
	$(BIN)/pytest --ignore tests/editors $(PARALLEL) --durations=20 -rs $(PYTEST_ARGS)

# Tests that need the published file: conversion, tokens, parity with transformers, 500 holes with and without guesses. Some GB of
# memory, a quarter of an hour. Without the folder the holes are left out.
test-coder: $(VENV)/.installed-dev
	@test -r '$(QUICKSILVER_CODER_GGUF)' || { echo 'set QUICKSILVER_CODER_GGUF to the path of qwen2.5-coder-0.5b-instruct-q4_k_m.gguf'; exit 1; }
	QUICKSILVER_CODER_GGUF='$(abspath $(QUICKSILVER_CODER_GGUF))' QUICKSILVER_CODER_FOLDER='$(QUICKSILVER_CODER_FOLDER)' $(BIN)/pytest -m coder -rs $(PYTEST_ARGS)

# Real editors. What fails is run once more: on a busy machine a screen may come too late. SCREENSHOTS names a folder for pictures of what a person sees.
EDITORS ?= .editors
PARTS ?= terminal vscode
SCREENSHOTS ?= $(CURDIR)/build/screenshots
WITH_EDITORS = set -a; for file in $(CURDIR)/$(EDITORS)/environment $(CURDIR)/$(EDITORS)/vscode/environment; do \
	if [ -e "$$file" ]; then . "$$file"; fi; done; QUICKSILVER_SCREENSHOTS='$(SCREENSHOTS)'

editors: $(VENV)/.installed-dev
	tests/editors/setup.sh $(EDITORS)
	$(if $(filter vscode,$(PARTS)),editors/vscode/e2e/setup.sh $(EDITORS)/vscode)

test-editors: $(VENV)/.installed-dev
	$(WITH_EDITORS); $(BIN)/pytest tests/editors $(PYTEST_ARGS) || $(BIN)/pytest tests/editors --last-failed $(PYTEST_ARGS)
	$(if $(filter vscode,$(PARTS)),$(WITH_EDITORS); cd editors/vscode && npm ci --no-fund --no-audit && npm run e2e)
	$(if $(filter vscode,$(PARTS)),$(WITH_EDITORS); editors/vscode/node_modules/.bin/tsc -p tests/playground && node --test tests/playground/page.test.mjs)

lint: style types imports

style: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed-dev
	$(BIN)/pyright

imports: $(VENV)/.installed-dev
	$(BIN)/lint-imports

# Tests of what never loads a model, and of the pages, without most of those that start processes. Types are checked meanwhile.
fast: $(VENV)/.installed-dev
	$(BIN)/pytest tests/fim tests/lsp_server tests/serving tests/test_architecture.py tests/test_pages.py -m 'not slow' -n 2 --dist loadfile --max-worker-restart 0 $(PYTEST_ARGS)

check: $(VENV)/.installed-dev
	@$(MAKE) --no-print-directory -j2 types style fast

clean:
	rm -rf $(VENV) $(EDITORS) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
