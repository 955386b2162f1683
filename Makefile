# The two commands a newcomer needs are `make run` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
APP    ?= examples/bookshop.py

.DEFAULT_GOAL := help
.PHONY: help run test check bench lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

run: $(VENV)/.installed ## set up, then serve an agent (APP=examples/bookshop.py) on the embedded engine
	@$(BIN)/evibridge run $(APP)

test: $(VENV)/.installed $(VENV)/.speaker $(VENV)/.browser check ## set up, then check and run the whole suite
	@$(BIN)/python -m pytest -n 4 --dist worksteal

check: $(VENV)/.installed ## style, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: $(VENV)/.installed $(VENV)/.speaker ## measure calls per core, added latency and response time
	@$(BIN)/python -m benchmarks

lock: $(VENV)/.installed ## pin every dependency again, with hashes
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
		--python-version 3.11 --extra engine --extra mcp --extra webrtc --group dev pyproject.toml -o requirements.lock

clean: ## remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# uv is taken from pip, so that Python and pip are all that a machine needs.
$(VENV)/.installed: pyproject.toml requirements.lock
	@echo "Setting up $(VENV) (about a minute the first time) ..."
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "evibridge needs Python 3.11 to 3.13: name one, as in 'make run PYTHON=python3.12'." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# The spoken tests need a voice that is not the engine's own.
$(VENV)/.speaker: $(VENV)/.installed
	@sh tests/install_espeak.sh
	@touch $@

# A page is tried in a real browser, and its scripts are checked and run without one.
$(VENV)/.browser: $(VENV)/.installed
	@sh tests/install_browser.sh
	@touch $@
