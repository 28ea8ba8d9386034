# The two commands of a fresh machine are `make report` and `make test`; each builds the environment it needs.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUN    := PATH="$(abspath $(BIN)):$$PATH"
SOURCES := setup.py pyproject.toml

.PHONY: report test lint types unit wheel campaign bench notebook luigid clean

report: $(VENV)/installed  ## the report of data/challenge.db, or else of a generated data/sample.db
	@$(RUN) sh bin/report

test: lint types wheel unit

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

unit: $(VENV)/installed-dev
	$(RUN) python -m pytest -m "not slow" -n 2

campaign: $(VENV)/installed-dev  ## the slow tests: minutes of kills and faults
	$(RUN) python -m pytest -m slow

wheel: $(VENV)/installed-dev  ## built, installed into an environment of its own, and used from there
	$(RUN) sh bin/try-wheel

bench: $(VENV)/installed-dev  ## every performance figure that the README quotes
	$(RUN) python benchmarks/bench.py

notebook: $(VENV)/installed-dev  ## notebooks/training.ipynb, built from its text form and run on the source of `make report`
	$(RUN) sh bin/report notebook

luigid: $(VENV)/installed  ## the scheduler and its dashboard on http://127.0.0.1:8082
	$(BIN)/luigid --address 127.0.0.1

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/installed: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(VENV)/installed $@
