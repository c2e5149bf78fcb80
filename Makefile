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

.DELETE_ON_ERROR:
.PHONY: help venv demo test lint clean

help:
	@echo 'make demo    create .venv, install, and complete holes cut from real files'
	@echo 'make test    create .venv if there is none, install with the test tools, run the tests'
	@echo 'make lint    ruff (format and lint) and pyright'
	@echo 'make venv    only create .venv and install everything'
	@echo 'make clean   remove .venv and what builds and tools left behind'
	@echo 'Variables:   PYTHON=python3.12 (interpreter for .venv)  PYTEST_ARGS="-k name" (for make test)'

# pip is the last thing that `venv` puts in place, so it marks a finished environment. Where the distribution ships
# venv without ensurepip (Debian without python3-venv), the interpreter's own pip puts one there.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { $(PYTHON) --version >&2; echo '$(TOO_OLD)' >&2; exit 1; }
	@echo 'Creating $(VENV). The first installation takes a few minutes: PyTorch is large.'
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
	@$(BIN)/quicksilver demo

# pytest's own script, not `python -m pytest`: that one would put this folder, with its `kernels`, on sys.path.
test: $(VENV)/.installed-dev
	$(BIN)/pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
