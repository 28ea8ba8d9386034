# The two commands of a fresh machine are `make report` and `make test`; each builds the environment it needs.
# Another Python has an environment of its own: `make test PYTHON=python3.13`.

PYTHON ?= python3
VENV   ?= .venv$(patsubst python%,-%,$(filter-out python python3,$(notdir $(PYTHON))))
BIN    := $(VENV)/bin
RUN    := PATH="$(abspath $(BIN)):$$PATH"

LOCK     ?= requirements.lock
LOCK_DEV ?= requirements-dev.lock
# An environment that was made for another version of Python is made anew, since this name is not in it.
VERSION  := $(shell "$$(sh bin/find-python $(PYTHON))" -c 'import platform; print(platform.python_version())')
INSTALLED     := $(VENV)/installed-$(VERSION)
INSTALLED_DEV := $(VENV)/installed-dev-$(VERSION)
# Without the tests that run whole commands, the notebook, and the sample in full size.
FAST := -m "not slow" -n 2 $(addprefix --ignore tests/,end_to_end command notebooks sample)
# Where another Python or another version of a package shows itself: files, SQL, times, arithmetic, sockets.
ROOMS := -m "not slow" -n 2 pipeline targets $(addprefix tests/,targets source journeys attribution ihc_sandbox test_stage.py)
SOURCES       := setup.py pyproject.toml bin/new-environment

.PHONY: report test lint types unit fast rooms coverage versions newest lowest campaign wheel lock golden bench truth notebook luigid clean

report: $(INSTALLED)  ## the report of data/challenge.db, or else of a generated data/sample.db
	@$(RUN) sh bin/report

test: lint types wheel unit

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED_DEV)
	$(BIN)/mypy

# Three at a time on two cores: many tests wait for servers and clocks.
unit: $(INSTALLED_DEV)
	$(RUN) python -m pytest -m "not slow" -n 3

fast: $(INSTALLED_DEV)  ## the tests of single rooms
	$(RUN) python -m pytest $(FAST)

rooms: $(INSTALLED_DEV)  ## the tests of some rooms
	$(RUN) python -m pytest $(ROOMS)

# A target of its own, which CI runs, since the tests take 1.4 times as long with it.
coverage: $(INSTALLED_DEV)  ## the branches that the fast tests cover, those in subprocesses included; a floor in pyproject.toml
	$(BIN)/coverage erase
	$(RUN) coverage run -m pytest $(FAST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

versions:  ## the fast tests on every other supported Python that is installed
	@MAKE="$(MAKE)" PYTHON="$(PYTHON)" VENV="$(VENV)" sh bin/other-versions

newest:  ## the tests of some rooms on the newest other Python that is installed
	@MAKE="$(MAKE)" PYTHON="$(PYTHON)" VENV="$(VENV)" sh bin/other-versions newest

lowest:  ## the fast tests with the lowest versions that setup.py declares, and the floor of the branches they reach
	$(MAKE) coverage VENV=$(VENV)-lowest LOCK_DEV=requirements-lowest.lock

campaign: $(INSTALLED_DEV)  ## the slow tests: minutes of kills and faults
	$(RUN) python -m pytest -m slow

wheel: $(INSTALLED_DEV)  ## built, installed into an environment of its own, and used from there
	$(RUN) sh bin/try-wheel

lock:  ## renews the lock files from setup.py
	PYTHON="$(PYTHON)" sh bin/lock

golden: $(INSTALLED_DEV)  ## tests/stage_contents.json anew, after the versions of the stages that changed were raised
	$(RUN) python -m pytest --quiet tests/test_stage_contents.py --golden

bench: $(INSTALLED_DEV)  ## every performance figure that the README quotes
	$(RUN) python benchmarks/bench.py

truth: $(INSTALLED_DEV)  ## how far each model is from what channels truly caused, and the chart of docs/models.md
	$(RUN) python benchmarks/truth.py --chart docs/truth.svg
	$(RUN) python benchmarks/simulated_markov.py

notebook: $(INSTALLED_DEV)  ## notebooks/training.ipynb, built from its text form and run on the source of `make report`
	$(RUN) sh bin/report notebook

luigid: $(INSTALLED)  ## the scheduler and its dashboard on http://127.0.0.1:8082
	$(BIN)/luigid --address 127.0.0.1

clean:
	rm -rf .venv .venv-* $(VENV) build dist *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(INSTALLED): $(SOURCES) $(LOCK)
	sh bin/new-environment $(PYTHON) $(VENV) $(LOCK)
	touch $@

$(INSTALLED_DEV): $(SOURCES) $(LOCK_DEV)
	sh bin/new-environment $(PYTHON) $(VENV) $(LOCK_DEV)
	touch $(INSTALLED) $@
