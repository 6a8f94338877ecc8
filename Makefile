# Two commands do all: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Test processes; 0 runs the tests in one process.
JOBS ?= auto

.PHONY: demo test check bench mutants serve clean

demo: $(VENV)/.runtime
	$(BIN)/labbroker demo $(ARGS)

test: $(VENV)/.dev $(VENV)/.parts
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m bench $(ARGS)

mutants: $(VENV)/.dev
	$(BIN)/python -m tests.seeded_faults $(ARGS)

$(VENV)/.runtime: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.parts: $(VENV)/.runtime tests/system_parts.sh tests/node_clients/package.json
	tests/system_parts.sh
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info
